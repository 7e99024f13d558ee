"""Identifies which process is doing a piece of work, and whether it is still alive."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path


def this_process() -> str:
    """This process's name, `host:pid:start`; the start time distinguishes it from a later process with the same pid."""
    return _name(os.getpid())


def is_gone(owner: str) -> bool | None:
    """Whether a process that `this_process` named has ended; None if it ran on another machine.

    Anything after a third colon belongs to the caller and is ignored.
    """
    host, pid, start, *_ = [*owner.split(":"), "", "", ""]
    if host != socket.gethostname():
        return None
    if not pid.isdigit() or not _lives(int(pid)):
        return True
    return start.isdigit() and start != "0" and start != _start(int(pid))


@cache
def _name(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}:{_start(pid)}"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _start(pid: int) -> str:
    """The start time of a process in clock ticks since boot; "0" if the system does not tell."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    return "0"
