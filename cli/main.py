"""The `agentkit` command. A command's module is imported only when the command is used, so that `--help` is fast."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from agentkit.cli import stopping
from agentkit.cli.output import note
from agentkit.errors import AgentKitError, UserError
from agentkit.text import clean

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("init:app", "Write an agentkit.toml with the defaults, for you to edit."),
    "run": ("run:run_app", "Solve one task, live."),
    "chat": ("run:chat_app", "Talk to an agent, one task after another."),
    "resume": ("run:resume_app", "Resume an interrupted run, or reply to a waiting one."),
    "eval": ("eval:app", "Run a file of tasks and score the answers."),
    "calibrate": ("calibrate:app", "Fit an agent's confidence to outcomes, so that it can decline."),
    "feedback": ("feedback:app", "Record how past runs went, so that the agent learns from it."),
    "eval stream": ("stream:stream", "Learn from a stream of tasks, with frozen probes in between."),
    "evolve": ("evolve:app", "Learn from tasks, with every change tested on held-out ones."),
    "train": ("train:app", "Train a local model on what its own runs teach."),
    "serve": ("serve:app", "Serve an agent to clients of OpenAI's API."),
    "view": ("view:app", "Look at everything in a browser."),
    "curate": ("curate:app", "Build a knowledge base from a folder of papers."),
    "runs": ("runs:app", "List, show and prune runs."),
    "changes": ("changes:app", "Changes to anything that evolves: list, show, decide, roll back."),
    "playbook": ("playbook:app", "Look at playbooks and edit them."),
    "memory": ("memory:app", "Look at case memories and edit them."),
    "adapter": ("adapter:app", "Trained adapters: list, show, compare, roll back, forget, merge, export."),
    "kb": ("kb:app", "Look at knowledge bases, review and export them."),
    "models": ("models:app", "List, pull, test and serve local models."),
    "trust": ("trust:app", "Let a settings file start programs, after you have read it."),
    "db": ("db:app", "Show the database's version and bring it up to date."),
    "doctor": ("doctor:app", "Check what this machine has and lacks."),
}
"""For each command (one word or two): where it is (a Typer app or a function of a module in this package), and its line
in the overview."""


_COMPLETION = ("install_completion", "show_completion")
"""Options that Typer adds to every app; only the top-level command keeps them."""


class LazyGroup(TyperGroup):
    """Lists its commands from the table above, and imports a command when it is called or completed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {name: TyperCommand(name, help=summary) for name, (_, summary) in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        words = 2 if " ".join(args[:2]) in COMMANDS and len(args) > 1 else 1
        name = " ".join(args[:words])
        if name not in COMMANDS:
            return super().resolve_command(ctx, args)
        return name, load_command(name), args[words:]


def load_command(name: str) -> Any:
    """Import the command with that name."""
    module, attribute = COMMANDS[name][0].split(":")
    found = getattr(import_module(f"agentkit.cli.{module}"), attribute)
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer()
        found.command()(function)
    command = get_command(found)
    command.name, command.help = name, command.help or COMMANDS[name][1]
    command.params = [param for param in command.params if param.name not in _COMPLETION]
    _read_with_care(command)
    return command


def _read_with_care(command: Any) -> None:
    """Reject blank arguments and options, which an unset shell variable leaves behind, unless the default is blank; and
    replace invalid bytes in texts. Paths may hold such bytes, because a file may be named so.

    A blank value never means the same as no value: `--source ""` does not mean every source.
    """
    for param in command.params:
        param.process_value = partial(_process, param, param.process_value)
    for child in getattr(command, "commands", {}).values():
        _read_with_care(child)


def _process(param: Any, process: Callable[[Any, Any], Any], ctx: Any, value: Any) -> Any:
    given = value if isinstance(value, list | tuple) else [value]
    name = param.opts[0] if param.param_type_name == "option" else param.name.strip("_").upper()
    if param.default != "" and any(isinstance(item, str) and not item.strip() for item in given):
        raise UserError(f"{name} is empty: give a value{'' if param.required else ', or leave it out'}")
    read = process(ctx, value)
    if isinstance(read, int) and abs(read) > LARGEST:
        raise UserError(f"{name} is too large: {LARGEST} is the most")
    if isinstance(read, list | tuple):
        return [clean(item) if isinstance(item, str) else item for item in read]
    return clean(read) if isinstance(read, str) else read


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        typer.echo(version("agentkit-evolve"))
    except PackageNotFoundError:
        typer.echo("unknown (a source checkout that is not installed)")
    raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", is_eager=True, callback=_print_version, help="Print the version and exit."
    ),
) -> None:
    """Agents that get better with use, and show the proof."""


def _adapt_streams() -> None:
    """Print a character that the terminal's encoding lacks as `?`, and read invalid bytes as U+FFFD."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


LARGEST = 2**63 - 1
"""The largest integer that a database can store."""
UNREAD = 141
"""Exit code when nobody reads the output any more, as for a program that SIGPIPE has ended."""


def main() -> None:
    """The entry point: an error of AgentKit or of the system becomes one line on standard error and exit code 2.

    How signals are handled is described in `stopping`.
    """
    _adapt_streams()
    with stopping.listening():
        try:
            _run()
        except BrokenPipeError:
            _let_go_of_output()
            sys.exit(UNREAD)
        except AgentKitError as error:
            _fail(str(error))
        except OSError as error:  # usually a full disk, where the output goes
            _let_go_of_output()
            _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        except stopping.Stopped as stopped:
            stopping.end(stopped.number)


def _run() -> None:
    """Run the command, until everything it prints is written."""
    try:
        app(prog_name="agentkit")
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # which Typer turns into exit code 1
            raise end.__context__ from None
        if sys.stdout is not None:
            sys.stdout.flush()
        raise


def _fail(text: str) -> NoReturn:
    with suppress(OSError):
        note("error: " + " ".join(text.split("\n")))
    sys.exit(2)


def _let_go_of_output() -> None:
    """Discard output that is still buffered, which the interpreter would otherwise complain about at exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            try:
                stream.flush()
            except OSError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    main()
