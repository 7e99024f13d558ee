"""Isolation by pydantic-monty: an interpreter for a subset of Python, written in Rust, in a process of its own.

It needs no namespaces and runs on Linux, macOS and Windows. Code has no access to files, the network, the environment
or third-party packages, because the interpreter does not implement any. Features that it lacks are distinguished from
errors in the program: see `unsupported`.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib
import importlib.util
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentkit.errors import SandboxUnavailable
from agentkit.tools.isolation import SandboxLimits, SandboxProgram, SandboxResult
from agentkit.tools.supervision import WORK

if TYPE_CHECKING:
    from pydantic_monty import Monty, MontySession

MODULES = (
    "asyncio, base64, binascii, bisect, collections, copy, csv, dataclasses, datetime, decimal, functools, hashlib, "
    "itertools, json, math, os, pathlib, random, re, sys, time, tomllib, typing, unicodedata"
)
"""The parts of the standard library that version 1.4 has, some of them incomplete."""
SUBSET = (
    "only a subset of Python: no `yield`, no `del`, no inheritance, no method decorators, no input(), no files, no "
    f"packages, and of the standard library {MODULES} alone"
)
_INPUT = re.compile(r"<python-input-(\d+)>")


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """The `monty` program from the package pydantic-monty; each run gets a fresh process."""

    title: str = "pydantic-monty"
    subset: str = SUBSET

    def problem(self) -> str | None:
        if importlib.util.find_spec("pydantic_monty") is None:
            return "not installed (pip install 'agentkit-evolve[sandbox]')"
        return _trial()

    def run(self, program: SandboxProgram, limits: SandboxLimits) -> SandboxResult:
        if program.readable or program.python_path or program.files or program.stdin:
            raise SandboxUnavailable(
                "pydantic-monty shows a program no folders, files or input, so it is not run: install bubblewrap"
            )
        start = time.monotonic()
        printed = _Printed(limit=limits.output)
        error, timed_out = _run(program, limits, printed)
        return SandboxResult(
            stdout=printed.text("stdout"),
            stderr=printed.text("stderr") + error,
            exit_code=1 if error else 0,
            timed_out=timed_out,
            truncated=printed.dropped > 0,
            seconds=time.monotonic() - start,
            unsupported=unsupported(error.rpartition("\n")[2]),
        )


def _run(program: SandboxProgram, limits: SandboxLimits, printed: _Printed) -> tuple[str, bool]:
    """The traceback (empty if every source ran to the end), and whether time ran out."""
    from pydantic_monty import Monty, MontyCrashedError, MontyRuntimeError, MontySyntaxError

    names = list(program.sources)
    shown = [f"{WORK}/{name}" if len(names) == 1 else name for name in names]
    late: threading.Event | None = None
    try:
        with Monty(max_processes=1) as pool, _session(pool, limits) as session, _deadline(session, limits) as late:
            for code in program.sources.values():
                session.feed_run(f"{code}\nNone", print_callback=printed)  # None: no value to transfer
    except (MontyRuntimeError, MontySyntaxError) as error:
        text = _INPUT.sub(lambda match: shown[int(match[1])], error.display())
        return text, "time limit exceeded" in text.rpartition("\n")[2]
    except MontyCrashedError as error:
        return f"the interpreter ended: {' '.join(str(error).split())}", late is not None and late.is_set()
    return "", False


def _session(pool: Monty, limits: SandboxLimits) -> MontySession:
    return pool.checkout(
        limits={"max_feed_duration_secs": min(limits.seconds, limits.cpu_seconds), "max_memory": limits.memory},
        assert_message_annotations=False,
        os_policy={"sleep": "zero"},  # there is nothing outside that a program could wait for
    )


@contextlib.contextmanager
def _deadline(session: MontySession, limits: SandboxLimits) -> Iterator[threading.Event]:
    """Kill the interpreter when the time for all sources together is up; the event records that it happened."""
    late, pid = threading.Event(), session.worker_pid

    def kill() -> None:
        late.set()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    timer = threading.Timer(limits.seconds + 0.5, kill)  # after the interpreter's own limit, which reports more
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


@dataclass(kw_only=True)
class _Printed:
    """Keeps the first `limit` characters of each stream."""

    limit: int
    dropped: int = 0
    _kept: dict[str, str] = field(default_factory=dict)

    def __call__(self, stream: str, text: str) -> None:
        before = self._kept.get(stream, "")
        taken = text[: max(0, self.limit - len(before))]
        self.dropped += len(text) - len(taken)
        if taken:
            self._kept[stream] = before + taken

    def text(self, stream: str) -> str:
        return self._kept.get(stream, "")


@functools.cache
def _trial() -> str | None:
    try:
        result = Interpreter().run(SandboxProgram(sources={"main.py": "print(6 * 7)"}), SandboxLimits())
    except Exception as error:  # noqa: BLE001 - a foreign binary on an unknown machine; the reason is shown
        return f"it can't be started: {' '.join(str(error).split())[:300]}"
    return None if result.stdout == "42\n" else f"it does not work here: {result.stderr[:300]}"


def unsupported(error: str) -> str:
    """The Python feature that the interpreter lacks, judging by the last line of a traceback; empty if the program is
    at fault.

    If real Python has a name, module or attribute that the interpreter doesn't, the interpreter is at fault.
    """
    for pattern, lacking in _LACKING:
        found = re.fullmatch(pattern, error)
        if found:
            return lacking(*found.groups())
    return ""


def _builtin(name: str) -> str:
    return f"{name}()" if hasattr(builtins, name) else ""


def _module(name: str) -> str:
    return name if name.partition(".")[0] in sys.stdlib_module_names else ""


def _of_module(name: str, attribute: str) -> str:
    known = name in MODULES.split(", ") and hasattr(importlib.import_module(name), attribute)
    return f"{name}.{attribute}" if known else ""


def _method(kind: str, attribute: str) -> str:
    return f"{kind}.{attribute}" if hasattr(getattr(builtins, kind, None), attribute) else ""


_LACKING: tuple[tuple[str, Callable[..., str]], ...] = (
    (r"NotImplementedError: The monty syntax parser does not yet support (.*)", str),
    (r"RuntimeError: (Internal error in monty.*)", str),
    (r"NameError: name '(\w+)' is not defined", _builtin),
    (r"ModuleNotFoundError: No module named '([\w.]+)'", _module),
    (r"AttributeError: module '(\w+)' has no attribute '(\w+)'", _of_module),
    (r"AttributeError: '(\w+)' object has no attribute '(\w+)'", _method),
)
