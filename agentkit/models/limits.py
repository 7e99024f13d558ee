"""How many calls may be in flight, and how many may start in a minute."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary


@dataclass
class Limits:
    """Shared by every caller of a model; one object serves several event loops.

    Args:
        concurrency: calls in flight at once.
        per_minute: calls started in a minute; None for no limit. They are spread evenly.
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
        """Wait for a place, then for the next start that the rate allows.

        Callers whose answers come at the same instant go on one by one: each may send its next request before the
        following one begins to work on its answer. Otherwise they would all wait for the work of all of them.
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
