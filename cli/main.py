"""The `agentkit` command. A command's module is imported when the command is used, so that `--help` is quick."""

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
    "init": ("init:app", "Write an agentkit.toml with the defaults, to be edited."),
    "run": ("run:run_app", "Solve one task, live."),
    "chat": ("run:chat_app", "Talk to an agent, one task after the other."),
    "resume": ("run:resume_app", "Go on with an interrupted run, or reply to a waiting one."),
    "eval": ("eval:app", "Run a file of tasks and score the answers."),
    "calibrate": ("calibrate:app", "Fit an agent's confidence to outcomes, so that it can decline."),
    "feedback": ("feedback:app", "Say how past runs went; it teaches what learns."),
    "eval stream": ("stream:stream", "Learn along a stream of tasks, with frozen probes between."),
    "evolve": ("evolve:app", "Learn from tasks, with every change tested on held-out ones."),
    "train": ("train:app", "Train a local model on what its own runs teach."),
    "serve": ("serve:app", "Serve an agent to clients of OpenAI's API."),
    "view": ("view:app", "Look at all of it in a browser."),
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
"""Each command (one word or two): its place (a Typer app or a function in a module here), its line in the overview."""


_COMPLETION = ("install_completion", "show_completion")
"""Options that Typer gives every app; they belong to the whole command alone."""


class LazyGroup(TyperGroup):
    """Lists its commands from the table above, and imports one when it is called or completed."""

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
    """Import the command of that name."""
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
    """Let no argument or option be blank, as an unset variable of a shell leaves it, but those that are so by default;
    and let no text hold bytes that are no text. A path may: that is how its file is called.

    Blank is never the same as left out: `--source ""` does not mean every source.
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
        False, "--version", is_eager=True, callback=_print_version, help="Print the version and end."
    ),
) -> None:
    """Agents that get better with use, and show the proof."""


def _adapt_streams() -> None:
    """Let a character that the terminal's encoding lacks become a `?`, and bytes that are no text U+FFFD."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


LARGEST = 2**63 - 1
"""The most that a database can hold as a number."""
UNREAD = 141
"""Exit code where nobody reads the output any more, as of a program that SIGPIPE has ended."""


def main() -> None:
    """The entry point: an error of ours or of the system is one line on standard error and exit code 2.

    What signals do stands in `stopping`.
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
        except OSError as error:  # a disk that is full, mostly that of the output
            _let_go_of_output()
            _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        except stopping.Stopped as stopped:
            stopping.end(stopped.number)


def _run() -> None:
    """The command, until what it prints is written."""
    try:
        app(prog_name="agentkit")
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # Typer makes it exit code 1
            raise end.__context__ from None
        if sys.stdout is not None:
            sys.stdout.flush()
        raise


def _fail(text: str) -> NoReturn:
    with suppress(OSError):
        note("error: " + " ".join(text.split("\n")))
    sys.exit(2)


def _let_go_of_output() -> None:
    """Nothing is written any more, not even what is still held back, which the interpreter's end would complain of."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            try:
                stream.flush()
            except OSError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    main()
