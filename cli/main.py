"""The `agentkit` command. A command's module is imported when the command is used, so that `--help` is quick."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from agentkit.cli import stopping
from agentkit.cli.output import note
from agentkit.errors import AgentKitError, UserError

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("init:app", "Write an agentkit.toml with the defaults, to be edited."),
    "run": ("run:run_app", "Solve one task, live."),
    "chat": ("run:chat_app", "Talk to an agent, one task after the other."),
    "resume": ("run:resume_app", "Go on with an interrupted run, or reply to a waiting one."),
    "eval": ("eval:app", "Run a file of tasks and score the answers."),
    "feedback": ("feedback:app", "Say how past runs went; it teaches what learns."),
    "eval stream": ("stream:stream", "Learn along a stream of tasks, with frozen probes between."),
    "evolve": ("evolve:app", "Learn from tasks, with every change tested on held-out ones."),
    "curate": ("curate:app", "Build a knowledge base from a folder of papers."),
    "runs": ("runs:app", "List, show and prune runs."),
    "changes": ("changes:app", "Changes to anything that evolves: list, show, decide, roll back."),
    "playbook": ("playbook:app", "Look at playbooks and edit them."),
    "memory": ("memory:app", "Look at case memories and edit them."),
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
    _refuse_blanks(command)
    return command


def _refuse_blanks(command: Any) -> None:
    """Let no argument or option be blank, as an unset variable of a shell leaves it, but those that are so by default.

    Blank is never the same as left out: `--source ""` does not mean every source.
    """
    for param in command.params:
        if param.default != "":
            param.process_value = partial(_unless_blank, param, param.process_value)
    for child in getattr(command, "commands", {}).values():
        _refuse_blanks(child)


def _unless_blank(param: Any, process: Callable[[Any, Any], Any], ctx: Any, value: Any) -> Any:
    given = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(item, str) and not item.strip() for item in given):
        name = param.opts[0] if param.param_type_name == "option" else param.name.strip("_").upper()
        raise UserError(f"{name} is empty: give a value{'' if param.required else ', or leave it out'}")
    return process(ctx, value)


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


def main() -> None:
    """The entry point: any of our errors is one line on standard error and exit code 2; signals see `stopping`."""
    _adapt_streams()
    with stopping.listening():
        try:
            app(prog_name="agentkit")
        except AgentKitError as error:
            note("error: " + " ".join(str(error).split("\n")))
            sys.exit(2)
        except stopping.Stopped as stopped:
            stopping.end(stopped.number)


if __name__ == "__main__":
    main()
