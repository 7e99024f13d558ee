"""Limits on how many calls are in flight, and on how many start per minute."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary


@dataclass
class Limits:
    """Limits shared by all callers of a model; one object works with several event loops.

    Args:
        concurrency: the most calls in flight at once.
        per_minute: the most calls started per minute, spread evenly; None for no limit.
    """

    concurrency: int = 8
    per_minute: float | None = None
    _slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = field(
        default_factory=WeakKeyDictionary, repr=False
    )
    _turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = field(
        default_factory=WeakKeyDictionary, repr=False
    )
    _next_start: float = 0.0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a free slot, and then for the next start that the rate allows.

        Callers whose answers arrive at the same instant leave one by one, so that each can send its next request before
        the following one starts processing its answer. Otherwise each would wait for the processing of all the others.
        """
        loop = asyncio.get_running_loop()
        semaphore = self._slots.setdefault(loop, asyncio.Semaphore(self.concurrency))
        async with semaphore:
            if self.per_minute is not None:
                await self._pace(60 / self.per_minute)
            yield
        async with self._turns.setdefault(loop, asyncio.Lock()):
            await asyncio.sleep(0)

    async def _pace(self, gap: float) -> None:
        now = time.monotonic()
        start = max(now, self._next_start)
        self._next_start = start + gap
        await asyncio.sleep(start - now)
