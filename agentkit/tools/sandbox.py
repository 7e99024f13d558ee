"""Running Python code that a model wrote: in a namespace sandbox, or not at all.

The boundary is bubblewrap (`bwrap`): its own user, process, network, mount, IPC and host name spaces; no network; a
read-only view of the interpreter and the system's libraries; one small writable folder in memory; an empty environment.
Limits on time, memory, file size and output bound what the code can use up. See SECURITY.md for what this does not
protect from (a hole in the kernel).
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from agentkit.errors import SandboxUnavailable
from agentkit.tools.running import in_daemon_thread
from agentkit.tools.seccomp import no_new_processes

MEGABYTE = 1 << 20
WORK = "/work"

_BOOT = """\
import json, os, resource, sys
for name, value in json.loads(sys.argv[1]).items():
    limit = getattr(resource, "RLIMIT_" + name)
    hard = resource.getrlimit(limit)[1]
    value = value if hard < 0 else min(value, hard)
    resource.setrlimit(limit, (value, value))
os.execv(sys.executable, [sys.executable, "-s", "-B", *sys.argv[2:]])
"""
"""Sets the limits inside the sandbox, where a limit on processes counts only the sandbox's own, and starts the code."""


@dataclass(frozen=True, kw_only=True)
class SandboxLimits:
    """What sandboxed code may use.

    Attributes:
        seconds: wall-clock time; then everything in the sandbox is killed.
        cpu_seconds: processor time.
        memory: bytes of address space.
        disk: bytes in the work folder.
        processes: threads at once; new processes are refused altogether.
        output: characters kept of stdout and of stderr.
    """

    seconds: float = 10.0
    cpu_seconds: int = 10
    memory: int = 512 * MEGABYTE
    disk: int = 64 * MEGABYTE
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
    """

    stdout: str
    stderr: str
    exit_code: int
    timed_out: bool
    truncated: bool
    seconds: float

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and not self.timed_out


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """Runs Python code isolated from this machine.

    Attributes:
        limits: what the code may use.
        readable: folders that the code may read at their own paths, such as a site-packages folder.
        python_path: folders among them to import from.
    """

    limits: SandboxLimits = field(default_factory=SandboxLimits)
    readable: Sequence[str | Path] = ()
    python_path: Sequence[str | Path] = ()

    def check(self) -> None:
        """Make sure that code can be isolated here; remembered for the life of the process.

        Raises:
            SandboxUnavailable: bubblewrap is missing, or the kernel permits no namespaces; with what to do.
        """
        problem = _problem(_find_bwrap())
        if problem:
            raise SandboxUnavailable(problem)

    def run(self, code: str, *, files: Mapping[str, str] | None = None, stdin: str = "") -> SandboxResult:
        """Run Python code and wait for it.

        Args:
            code: the main program.
            files: further files in the work folder, by plain name.
            stdin: what the program can read.

        Raises:
            SandboxUnavailable: the code can't be isolated on this machine, so it is not run.
        """
        self.check()
        everything = {**(files or {}), "main.py": code}
        with _as_descriptors(everything) as descriptors:
            return _execute(self._command(descriptors, "main.py"), stdin, self.limits, tuple(descriptors.values()))

    async def arun(self, code: str, *, files: Mapping[str, str] | None = None, stdin: str = "") -> SandboxResult:
        """Like `run`, without blocking the event loop; bounded by the wall-clock limit even when cancelled."""
        return await in_daemon_thread(lambda: self.run(code, files=files, stdin=stdin))

    def _command(self, descriptors: Mapping[str, int], program: str) -> list[str]:
        limits = self.limits
        bounds = {
            "AS": limits.memory, "CPU": limits.cpu_seconds, "FSIZE": limits.disk, "NPROC": limits.processes,
            "CORE": 0, "NOFILE": 128,
        }  # fmt: skip
        command = [*_isolation(_find_bwrap() or "bwrap", limits.disk), *_path_options(self.readable, self.python_path)]
        for name, descriptor in descriptors.items():
            command += ["--seccomp", str(descriptor)] if not name else ["--file", str(descriptor), f"{WORK}/{name}"]
        interpreter = str(_interpreter())
        return [*command, "--remount-ro", "/", "--", interpreter, "-I", "-S", "-c", _BOOT, json.dumps(bounds), program]


def _find_bwrap() -> str | None:
    return shutil.which("bwrap")


def _interpreter() -> Path:
    """This Python outside of any virtual environment, whose folder would show the project it belongs to."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return Path(os.path.realpath(Path(sys.base_prefix) / "bin" / version))


