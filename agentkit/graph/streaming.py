"""The events of a run as a stream, asynchronous or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from queue import SimpleQueue
from typing import Any

from agentkit.aio import Running
from agentkit.graph.events import Event


def pull(source: AsyncGenerator[Event]) -> Iterator[Event]:
    """An asynchronous stream read from synchronous code; closed early, it ends the stream."""
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


async def events_of(start: Callable[[Callable[[Event], None]], Any]) -> AsyncGenerator[Event]:
    """The events of a run that is started with an `emit`; its error is raised after its last event."""
    queue: asyncio.Queue[Event | None] = asyncio.Queue()
    run = asyncio.ensure_future(start(queue.put_nowait))
    run.add_done_callback(lambda _done: queue.put_nowait(None))
    try:
        while (event := await queue.get()) is not None:
            yield event
        await run
    finally:
        if not run.done():
            run.cancel()
            await asyncio.wait([run])  # it records that it was interrupted
