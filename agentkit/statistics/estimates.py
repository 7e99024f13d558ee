"""Fixed-sample tests and intervals for reports: proportions, paired differences, slopes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from agentkit.json_types import JsonObject


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value with its 95 % confidence interval and the number of items behind it."""

    value: float
    low: float
    high: float
    n: int

    def to_json(self) -> JsonObject:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, kw_only=True)
class PairedComparison:
    """Scores after a change against scores before it, on the same items.

    Attributes:
        difference: the mean difference, with a paired bootstrap interval.
        wins, losses, ties: how many items got better, got worse, or stayed the same.
        p: the two-sided exact McNemar (sign) test on the items that changed.
        before, after: the two means.
    """

    difference: Estimate
    wins: int
    losses: int
    ties: int
    p: float
    before: float
    after: float

    def to_json(self) -> JsonObject:
        return asdict(self)


def proportion(scores: Sequence[float]) -> Estimate:
    """The mean of scores in [0, 1], with a Wilson interval if all are 0 or 1, otherwise a bootstrap interval."""
    if not scores:
        return Estimate(value=float("nan"), low=0.0, high=1.0, n=0)
    if all(score in (0.0, 1.0) for score in scores):
        return wilson(int(sum(scores)), len(scores))
    return bootstrap_mean(scores)


def wilson(hits: int, n: int) -> Estimate:
    """A proportion with its Wilson score interval."""
    z, p = 1.959963985, hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return Estimate(value=p, low=min(p, max(0.0, middle - half)), high=max(p, min(1.0, middle + half)), n=n)


def difference(after: tuple[int, int], before: tuple[int, int]) -> Estimate:
    """The difference of two shares of different items, each given as hits and number, with Newcombe's interval
    (Statistics in Medicine 17 (1998), method 10)."""
    one, other = wilson(*after), wilson(*before)
    value = one.value - other.value
    low = value - ((one.value - one.low) ** 2 + (other.high - other.value) ** 2) ** 0.5
    high = value + ((one.high - one.value) ** 2 + (other.value - other.low) ** 2) ** 0.5
    return Estimate(value=value, low=low, high=high, n=after[1] + before[1])


def bootstrap_mean(values: Sequence[float], *, resamples: int = 4000, seed: int = 0) -> Estimate:
    """A mean with its percentile bootstrap interval."""
    if not values:
        return Estimate(value=float("nan"), low=float("nan"), high=float("nan"), n=0)
    data = np.asarray(values, dtype=float)
    draws = _resample(data, resamples, seed).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(value=float(data.mean()), low=float(low), high=float(high), n=len(data))


def paired(after: Sequence[float], before: Sequence[float], *, seed: int = 0) -> PairedComparison:
    """Compare two arms on the same items, in the same order."""
    differences = [a - b for a, b in zip(after, before, strict=True)]
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    return PairedComparison(
        difference=bootstrap_mean(differences, seed=seed),
        wins=wins,
        losses=losses,
        ties=len(differences) - wins - losses,
        p=mcnemar_exact(wins, losses),
        before=float(np.mean(before)) if before else float("nan"),
        after=float(np.mean(after)) if after else float("nan"),
    )


def mcnemar_exact(wins: int, losses: int) -> float:
    """The two-sided exact McNemar test: a sign test on discordant pairs."""
    from scipy.stats import binomtest

    return 1.0 if wins + losses == 0 else float(binomtest(wins, wins + losses, 0.5).pvalue)


def slope(values: Sequence[float], *, resamples: int = 2000, seed: int = 0) -> Estimate:
    """The least-squares change per item in a series, with a bootstrap interval over items."""
    n = len(values)
    if n < 3:
        return Estimate(value=0.0, low=0.0, high=0.0, n=n)
    data, index = np.asarray(values, dtype=float), np.arange(n, dtype=float)
    picks = np.random.default_rng(seed).integers(0, n, size=(resamples, n))
    x, y = index[picks], data[picks]
    x = x - x.mean(axis=1, keepdims=True)
    spread = (x * x).sum(axis=1)
    draws = ((x * y).sum(axis=1) / np.where(spread == 0, 1.0, spread))[spread > 0]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(value=float(np.polyfit(index, data, 1)[0]), low=float(low), high=float(high), n=n)


def _resample(data: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).choice(data, size=(resamples, len(data)))
