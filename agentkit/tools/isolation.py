"""What every sandbox takes and gives: a program, limits, a result; and what a backend must be able to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

MEGABYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class SandboxLimits:
    """What sandboxed code may use.

    Attributes:
        seconds: wall-clock time; then everything in the sandbox is killed.
        cpu_seconds: processor time.
        memory: bytes of address space; where there is a cgroup, of all memory but the work folder's.
        disk: bytes in the work folder.
        files: files and folders in the work folder.
        processes: threads at once; new processes are refused altogether.
        output: characters kept of stdout and of stderr.
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
    """What the code did.

    Attributes:
        stdout: what it printed, cut at the limit.
        stderr: likewise; a traceback if it raised.
        exit_code: 0 on success; negative where a signal ended it.
        timed_out: it was killed at the wall-clock limit.
        truncated: there was more output than is kept.
        seconds: wall-clock time.
        ended_early: of several sources the last did not run to its end, though nothing failed.
        exceeded: the other limit it was killed at, such as "32 threads".
        unsupported: what the program needs and this backend does not have; it may well be right elsewhere.
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
    """What is run.

    Attributes:
        sources: Python sources by plain file name, run one after the other in one namespace.
        files: further files in the work folder, by plain name.
        stdin: what the program can read; for a single source.
        readable: folders that it may read at their own paths.
        python_path: folders among them to import from.
    """

    sources: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""
    readable: Sequence[str | Path] = ()
    python_path: Sequence[str | Path] = ()


class Backend(Protocol):
    """A way to isolate code.

    Attributes:
        title: its name and, where there is one, the path of its program.
        subset: what of Python it can't run, for whoever writes the code; empty where it is CPython itself.
    """

    @property
    def title(self) -> str: ...

    @property
    def subset(self) -> str: ...

    def problem(self) -> str | None:
        """Why it can't isolate code on this machine, with the fix; None where it can. Tried once per process."""
        ...

    def run(self, program: SandboxProgram, limits: SandboxLimits) -> SandboxResult:
        """Run a program and wait for it.

        Raises:
            SandboxUnavailable: the program needs what this backend can't give, so it is not run.
        """
        ...
