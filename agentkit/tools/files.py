"""Reading files inside one folder and nowhere else."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from langchain_core.tools import BaseTool

from agentkit.errors import DataError, ToolError, UserError
from agentkit.text import decode
from agentkit.tools.function import tool

MAX_BYTES = 10_000_000
MAX_LINES = 400
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


def folder(root: str | Path, *, used_by: str) -> Path:
    """The resolved folder that a tool may read.

    Raises:
        UserError: there is no such folder.
    """
    resolved = Path(root).expanduser().resolve()
    if not resolved.is_dir():
        raise UserError(f"the tool {used_by!r} needs a folder to read: {root} is not one")
    return resolved


def inside(root: Path, path: str) -> Path:
    """`path` below `root`, with all links resolved.

    Raises:
        ToolError: it is outside the folder (`..`, an absolute path, a symbolic link) or does not exist.
    """
    if "\0" in path:
        raise ToolError("a path can't contain a NUL character")
    resolved = Path(os.path.realpath(root / path))
    if not resolved.is_relative_to(root):
        raise ToolError(f"{path!r} is outside the folder that may be read")
    if not resolved.exists():
        raise ToolError(f"no such file: {path!r}; read '.' to list the folder")
    return resolved


@contextlib.contextmanager
def opened(root: Path, path: str) -> Iterator[int]:
    """A descriptor for the regular file or folder at `path` below `root`.

    Every part of the resolved path is opened relative to the one before it, without following links, so that swapping a
    file or folder for a link in between causes an error. Pipes and devices are refused before they are opened.

    Raises:
        ToolError: it is outside the folder, does not exist, can't be read, or is neither a file nor a folder.
    """
    parts = inside(root, path).relative_to(root).parts
    try:
        at = os.open(root, _FOLDER)
        try:
            for place, part in enumerate(parts, 1):
                at = _below(at, part, path, last=place == len(parts))
            yield at
        finally:
            os.close(at)
    except OSError as error:
        raise ToolError(f"{path!r} can't be read: {error.strerror or error}") from None


def _below(folder: int, part: str, path: str, *, last: bool) -> int:
    """Open one part of a path and close the folder that contains it."""
    kind = os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode
    if last and not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise ToolError(f"{path!r} is not a regular file")
    inner = os.open(part, _FILE if last else _FOLDER, dir_fd=folder)
    os.close(folder)
    return inner


def read_text(root: Path, path: str, *, limit: int = MAX_BYTES) -> str:
    """The text of a regular file below `root`.

    Raises:
        ToolError: as for `opened`; or it is larger than `limit` bytes, or not text.
    """
    with opened(root, path) as descriptor:
        return _text(descriptor, path, limit)


def _text(descriptor: int, path: str, limit: int) -> str:
    info = os.fstat(descriptor)
    if not stat.S_ISREG(info.st_mode):
        raise ToolError(f"{path!r} is not a regular file")
    if info.st_size > limit:
        raise ToolError(f"{path!r} has {info.st_size:,} bytes; the limit is {limit:,}")
    with open(descriptor, "rb", closefd=False) as file:
        data = file.read(limit)
    try:
        return decode(data, path=path)
    except DataError as error:
        raise ToolError(f"{error}; only text files can be read") from None


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
        with opened(base, path) as descriptor:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                return _listing(descriptor, path)
            return _lines(_text(descriptor, path, MAX_BYTES), first_line, min(lines, MAX_LINES))

    return tool(read_file)


def _listing(descriptor: int, path: str) -> str:
    with os.scandir(descriptor) as entries:
        names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries)
    return "\n".join(names) or f"{path!r} is empty"


def _lines(text: str, first: int, count: int) -> str:
    every = text.splitlines()
    if first < 1 or count < 1 or (every and first > len(every)):
        raise ToolError(f"the file has lines 1 to {len(every)}")
    shown = every[first - 1 : first - 1 + count]
    rest = len(every) - (first - 1 + len(shown))
    return "\n".join(shown) + (f"\n[… {rest} more lines, from line {first + len(shown)} …]" if rest else "")
