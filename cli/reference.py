"""The command-line reference, generated from the commands themselves:  python -m agentkit.cli.reference docs/cli.md"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agentkit.cli.main import COMMANDS, load_command

HEADER = """\
# The command line

Every command and option, generated from the program by `python -m agentkit.cli.reference docs/cli.md`.
Commands that print data take `--json`. Exit codes:

| code | meaning |
|---|---|
| 0 | done; for `eval` and `curate` unless everything failed, which is 2 |
| 1 | a check found something (`doctor`, `kb verify`) |
| 2 | bad input, a bad setup or a failed run: one line on standard error says what is wrong, where, and how to fix it |
| 3 | `curate` stopped because its budget is used up; the same command with a larger budget resumes it |
| 130, 143, 129 | stopped by Ctrl-C, by SIGTERM, or because the terminal was closed; the command to resume is printed |
| 141 | nobody reads the output any more: the program it was piped into has ended |
"""


def reference() -> str:
    """The whole reference as Markdown."""
    sections = [HEADER, *(text for name in COMMANDS for text in _sections(f"agentkit {name}", load_command(name)))]
    return "\n".join(sections)


def _sections(path: str, command: Any) -> Iterator[str]:
    children = getattr(command, "commands", {})
    help_text = inspect.cleandoc(command.help or "").split("\f")[0]
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option" and not param.hidden]
    usage = " ".join([path, *(_metavar(param) for param in arguments), *(["[OPTIONS]"] if options else [])])
    lines = [f"## `{usage + (' COMMAND' if children else '')}`", "", " ".join(help_text.split()), ""]
    lines += [f"- `{_metavar(param)}` {param.help or ''}".rstrip() for param in arguments]
    lines += [f"- `{_option(param)}` {param.help or ''}".rstrip() + _default(param) for param in options]
    yield "\n".join(lines).rstrip() + "\n"
    for name, child in children.items():
        yield from _sections(f"{path} {name}", child)


def _metavar(param: Any) -> str:
    name = param.metavar or str(param.name).upper().strip("_")
    return name if param.required else f"[{name}]"


def _option(param: Any) -> str:
    names = ", ".join([*param.opts, *param.secondary_opts])
    return names if param.is_flag else f"{names} {param.metavar or str(param.name).upper().strip('_')}"


def _default(param: Any) -> str:
    shown = param.default not in (None, False, True, "", (), []) and not callable(param.default)
    return f" (default: {param.default})" if shown else ""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
