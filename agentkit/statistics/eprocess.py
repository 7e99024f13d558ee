"""Sequential tests that may be stopped at any moment: e-processes by betting.

The idea: whoever bets against a true hypothesis can't expect to win. So if the bettor's capital, which starts at 1,
ever reaches 1/α, the hypothesis can be rejected at level α, no matter how often one looked or when one stopped (Ville's
inequality; Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 2024). The capital
can be carried on with later data; that is how a quarantined change waits for more evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

from agentkit.json_types import JsonObject

_STAKES = ((0.9, 0.40), (0.7, 0.20), (0.5, 0.16), (0.3, 0.12), (0.15, 0.08), (0.06, 0.04))
"""Pairs of (fraction of the capital bet each time, share of the initial capital that bets it). A mixture of e-processes
is itself an e-process. High stakes suit changes that help and never harm (six wins in a row decide at 5 %); low stakes
suit mixed outcomes."""


class Betting:
    """An e-process against the hypothesis "the mean of x is at most `mean`", for values x in [-1, 1].

    Args:
        mean: the bound in the hypothesis, in (-1, 1).
    """

    def __init__(self, mean: float = 0.0) -> None:
        self.mean = mean
        self._parts = [weight for _, weight in _STAKES]

    @property
    def capital(self) -> float:
        """The evidence against the hypothesis so far; its expectation is at most 1 if the hypothesis is true."""
        return sum(self._parts)

    def add(self, x: float) -> float:
        """Bet on one value, which must lie in [-1, 1]."""
        scale = (x - self.mean) / (1 + self.mean)  # at least -1, so a stake below 1 never loses all of the capital
        self._parts = [part * (1 + stake * scale) for part, (stake, _) in zip(self._parts, _STAKES, strict=True)]
        return self.capital


Outcome = Literal["better", "worse", "useless", "open"]


@dataclass(kw_only=True)
class PairedTest:
    """A sequential test of scores with a change against scores without it, pair by pair, until the evidence decides.

    Attributes:
        level: the probability of calling a change better when it is not.
        min_effect: a mean gain below this counts as useless.
        stop_level: the probability of giving up a change that is worth `min_effect`, or of calling one harmful that is
            not.
        differences: score with the change minus score without it, in the order seen.
        curve: the capital of the bet on a gain, after each difference.
    """

    level: float = 0.05
    min_effect: float = 0.03
    stop_level: float = 0.1
    differences: list[float] = field(default_factory=list)
    best: float = 1.0
    curve: list[float] = field(default_factory=list)
    outcome: Outcome = "open"

    def __post_init__(self) -> None:
        # Three bettors see the same pairs. One bets that the change helps (against "the mean is at most 0"), one that
        # it harms (the same with the signs reversed), and one that it is not worth having (against "the mean is at
        # least `min_effect`"). The first whose capital is large enough decides.
        self._gain, self._harm, self._small = Betting(0.0), Betting(0.0), Betting(-self.min_effect)
        known, self.differences = self.differences, []
        for difference in known:
            self.add(difference)

    def add(self, difference: float) -> Outcome:
        """Add one pair; once the outcome is decided it stays."""
        self.differences.append(difference)
        self.best = max(self.best, self._gain.add(difference))
        self.curve.append(round(self._gain.capital, 3))
        harm, small = self._harm.add(-difference), self._small.add(-difference)
        if self.outcome == "open":
            if self._gain.capital >= 1 / self.level:
                self.outcome = "better"
            elif harm >= 1 / self.stop_level:
                self.outcome = "worse"
            elif small >= 1 / self.stop_level:
                self.outcome = "useless"
        return self.outcome

    def hopeless(self, remaining: int) -> bool:
        """Whether not even a win on every remaining pair could decide in favour of the change."""
        probe = Betting(0.0)  # a copy of the first bettor, which wins every bet from here on
        probe._parts = list(self._gain._parts)
        return all(probe.add(1.0) < 1 / self.level for _ in range(remaining)) if remaining else True

    def to_json(self) -> JsonObject:
        """The evidence for a verdict: counts, test, interval."""
        wins, losses = sum(d > 0 for d in self.differences), sum(d < 0 for d in self.differences)
        low, high = mean_interval(self.differences)
        return {
            "test": "paired betting e-process",
            "pairs": len(self.differences),
            "wins": wins,
            "losses": losses,
            "ties": len(self.differences) - wins - losses,
            "mean": sum(self.differences) / max(1, len(self.differences)),
            "interval": [low, high],
            "e_value": round(self._gain.capital, 4),
            "e_harm": round(self._harm.capital, 4),
            "threshold": round(1 / self.level, 2),
            "outcome": self.outcome,
            "curve": self.curve[-400:],
        }

    @classmethod
    def of(cls, differences: Iterable[float], *, level: float = 0.05, stop_level: float = 0.1) -> Self:
        """The test after a series of differences."""
        return cls(differences=list(differences), level=level, stop_level=stop_level)


def mean_interval(values: Sequence[float], *, level: float = 0.05) -> tuple[float, float]:
    """A confidence interval for the mean of values in [-1, 1] that is valid whenever one stops.

    It inverts `Betting` by bisection over the mean, with level / 2 on each side.
    """
    if not values:
        return -1.0, 1.0
    low, high = _lower(values, level / 2), -_lower([-x for x in values], level / 2)
    return (low, high) if low <= high else (high, low)


def _lower(values: Sequence[float], level: float) -> float:
    """The lower confidence bound: the smallest mean not rejected by betting that the true one is larger."""
    lowest, highest = -0.999, 0.999
    for _ in range(12):  # capital falls as the hypothesised mean rises, so bisection finds the border
        middle = (lowest + highest) / 2
        if _peak(values, middle) >= 1 / level:
            lowest = middle
        else:
            highest = middle
    return round(lowest, 3) if lowest > -0.999 else -1.0


def _peak(values: Sequence[float], mean: float) -> float:
    bet = Betting(mean)
    return max(bet.add(x) for x in values)
