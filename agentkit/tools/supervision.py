"""Supervising an isolated process: its time, threads, files and output."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from agentkit.tools.cgroup import Group, joined
from agentkit.tools.isolation import SandboxLimits, SandboxResult

WORK = "/work"
"""The writable folder inside the sandbox."""
_EVERY = 0.02
"""Seconds between two checks of a running sandbox."""


def supervise(
    command: Sequence[str], *, stdin: str, limits: SandboxLimits, descriptors: Sequence[int]
) -> SandboxResult:
    """Run a `bwrap` command until it ends or reaches a limit.

    Args:
        command: starts with `bwrap`.
        stdin: the program's standard input.
        limits: those that the kernel does not enforce by itself are enforced here.
        descriptors: file descriptors to pass on.
    """
    start = time.monotonic()
    read, write = os.pipe()
    with joined(limits) as group, open(read, "rb", buffering=0) as info:
        process = subprocess.Popen(
            [*group.prefix, command[0], "--info-fd", str(write), *command[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(*descriptors, write),
            env={},
        )
        os.close(write)
        pumps = [_Pump(stream, limits.output) for stream in (process.stdout, process.stderr) if stream is not None]
        feeder = threading.Thread(target=_feed, args=(process.stdin, stdin.encode()), daemon=True)
        feeder.start()
        try:
            timed_out, exceeded = _wait(process, _Watch(pid=_inner_pid(info), limits=limits), start + limits.seconds)
        finally:
            process.kill()  # --die-with-parent kills everything in the sandbox with it
            process.wait()
        for thread in (feeder, *pumps):
            thread.join()
        exceeded = exceeded or _memory_kill(group, limits)
    out, err = (pump.text() for pump in pumps)
    return SandboxResult(
        stdout=out,
        stderr=err,
        exit_code=process.returncode if process.returncode < 128 else 128 - process.returncode,
        timed_out=timed_out,
        truncated=any(pump.dropped for pump in pumps),
        seconds=time.monotonic() - start,
        exceeded=exceeded,
    )


def _wait(process: subprocess.Popen[bytes], watch: _Watch, deadline: float) -> tuple[bool, str]:
    """Whether its time ran out, and which other limit it exceeded."""
    while (left := deadline - time.monotonic()) > 0:
        try:
            process.wait(min(_EVERY, left))
            return False, ""
        except subprocess.TimeoutExpired:
            exceeded = watch.exceeded()
            if exceeded:
                return False, exceeded
    return True, ""


def _inner_pid(info: IO[bytes]) -> int | None:
    """The sandboxed program's process id as seen from outside, from the output of `bwrap --info-fd`."""
    said = b""
    while chunk := info.read(4096):
        said += chunk
        found = re.search(rb'"child-pid": (\d+)\D', said)
        if found:
            return int(found[1])
    return None  # bwrap ended before it started anything


@dataclass(frozen=True, kw_only=True)
class _Watch:
    """Checks what no kernel limit covers: files without content, and the threads of a sandbox started by root."""

    pid: int | None
    limits: SandboxLimits

    def exceeded(self) -> str:
        try:
            threads = os.stat(f"/proc/{self.pid}/task").st_nlink - 2
            inside = f"/proc/{self.pid}/root"
            if os.path.samestat(os.stat(f"{inside}/"), os.stat("/")):
                return ""  # the sandbox is still being set up
            room = os.statvfs(f"{inside}{WORK}")
        except OSError:  # not there yet, or gone already
            return ""
        if threads > self.limits.processes:
            return f"{self.limits.processes} threads"
        if room.f_files - room.f_ffree > self.limits.files:
            return f"{self.limits.files:,} files"
        return ""


def _memory_kill(group: Group, limits: SandboxLimits) -> str:
    return f"{limits.memory:,} bytes of memory" if group.out_of_memory() else ""


def _feed(stream: IO[bytes] | None, data: bytes) -> None:
    if stream is not None:
        with contextlib.suppress(OSError), stream:  # the program need not read it
            stream.write(data)


class _Pump(threading.Thread):
    """Reads a pipe to its end but keeps only the first `limit` characters, so that a flood of output fills neither pipe
    nor memory."""

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
