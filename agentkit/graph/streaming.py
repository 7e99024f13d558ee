"""The events of a run as a stream, asynchronous or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

from agentkit.aio import run_sync
from agentkit.graph.events import Event


def pull(source: AsyncGenerator[Event]) -> Iterator[Event]:
    """An asynchronous stream read from synchronous code."""

    async def step() -> Event | None:
        return await anext(source, None)

    try:
        while (event := run_sync(step())) is not None:
            yield event
    finally:
        run_sync(source.aclose())


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
        run.cancel()
