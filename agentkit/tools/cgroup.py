"""A control group around a sandbox, where this process may create one: it accounts for all memory and threads exactly.

Only the unified hierarchy (cgroup v2) is used, and only if the memory and pids controllers are already delegated to a
folder that we may write: our own group's or its parent's. Without one, the limits that do not need it still apply.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentkit.tools.isolation import SandboxLimits

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
_JOIN = 'echo 0 > "$0/cgroup.procs" && exec "$@"'
_EXTRA_THREADS = 4
"""For bubblewrap's own process, with some room to spare."""
_TRIES = 100
"""Attempts to remove a group, 10 ms apart; its last process may not have been reaped yet."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """A control group; `folder` is None if there is none."""

    folder: Path | None = None

    @property
    def prefix(self) -> Sequence[str]:
        """The command prefix that makes a command run in the group."""
        return ("/bin/sh", "-c", _JOIN, str(self.folder)) if self.folder else ()

    def out_of_memory(self) -> bool:
        """Whether the kernel killed a process because of the group's memory limit."""
        if self.folder is None:
            return False
        try:
            events = (self.folder / "memory.events").read_text(encoding="ascii").split()
        except OSError:
            return False
        return dict(zip(events[::2], events[1::2], strict=False)).get("oom_kill", "0") != "0"


@contextlib.contextmanager
def joined(limits: SandboxLimits) -> Iterator[Group]:
    """A group with these limits for one sandbox; removed afterwards, together with whatever still runs in it."""
    parent = usable(ROOT, OWN)
    if parent is None:
        yield Group()
        return
    folder = _make(parent, limits)
    try:
        yield Group(folder=folder)
    finally:
        _remove(folder)


@functools.cache
def usable(root: Path, own: Path) -> Path | None:
    """The folder in which groups can be created and joined, found by trying it once."""
    for folder in _folders(root, own):
        try:
            handed_down = (folder / "cgroup.subtree_control").read_text(encoding="ascii").split()
            if not {"memory", "pids"} <= set(handed_down):
                continue
            made = _make(folder, SandboxLimits())
        except OSError:
            continue
        command = [*Group(folder=made).prefix, "/bin/sh", "-c", ":"]
        done = subprocess.run(command, capture_output=True, check=False)
        _remove(made)
        if done.returncode == 0:
            return folder
    return None


def _folders(root: Path, own: Path) -> list[Path]:
    """Our own group and its parent."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    path = next((line[3:].strip("/") for line in lines if line.startswith("0::/")), None)
    if path is None:
        return []
    return [root / path, (root / path).parent] if path else [root]


def _make(parent: Path, limits: SandboxLimits) -> Path:
    folder = parent / f"agentkit-{os.getpid()}-{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        (folder / "memory.max").write_text(str(limits.memory + limits.disk), encoding="ascii")
        (folder / "pids.max").write_text(str(limits.processes + _EXTRA_THREADS), encoding="ascii")
        with contextlib.suppress(FileNotFoundError):  # a kernel without swap accounting
            (folder / "memory.swap.max").write_text("0", encoding="ascii")
    except OSError:
        _remove(folder)
        raise
    return folder


def _remove(folder: Path) -> None:
    """Kill what is left in the group and remove it; the kernel refuses to until the last process has been reaped."""
    with contextlib.suppress(OSError):
        (folder / "cgroup.kill").write_text("1", encoding="ascii")
    for _ in range(_TRIES):
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.01)
