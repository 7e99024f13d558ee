"""Stop means stop: Ctrl-C, SIGTERM and a closed terminal end any command within two seconds.

A signal raises `Stopped` in the main thread, which cancels the work in progress: completed calls are already stored,
and runs are marked as interrupted. Then the process ends without waiting for its threads, because one of them may be
inside a model for minutes. A watching thread ends the process in the same way after `LIMIT` seconds, or at a second
signal, in case the main thread is itself inside a call that can't be interrupted.
"""

from __future__ import annotations

import os
import select
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from types import FrameType
from typing import NoReturn

from agentkit import interrupts

LIMIT = 1.6
"""The most seconds between a signal and the end of the process."""

_NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_said = threading.Lock()
_go_on: str | None = None


class Stopped(BaseException):
    """A signal has asked the process to end."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


def go_on_with(command: str | None) -> None:
    """Set the command to print if the process is stopped from now on; None if there is nothing to continue."""
    global _go_on
    _go_on = command


def go_on_with_this_command() -> None:
    """If the process is stopped from now on, print this same command line as the one that continues."""
    go_on_with(shlex.join(["agentkit", *sys.argv[1:]]))


@contextmanager
def listening() -> Iterator[None]:
    """Let signals end the process as described above for the duration of the block; an ignored signal stays ignored."""
    go_on_with(None)
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for number in heard:
        signal.signal(number, _raise)
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader, heard), name="agentkit-stop", daemon=True).start()
    interrupts.deaf = partial(_by_default, heard)
    try:
        yield
    finally:
        interrupts.deaf = nullcontext
        signal.set_wakeup_fd(wakeup)
        for number in heard:
            signal.signal(number, before[number])
        os.close(writer)


@contextmanager
def left_to_the_command() -> Iterator[None]:
    """Leave signals to the command for the duration of the block; it must handle them, and end in its own time."""
    before = signal.set_wakeup_fd(-1)
    handlers = {number: signal.getsignal(number) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before, warn_on_full_buffer=False)


@contextmanager
def _by_default(heard: list[int]) -> Iterator[None]:
    """Let the system end the process at these signals, in whatever thread: Python's `signal` works only in the main
    thread.

    If the C library can't be reached this way, the signals wait until the block ends.
    """
    try:
        import ctypes

        change = ctypes.CDLL(None).signal
    except (ImportError, OSError, TypeError, AttributeError):
        yield
        return
    change.restype, change.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]
    before = {number: change(number, 0) for number in heard}  # 0 is SIG_DFL
    try:
        yield
    finally:
        for number, handler in before.items():
            change(number, handler)


def end(number: int) -> NoReturn:
    """Print how to continue, and end the process whatever its other threads are doing; the exit code is 128 + the
    signal."""
    if _said.acquire(blocking=False):  # the other thread may already be doing it
        text = f"\nStopped. Continue with:  {_go_on}\n" if _go_on else "\nStopped.\n"
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        with suppress(OSError, ValueError):
            sys.stderr.write(("\x1b[?25h" if sys.stderr.isatty() else "") + text)  # a live display hides the cursor
            sys.stderr.flush()
        _exit(128 + number)
    threading.Event().wait()
    raise AssertionError("unreachable")


def leave(code: int) -> NoReturn:
    """End the process whatever its other threads are doing."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    _exit(code)
    raise AssertionError("unreachable")


def _raise(number: int, _frame: FrameType | None) -> None:
    for other in _NUMBERS:
        if signal.getsignal(other) is _raise:
            signal.signal(other, _ignore)
    raise Stopped(number)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the watching thread sees a second signal, and the main thread's clean-up is left alone."""


def _watch(reader: int, heard: list[int]) -> None:
    while number := _next(reader):
        if number in heard:
            if select.select([reader], [], [], LIMIT)[0] and not _next(reader):
                break  # the command ended meanwhile
            end(number)
    os.close(reader)


def _next(reader: int) -> int:
    """The next signal; 0 if there will be none."""
    found = os.read(reader, 1)
    return found[0] if found else 0


_exit = os._exit
