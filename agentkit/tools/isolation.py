"""What all sandbox backends share: the program, limits and result types, and the Backend protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

MEGABYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class SandboxLimits:
    """Resource limits for sandboxed code.

    Attributes:
        seconds: wall-clock time, after which everything in the sandbox is killed.
        cpu_seconds: CPU time.
        memory: bytes of address space; if there is a cgroup, bytes of all memory except the work folder.
        disk: bytes in the work folder.
        files: files and folders in the work folder.
        processes: number of threads at once; new processes are never allowed.
        output: characters kept of stdout and of stderr each.
    """

    seconds: float = 10.0
    cpu_seconds: int = 10
    memory: int = 512 * MEGABYTE
    disk: int = 64 * MEGABYTE
    files: int = 4_096
    processes: int = 32
    output: int = 32_000


@dataclass(frozen=True, kw_only=True)
class SandboxResult:
    """The outcome of running code.

    Attributes:
        stdout: what it printed, cut at the limit.
        stderr: the same for standard error; includes the traceback if it raised.
        exit_code: 0 on success; negative if a signal ended it.
        timed_out: whether it was killed at the wall-clock limit.
        truncated: whether there was more output than is kept.
        seconds: wall-clock time.
        ended_early: with several sources, the last one did not run to its end although nothing failed.
        exceeded: another limit at which it was killed, such as "32 threads".
        unsupported: a feature that the program needs and this backend lacks; the program may be right elsewhere.
    """

    stdout: str
    stderr: str
    exit_code: int
    timed_out: bool
    truncated: bool
    seconds: float
    ended_early: bool = False
    exceeded: str = ""
    unsupported: str = ""

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and not (self.timed_out or self.ended_early or self.exceeded)


@dataclass(frozen=True, kw_only=True)
class SandboxProgram:
    """A program to run.

    Attributes:
        sources: Python sources by plain file name, run one after the other in one namespace.
        files: other files in the work folder, by plain name.
        stdin: the program's standard input; only with a single source.
        readable: folders that it may read, at their own paths.
        python_path: the folders among them to import from.
    """

    sources: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""
    readable: Sequence[str | Path] = ()
    python_path: Sequence[str | Path] = ()


class Backend(Protocol):
    """A way to isolate code.

    Attributes:
        title: its name and the path of its executable, if there is one.
        subset: a description, for whoever writes the code, of the parts of Python it lacks; empty for real CPython.
    """

    @property
    def title(self) -> str: ...

    @property
    def subset(self) -> str: ...

    def problem(self) -> str | None:
        """Why it can't isolate code on this machine, and how to fix that; None if it can. Tested once per process."""
        ...

    def run(self, program: SandboxProgram, limits: SandboxLimits) -> SandboxResult:
        """Run a program and wait for it to end.

        Raises:
            SandboxUnavailable: the program needs something that this backend lacks, so it is not run.
        """
        ...
