"""One event loop for the whole process, so that synchronous callers share its connections; work done at once.

`asyncio.run` per call would close a loop under the feet of clients that keep connections, which is the origin of
"Event loop is closed".
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, TypeVar

T = TypeVar("T")

GRACE = 1.0
"""Seconds that cancelled work is given to end before an interrupt goes on its way."""

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def background_loop() -> asyncio.AbstractEventLoop:
    """The process's own loop, started in a daemon thread the first time it is wanted."""
    global _loop
    with _lock:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="agentkit-loop", daemon=True).start()
            atexit.register(_close, _loop)
        return _loop


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """At the end of the process: end what is open on the loop, such as connections."""
    with suppress(TimeoutError, RuntimeError):
        asyncio.run_coroutine_threadsafe(loop.shutdown_asyncgens(), loop).result(timeout=2)


def submit(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Start a coroutine on the process's loop."""
    return asyncio.run_coroutine_threadsafe(work, background_loop())


def run_sync(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from synchronous code.

    An exception that reaches the waiting thread from outside, such as Ctrl-C, cancels the work and waits up to `GRACE`
    seconds until it has put its affairs in order.

    Raises:
        RuntimeError: called on the process's own loop, where it would wait for itself.
    """
    if threading.current_thread().name == "agentkit-loop":
        work.close()
        raise RuntimeError("a synchronous call inside the event loop: await the asynchronous twin instead")
    running = Running(work)
    try:
        return running.future.result()
    finally:
        running.stop()


class Running(Generic[T]):
    """A coroutine at work on the process's loop."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._ended = threading.Event()
        self.future = submit(self._watched(work))

    async def _watched(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await work
        finally:
            self._ended.set()

    def stop(self) -> None:
        """Cancel it if it is still at work, and wait up to `GRACE` seconds until it has ended."""
        if not self.future.done() and self.future.cancel():
            self._ended.wait(GRACE)


class Turns:
    """Lets work through in the order in which it took its numbers, whichever is ready first."""

    def __init__(self) -> None:
        self._taken = self._next = 0
        self._waiting: dict[int, asyncio.Event] = {}

    def take(self) -> int:
        """The next number."""
        self._taken += 1
        return self._taken - 1

    @asynccontextmanager
    async def turn(self, number: int) -> AsyncIterator[None]:
        """Wait until all with smaller numbers have had their turn. An error ends the queue: nobody comes after it."""
        if number != self._next:
            self._waiting[number] = asyncio.Event()
            await self._waiting[number].wait()
            del self._waiting[number]
        yield
        self._next += 1
        if self._next in self._waiting:
            self._waiting[self._next].set()


async def together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Work done at once: the results in the order given. An error cancels the rest and is raised as itself, not as a
    group of one."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except BaseExceptionGroup as errors:
        raise _first(errors) from None
    return [task.result() for task in tasks]


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
