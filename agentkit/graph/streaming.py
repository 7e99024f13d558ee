"""The events of a run as a stream, synchronous or asynchronous."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import aclosing
from queue import SimpleQueue
from typing import Any

from agentkit.aio import Running
from agentkit.graph.events import Event, Words


def pull(source: AsyncGenerator[Event]) -> Iterator[Event]:
    """Read an asynchronous stream from synchronous code; closing this iterator early also ends the stream."""
    found: SimpleQueue[Event | None] = SimpleQueue()

    async def drive() -> None:
        try:
            async with aclosing(source):
                async for event in source:
                    found.put(event)
        finally:
            found.put(None)

    running = Running(drive())
    try:
        while (event := found.get()) is not None:
            yield event
        running.future.result()
    finally:
        running.stop()


class Wording:
    """Passes events on, and turns a growing answer into `Words` events."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit, self._run_id, self._written = emit, "", ""

    def see(self, event: Event) -> None:
        self._run_id = event.run_id
        self._emit(event)

    def hear(self, text: str) -> None:
        """Take the answer as written so far."""
        at = len(self._written) if text.startswith(self._written) else 0
        if text != self._written:
            self._written = text
            self._emit(Words(run_id=self._run_id, text=text[at:], at=at))


Start = Callable[[Callable[[Event], None], Callable[[str], None]], Coroutine[Any, Any, Any]]
"""Starts a run, given a callback for its events and one for the answer written so far."""


async def events_of(start: Start) -> AsyncGenerator[Event]:
    """The events of a run; its error is raised after its last event."""
    queue: asyncio.Queue[Event | None] = asyncio.Queue()
    wording = Wording(queue.put_nowait)
    run = asyncio.ensure_future(start(wording.see, wording.hear))
    run.add_done_callback(lambda _done: queue.put_nowait(None))
    try:
        while (event := await queue.get()) is not None:
            yield event
        await run
    finally:
        if not run.done():
            run.cancel()
            await asyncio.wait([run])  # so that the run can record that it was interrupted
