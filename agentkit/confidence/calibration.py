"""From signals to a probability: logistic regression on recorded outcomes (Platt 1999), with a strong prior.

A few dozen outcomes are enough for nine standardised signals, because the prior holds the weights near a starting
point at which only the answer's log-probability counts. A signal that is not known counts as average.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

import numpy as np

from agentkit.confidence.features import Features
from agentkit.confidence.logistic import chance, ridge_logistic
from agentkit.errors import DataError
from agentkit.json_types import JsonObject
from agentkit.statistics.odds import probability_of

LEAST_OUTCOMES = 40
"""The least number of outcomes for a calibration."""
LEAST_OF_A_KIND = 5
"""How many of them must be right, and how many wrong."""
_RIDGE = 1.0
_FOLDS = 5


class Confidence(Protocol):
    """Estimates how likely an answer is right."""

    def probability(self, features: Features) -> float:
        """A probability between 0 and 1."""
        ...


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A fitted confidence model.

    Attributes:
        model: the language model whose answers it was fitted on.
        weights: by name of the standardised signal.
        intercept: the log-odds for an answer with average signals.
        means, scales: for standardising the signals.
        outcomes: how many answers it was fitted on.
        right: how many of them were right.
        embedder: the one by which inputs were compared with options; empty if none were.
    """

    model: str
    weights: Mapping[str, float]
    intercept: float
    means: Mapping[str, float]
    scales: Mapping[str, float]
    outcomes: int
    right: int
    embedder: str = ""

    def probability(self, features: Features) -> float:
        values = zip(Features.names(), features.vector(), strict=True)
        known = [(name, value) for name, value in values if name in self.weights and not math.isnan(value)]
        z = sum(self.weights[name] * (value - self.means[name]) / self.scales[name] for name, value in known)
        return probability_of(self.intercept + z)

    def to_json(self) -> JsonObject:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**data)


def fit(features: Sequence[Features], scores: Sequence[float], *, model: str, embedder: str = "") -> Calibration:
    """Fit a calibration.

    Args:
        features: the signals of each answer.
        scores: 1 for right, 0 for wrong; a score in between counts partly as each.
        model: the model that gave the answers.
        embedder: the one by which inputs were compared with options; empty if none were.

    Raises:
        DataError: too few outcomes, or too few right or wrong ones; says how many are needed.
    """
    check_enough(scores)
    data, target = np.array([item.vector() for item in features]), np.array(scores, dtype=float)
    means, scales = _standard(data)
    weights = _logistic(np.nan_to_num((data - means) / scales), target)
    names = Features.names()
    return Calibration(
        model=model,
        weights=_named(names, weights[1:]),
        intercept=round(float(weights[0]), 6),
        means=_named(names, means),
        scales=_named(names, scales),
        outcomes=len(scores),
        right=round(sum(scores)),
        embedder=embedder,
    )


def cross_fitted(features: Sequence[Features], scores: Sequence[float]) -> list[float]:
    """The confidence in each answer according to a calibration fitted without it: five folds; every fifth answer is in
    the same fold.

    Raises:
        DataError: as for `fit`.
    """
    check_enough(scores)
    data, target = np.array([item.vector() for item in features]), np.array(scores, dtype=float)
    place = np.arange(len(scores)) % _FOLDS
    found = np.zeros(len(scores))
    for fold in range(_FOLDS):
        own, rest = place == fold, place != fold
        means, scales = _standard(data[rest])
        standard = np.nan_to_num((data - means) / scales)
        weights = _logistic(standard[rest], target[rest])
        found[own] = weights[0] + standard[own] @ weights[1:]
    return [float(value) for value in chance(found)]


def check_enough(scores: Sequence[float]) -> None:
    """Raises DataError if there are too few outcomes to calibrate on."""
    right, wrong = sum(score >= 0.5 for score in scores), sum(score < 0.5 for score in scores)
    if len(scores) < LEAST_OUTCOMES or min(right, wrong) < LEAST_OF_A_KIND:
        raise DataError(
            f"too few outcomes to calibrate on: {right} right and {wrong} wrong; "
            f"{LEAST_OUTCOMES} are needed, at least {LEAST_OF_A_KIND} of each kind"
        )


def _standard(data: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The mean and the scale of each signal, of the answers for which it is known."""
    known = np.isfinite(data)
    counts = np.maximum(known.sum(axis=0), 1)
    means = np.where(known, data, 0.0).sum(axis=0) / counts
    scales = np.sqrt((np.where(known, data - means, 0.0) ** 2).sum(axis=0) / counts)
    return means, np.where(scales < 1e-9, 1.0, scales)


def _logistic(data: np.ndarray[Any, Any], target: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The weights, intercept first; all but the intercept are pulled towards the starting point."""
    start = np.zeros(data.shape[1] + 1)
    start[1] = 1.0  # the weight of `total`, the first signal
    return ridge_logistic(data, target, start, ridge=_RIDGE)


def _named(names: Sequence[str], values: np.ndarray[Any, Any]) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in zip(names, values, strict=True)}
