"""Usage of model calls, and the budget that stops them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Self

from langchain_core.messages import AIMessage

from agentkit.errors import BudgetExceeded


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What one call used: tokens (cached ones are part of the input), US dollars, seconds."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0

    @classmethod
    def of(cls, message: AIMessage, *, seconds: float = 0.0) -> Self:
        """Read a message's `usage_metadata`, and the cost that hosted models put into `response_metadata`."""
        usage: dict[str, Any] = dict(message.usage_metadata or {})
        details = usage.get("input_token_details") or {}
        return cls(
            input_tokens=usage.get("input_tokens", 0),
            output_tokens=usage.get("output_tokens", 0),
            cached_tokens=details.get("cache_read") or 0,
            cost=float(message.response_metadata.get("cost") or 0.0),
            seconds=seconds,
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits of one run; None lifts a limit. `start` makes the meter that calls are charged to."""

    calls: int | None = None
    tokens: int | None = None
    cost: float | None = None
    seconds: float | None = None

    def start(self, *, calls: int = 0, tokens: int = 0, cost: float = 0.0) -> Meter:
        """A meter that has already counted what an interrupted run used."""
        return Meter(self, calls=calls, tokens=tokens, cost=cost)


class Meter:
    """Counts what calls use against a budget. A replayed call is free."""

    def __init__(self, budget: Budget, *, calls: int = 0, tokens: int = 0, cost: float = 0.0) -> None:
        self.budget = budget
        self.calls, self.tokens, self.cost = calls, tokens, cost
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def check(self) -> None:
        """Raise before a call that the budget does not allow.

        Raises:
            BudgetExceeded: names the limit, and how to raise it.
        """
        for name in ("calls", "tokens", "cost", "seconds"):
            limit, used = getattr(self.budget, name), getattr(self, name)
            if limit is not None and used >= limit:
                shown = f"{used:.4g}" if isinstance(used, float) else str(used)
                raise BudgetExceeded(f"the budget of {limit} {name} is used up ({shown}); raise it with  budget.{name}")

    def charge(self, usage: Usage) -> None:
        self.calls += 1
        self.tokens += usage.input_tokens + usage.output_tokens
        self.cost += usage.cost
