"""Usage of model calls, and the budget that limits it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Self

from langchain_core.messages import AIMessage

from agentkit.errors import BudgetExceeded


@dataclass(frozen=True, kw_only=True)
class Usage:
    """The usage of one call: tokens (the cached ones are part of the input), US dollars, seconds."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0

    @classmethod
    def of(cls, message: AIMessage, *, seconds: float = 0.0) -> Self:
        """Read a message's `usage_metadata`, and the cost that hosted models add to `response_metadata`."""
        usage: dict[str, Any] = dict(message.usage_metadata or {})
        details = usage.get("input_token_details") or {}
        return cls(
            input_tokens=_count(usage.get("input_tokens")),
            output_tokens=_count(usage.get("output_tokens")),
            cached_tokens=_count(details.get("cache_read")),
            cost=max(0.0, float(message.response_metadata.get("cost") or 0.0)),
            seconds=seconds,
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__})


def _count(value: object) -> int:
    """A valid token count, whatever the model's class returned."""
    return max(0, int(value)) if isinstance(value, int) else 0


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits for one run; None means no limit. `start` creates the meter that calls are charged to."""

    calls: int | None = None
    tokens: int | None = None
    cost: float | None = None
    seconds: float | None = None

    def start(self, *, calls: int = 0, tokens: int = 0, cost: float = 0.0) -> Meter:
        """A meter that starts with what an interrupted run has already used."""
        return Meter(self, calls=calls, tokens=tokens, cost=cost)


class Meter:
    """Counts usage against a budget. Replayed calls are free."""

    def __init__(self, budget: Budget, *, calls: int = 0, tokens: int = 0, cost: float = 0.0) -> None:
        self.budget = budget
        self.calls, self.tokens, self.cost = calls, tokens, cost
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def left(self) -> float | None:
        """Seconds left in the budget; None if it sets no time limit."""
        return None if self.budget.seconds is None else max(0.0, self.budget.seconds - self.seconds)

    def check(self, after: Exception | None = None) -> None:
        """Raise if the budget does not allow another call, mentioning the error that preceded it, if any.

        Raises:
            BudgetExceeded: names the limit and how to raise it.
        """
        if (name := self._exhausted) is not None:
            raise self.used_up(name, after)

    @property
    def spent(self) -> str:
        """Why the budget allows no further call; empty if it does."""
        name = self._exhausted
        return "" if name is None else str(self.used_up(name))

    @property
    def _exhausted(self) -> str | None:
        """The first limit that is reached."""
        for name in ("calls", "tokens", "cost", "seconds"):
            limit = getattr(self.budget, name)
            if limit is not None and getattr(self, name) >= limit:
                return name
        return None

    def used_up(self, name: str, after: Exception | None = None) -> BudgetExceeded:
        """The error for an exhausted limit, mentioning the error that preceded it, if any."""
        used = getattr(self, name)
        shown = f"{used:.4g}" if isinstance(used, float) else str(used)
        line = f"the budget of {getattr(self.budget, name)} {name} is used up ({shown}); raise it with  budget.{name}"
        return BudgetExceeded(line if after is None else f"{line}; before that: {after}")

    def charge(self, usage: Usage) -> None:
        self.calls += 1
        self.tokens += usage.input_tokens + usage.output_tokens
        self.cost += usage.cost
