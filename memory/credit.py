"""The effect of showing a case: an estimate with a 95 % interval, from the log of randomised withholding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agentkit.memory.exposures import Recall

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Credit:
    """The mean change in reward when a case is shown, over the runs it was offered to."""

    value: float
    low: float
    high: float
    n: int


def credit(shown: Array, probability: Array, outcome: Array, *, z: float = 1.96) -> Credit:
    """Augmented inverse-propensity estimate of one case's effect (Robins et al. 1994), cross-fitted on two halves.

    Args:
        shown, probability, outcome: for the runs that the case was offered to, shape (n,); probabilities strictly
            between 0 and 1.
    """
    n = len(outcome)
    if n < 4:
        return Credit(value=0.0, low=-1.0, high=1.0, n=n)
    scores = np.zeros(n)
    half = np.arange(n) % 2 == 0
    for mine in (half, ~half):
        on, off = (_mean(outcome[~mine & (shown == flag)], outcome) for flag in (1.0, 0.0))
        z1, p, r = shown[mine], probability[mine], outcome[mine]
        scores[mine] = on - off + z1 / p * (r - on) - (1 - z1) / (1 - p) * (r - off)
    value, error = float(scores.mean()), float(scores.std(ddof=1) / np.sqrt(n))
    return Credit(value=value, low=value - z * error, high=value + z * error, n=n)


def _mean(values: Array, fallback: Array) -> float:
    return float(values.mean()) if len(values) else float(fallback.mean())


def credits(recalls: Iterable[Recall]) -> dict[str, Credit]:
    """Credit by case id, from recalls with outcomes."""
    rows: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for recall in recalls:
        for offer in recall.offers:
            if recall.outcome is not None and 0 < offer.probability < 1:
                rows[offer.case_id].append((float(offer.shown), offer.probability, recall.outcome))
    return {id: credit(*np.array(found, dtype=float).T) for id, found in rows.items()}
