"""Limits that all workers share when they call hosted models: one rate of calls and one budget."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from agentkit.errors import AgentKitError, UserError
from agentkit.models.budget import Budget, Meter, Usage
from agentkit.models.limits import Limits


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Limits of all workers together; None means no limit.

    Attributes:
        per_minute: the most calls started per minute, spread evenly.
        budget: the most that all workers together may use.
    """

    per_minute: float | None = None
    budget: Budget = field(default_factory=Budget)

    @property
    def any(self) -> bool:
        """Whether any limit is set."""
        return self.per_minute is not None or self.budget != Budget()


class Purse:
    """The actor that keeps the shared limits. It lives on the driver's machine and ends with the driver."""

    def __init__(self, shared: Shared) -> None:
        self._meter = shared.budget.start()
        self._gap = 0.0 if shared.per_minute is None else 60 / shared.per_minute
        self._next = 0.0

    async def enter(self) -> tuple[float, str]:
        """Ask to start a call; returns the seconds to wait, and why the call may not start (empty if it may)."""
        if refused := await self.spent():
            return 0.0, refused
        now = time.monotonic()
        start = max(now, self._next)
        self._next = start + self._gap
        return start - now, ""

    async def spent(self) -> str:
        """Why no further call may start; empty if one may."""
        return self._meter.spent

    async def charge(self, calls: int, tokens: int, cost: float) -> None:
        """Add what calls have used, with their cost in US dollars."""
        self._meter.calls += calls
        self._meter.tokens += tokens
        self._meter.cost += cost


class PurseSpent(UserError):
    """The budget of all workers together is used up."""


class SharedLimits(Limits):
    """A worker's slots for calls, each of which starts when the purse allows it.

    Args:
        purse: the actor that keeps the shared limits.
        concurrency: the most calls of this worker in flight.
        error: the exception to raise when the shared budget is used up.
    """

    def __init__(self, purse: Any, concurrency: int, *, error: type[AgentKitError] | None = None) -> None:
        super().__init__(concurrency=concurrency)
        self._purse, self._error = purse, error or PurseSpent

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """A slot for one call, as in `Limits`.

        Raises:
            PurseSpent: the shared budget is used up; `error` is raised instead if one was given.
        """
        async with super().slot():
            wait, refused = await self._purse.enter.remote()
            if refused:
                raise self._error(f"shared by all workers, {refused}; a new start repeats no finished work")
            if wait > 0:
                await asyncio.sleep(wait)
            yield


class SharedMeter(Meter):
    """Counts what a worker's calls use, here and in the purse."""

    def __init__(self, purse: Any, budget: Budget, *, calls: int = 0, tokens: int = 0, cost: float = 0.0) -> None:
        super().__init__(budget, calls=calls, tokens=tokens, cost=cost)
        self._purse = purse

    def charge(self, usage: Usage) -> None:
        super().charge(usage)
        self._purse.charge.remote(1, usage.input_tokens + usage.output_tokens, usage.cost)
