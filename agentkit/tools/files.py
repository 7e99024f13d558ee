"""Reading files inside one folder, and nowhere else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from langchain_core.tools import BaseTool

from agentkit.errors import ToolError, UserError
from agentkit.tools.function import tool

MAX_BYTES = 10_000_000
MAX_LINES = 400


def folder(root: str | Path, *, used_by: str) -> Path:
    """The resolved folder a tool may read.

    Raises:
        UserError: there is no such folder.
    """
    resolved = Path(root).expanduser().resolve()
    if not resolved.is_dir():
        raise UserError(f"the tool {used_by!r} needs a folder to read: {root} is not one")
    return resolved


def inside(root: Path, path: str) -> Path:
    """`path` under `root` with all links resolved.

    Raises:
        ToolError: it leads out of the folder (`..`, an absolute path, a symbolic link) or does not exist.
    """
    if "\0" in path:
        raise ToolError("a path can't contain a NUL character")
    resolved = Path(os.path.realpath(root / path))
    if not resolved.is_relative_to(root):
        raise ToolError(f"{path!r} is outside the folder that may be read")
    if not resolved.exists():
        raise ToolError(f"no such file: {path!r}; read '.' to list the folder")
    return resolved


def read_text(file: Path, name: str, *, limit: int = MAX_BYTES) -> str:
    """The text of a regular file; a pipe or a device, which could block, is refused before it is opened."""
    info = file.stat()
    if not stat.S_ISREG(info.st_mode):
        raise ToolError(f"{name!r} is not a regular file")
    if info.st_size > limit:
        raise ToolError(f"{name!r} has {info.st_size:,} bytes; the limit is {limit:,}")
    data = file.read_bytes()
    if b"\0" in data[:4096]:
        raise ToolError(f"{name!r} is not a text file")
    return data.decode("utf-8", errors="replace")


def read_file_tool(root: str | Path) -> BaseTool:
    """The built-in `read_file` tool for one folder."""
    base = folder(root, used_by="read_file")

    def read_file(path: str, first_line: int = 1, lines: int = MAX_LINES) -> str:
        """Read a text file, or list a folder.

        Args:
            path: relative to the folder; '.' lists it.
            first_line: the line to start at, from 1.
            lines: how many lines to return.
        """
        found = inside(base, path)
        if found.is_dir():
            return _listing(found, path)
        return _lines(read_text(found, path), first_line, min(lines, MAX_LINES))

    return tool(read_file)


def _listing(found: Path, path: str) -> str:
    names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in found.iterdir())
    return "\n".join(names) or f"{path!r} is empty"


def _lines(text: str, first: int, count: int) -> str:
    every = text.splitlines()
    if first < 1 or count < 1 or (every and first > len(every)):
        raise ToolError(f"the file has lines 1 to {len(every)}")
    shown = every[first - 1 : first - 1 + count]
    rest = len(every) - (first - 1 + len(shown))
    return "\n".join(shown) + (f"\n[… {rest} more lines, from line {first + len(shown)} …]" if rest else "")
