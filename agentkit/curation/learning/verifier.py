"""The learned verifier: a calibrated probability that a person would accept a claim.

Ridge-penalised logistic regression on the signals of `signals.Signals`, whose weights are drawn towards a prior set by
hand: without any decision the prior alone speaks, and each decision moves it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from agentkit.confidence.logistic import chance, ridge_logistic
from agentkit.curation.learning.signals import Signals
from agentkit.json_types import JsonObject

PRIOR: Mapping[str, float] = {
    "checks": 0.8,
    "found": 1.0,
    "hedged": 0.2,
    "unsaid": -0.4,
    "denied": -1.0,
    "open": -0.8,
    "together": 0.2,
    "asserted": 0.6,
    "apart": -0.3,
    "title_subject": 0.4,
    "title_object": 0.4,
    "subject_rank": 0.4,
    "object_rank": 0.4,
    "late": 0.0,
    "rivals": -0.3,
    "verdict": 0.3,
    "disagreement": -0.5,
    "known": 1.0,
    "known_subject": 0.5,
    "known_object": 0.5,
    "between": 1.0,
    "sentence": 0.5,
    "named": 1.0,
    "beside": 0.3,
    "far": -0.2,
    "brief": -0.5,
}
"""Weights by hand: what a reader would expect, before any decision."""
_INTERCEPT = -0.6
_RIDGE = 5.0
_FOLDS = 5
LEAST = 5
"""Decisions of either kind that it takes to say how much was learnt."""


@dataclass(frozen=True, kw_only=True)
class Verifier:
    """A fitted verifier.

    Attributes:
        weights: of the signals, by name.
        intercept: log-odds where all signals are 0.
        decisions: claims that it was fitted on.
        accepted: how many of them were accepted.
        words: log-odds of the words of claims (see `learning.wording`).
        threshold: the probability from which on a claim that nothing else speaks for is taken.
    """

    weights: Mapping[str, float]
    intercept: float
    decisions: int = 0
    accepted: int = 0
    words: Mapping[str, float] = field(default_factory=dict)
    threshold: float = 0.5

    def probability(self, signals: Signals) -> float:
        """That a person would accept the claim; between 0 and 1."""
        values = zip(Signals.names(), signals.vector(), strict=True)
        odds = self.intercept + sum(self.weights.get(name, 0.0) * value for name, value in values)
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))

    def to_json(self) -> JsonObject:
        return vars(self) | {"weights": dict(self.weights), "words": dict(self.words)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**data)


def prior() -> Verifier:
    """The verifier of a knowledge base that nobody reviewed yet."""
    return Verifier(weights=dict(PRIOR), intercept=_INTERCEPT)


def fit(
    signals: Sequence[Signals],
    accepted: Sequence[bool],
    *,
    papers: Sequence[str] = (),
    words: Mapping[str, float] | None = None,
) -> Verifier:
    """A verifier that has learnt from decisions; the prior where there are none.

    Args:
        signals: of each claim that was decided on.
        accepted: the decisions, in the same order.
        papers: of each; with them, the threshold is learnt too.
        words: what the decisions tell of words.
    """
    if not signals:
        return prior()
    weights = _weights(np.array([item.vector() for item in signals]), np.array(accepted, dtype=float))
    named = {name: round(float(value), 6) for name, value in zip(Signals.names(), weights[1:], strict=True)}
    return Verifier(
        weights=named,
        intercept=round(float(weights[0]), 6),
        decisions=len(accepted),
        accepted=sum(accepted),
        words=dict(words or {}),
        threshold=best_threshold(cross_fitted(signals, accepted, papers), accepted) if papers else 0.5,
    )


def best_threshold(told: Sequence[float], accepted: Sequence[bool]) -> float:
    """The probability from which on claims are best taken, by F1 of decisions that the probabilities did not see, and
    never above a half; that where they are too few to tell.

    Args:
        told: of each claim, by verifiers that saw no decision about its paper (`cross_fitted`).
    """
    positive = sum(accepted)
    if min(positive, len(accepted) - positive) < LEAST:
        return 0.5
    order = sorted(zip(told, accepted, strict=True), reverse=True)
    hits, best, threshold = 0, 0.0, 0.5
    for taken, (probability, right) in enumerate(order, 1):
        hits += right
        if (f1 := 2 * hits / (taken + positive)) > best:
            below = order[taken][0] if taken < len(order) else 0.0
            best, threshold = f1, min(0.5, (probability + below) / 2)
    return round(threshold, 6)


def cross_fitted(signals: Sequence[Signals], accepted: Sequence[bool], papers: Sequence[str]) -> list[float]:
    """The probability of each claim by a verifier that saw no decision about its paper: five folds of papers."""
    data, target = np.array([item.vector() for item in signals]), np.array(accepted, dtype=float)
    place = {paper: number % _FOLDS for number, paper in enumerate(dict.fromkeys(papers))}
    fold = np.array([place[paper] for paper in papers])
    found = np.zeros(len(target))
    for number in range(_FOLDS):
        own, rest = fold == number, fold != number
        weights = _weights(data[rest], target[rest]) if rest.any() else _start()
        found[own] = chance(weights[0] + data[own] @ weights[1:])
    return [float(value) for value in found]


def _start() -> Any:
    return np.array([_INTERCEPT, *(PRIOR[name] for name in Signals.names())])


def _weights(data: Any, target: Any) -> Any:
    return ridge_logistic(data, target, _start(), ridge=_RIDGE, free=0.1)
