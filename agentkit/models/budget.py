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
            input_tokens=_count(usage.get("input_tokens")),
            output_tokens=_count(usage.get("output_tokens")),
            cached_tokens=_count(details.get("cache_read")),
            cost=max(0.0, float(message.response_metadata.get("cost") or 0.0)),
            seconds=seconds,
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__})


def _count(value: object) -> int:
    """A number of tokens that can be added up, whatever a model's class gives."""
    return max(0, int(value)) if isinstance(value, int) else 0


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

    @property
    def left(self) -> float | None:
        """Seconds until the budget ends; None where it has no such limit."""
        return None if self.budget.seconds is None else max(0.0, self.budget.seconds - self.seconds)

    def check(self, after: Exception | None = None) -> None:
        """Raise before a call that the budget does not allow, with what went wrong before it.

        Raises:
            BudgetExceeded: names the limit, and how to raise it.
        """
        for name in ("calls", "tokens", "cost", "seconds"):
            limit, used = getattr(self.budget, name), getattr(self, name)
            if limit is not None and used >= limit:
                raise self.used_up(name, after)

    def used_up(self, name: str, after: Exception | None = None) -> BudgetExceeded:
        """The error for a limit that is reached, after what, where something had gone wrong before."""
        used = getattr(self, name)
        shown = f"{used:.4g}" if isinstance(used, float) else str(used)
        line = f"the budget of {getattr(self.budget, name)} {name} is used up ({shown}); raise it with  budget.{name}"
        return BudgetExceeded(line if after is None else f"{line}; before that: {after}")

    def charge(self, usage: Usage) -> None:
        self.calls += 1
        self.tokens += usage.input_tokens + usage.output_tokens
        self.cost += usage.cost