def _isolation(bwrap: str, disk: int) -> list[str]:
    """The options that every sandboxed process gets."""
    command = [
        bwrap, "--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000", "--hostname", "sandbox",
        "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv",
        "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HOME", WORK, "--setenv", "LANG", "C.UTF-8",
        "--setenv", "PYTHONHASHSEED", "0", "--setenv", "OMP_NUM_THREADS", "1", "--setenv", "OPENBLAS_NUM_THREADS", "1",
        "--ro-bind", "/usr", "/usr", "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache",
    ]  # fmt: skip
    for name in ("lib", "lib64", "lib32", "bin", "sbin"):
        system = Path("/", name)
        if system.is_symlink():
            command += ["--symlink", os.readlink(system), f"/{name}"]
        elif system.is_dir():
            command += ["--ro-bind", f"/{name}", f"/{name}"]
    base = os.path.realpath(sys.base_prefix)
    if not Path(base).is_relative_to("/usr"):
        command += ["--ro-bind", base, base]
    return [
        *command, "--dev", "/dev", "--remount-ro", "/dev", "--size", str(disk), "--tmpfs", WORK,
        "--symlink", WORK, "/tmp", "--chdir", WORK,
    ]  # fmt: skip


def _path_options(readable: Sequence[str | Path], python_path: Sequence[str | Path]) -> list[str]:
    options: list[str] = []
    for item in dict.fromkeys(os.path.realpath(path) for path in (*readable, *python_path)):
        options += ["--ro-bind", item, item]
    if python_path:
        options += ["--setenv", "PYTHONPATH", os.pathsep.join(os.path.realpath(path) for path in python_path)]
    return options


@functools.cache
def _problem(bwrap: str | None) -> str | None:
    """Why code can't be isolated here, or None. Tried with the very options that code is run with."""
    if sys.platform != "linux":
        return "the sandbox needs Linux namespaces, so code is not run on this system"
    if bwrap is None:
        return "bubblewrap is not installed, so code is not run: install it (Debian: apt-get install bubblewrap)"
    command = [*_isolation(bwrap, MEGABYTE), "--remount-ro", "/", "--", str(_interpreter()), "-I", "-S", "-c", ""]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap can't be started, so code is not run: {error}"
    if done.returncode == 0:
        return None
    said = " ".join(done.stderr.decode(errors="replace").split())[:300] or f"exit code {done.returncode}"
    return (
        f"this machine does not permit the sandbox ({said}), so code is not run: allow unprivileged user namespaces "
        "(sysctl kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0)"
    )


@contextlib.contextmanager
def _as_descriptors(files: Mapping[str, str]) -> Iterator[dict[str, int]]:
    """Each file in a memory descriptor for bwrap to copy from; the name "" stands for the seccomp filter."""
    opened: dict[str, int] = {}
    try:
        for name, text in files.items():
            if not name or "/" in name or name in (".", ".."):
                raise ValueError(f"a sandbox file needs a plain name, not {name!r}")
            opened[name] = _memory_file(text.encode("utf-8", errors="surrogatepass"))
        program = no_new_processes()
        if program is not None:
            opened[""] = _memory_file(program)
        yield opened
    finally:
        for descriptor in opened.values():
            os.close(descriptor)


def _memory_file(data: bytes) -> int:
    descriptor = os.memfd_create("agentkit-sandbox")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _execute(command: Sequence[str], stdin: str, limits: SandboxLimits, descriptors: Sequence[int]) -> SandboxResult:
    start = time.monotonic()
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=descriptors, env={}
    )
    pumps = [_Pump(stream, limits.output) for stream in (process.stdout, process.stderr) if stream is not None]
    feeder = threading.Thread(target=_feed, args=(process.stdin, stdin.encode()), daemon=True)
    feeder.start()
    timed_out = False
    try:
        process.wait(limits.seconds)
    except subprocess.TimeoutExpired:
        timed_out = True
    finally:
        process.kill()  # --die-with-parent takes everything in the sandbox along
        process.wait()
    for thread in (feeder, *pumps):
        thread.join()
    out, err = (pump.text() for pump in pumps)
    return SandboxResult(
        stdout=out, stderr=err, exit_code=process.returncode if process.returncode < 128 else 128 - process.returncode,
        timed_out=timed_out, truncated=any(pump.dropped for pump in pumps), seconds=time.monotonic() - start,
    )  # fmt: skip


def _feed(stream: IO[bytes] | None, data: bytes) -> None:
    if stream is not None:
        with contextlib.suppress(OSError), stream:  # the program need not read it
            stream.write(data)


class _Pump(threading.Thread):
    """Reads a pipe to its end and keeps the first `limit` characters, so that a flood fills neither it nor memory."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        super().__init__(daemon=True)
        self._stream, self._limit = stream, limit
        self._kept = bytearray()
        self.dropped = 0
        self.start()

    def run(self) -> None:
        with self._stream:
            while chunk := os.read(self._stream.fileno(), 65_536):
                room = max(0, 4 * self._limit - len(self._kept))
                self._kept += chunk[:room]
                self.dropped += len(chunk) - min(room, len(chunk))

    def text(self) -> str:
        text = self._kept.decode(errors="replace")
        self.dropped += max(0, len(text) - self._limit)
        return text[: self._limit]
