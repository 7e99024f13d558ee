"""The learned verifier: a calibrated probability that a person would accept a claim.

Ridge-penalised logistic regression on the signals of `signals.Signals`, with weights shrunk towards a prior set by
hand: without decisions the prior alone counts, and each decision moves the weights away from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from agentkit.confidence.logistic import chance, ridge_logistic
from agentkit.curation.learning.signals import Signals
from agentkit.json_types import JsonObject
from agentkit.statistics.odds import probability_of

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
"""Prior weights set by hand: what a reader would expect before any decision."""
_INTERCEPT = -0.6
_RIDGE = 5.0
_FOLDS = 5
LEAST = 5
"""The fewest decisions of each kind needed to say how much was learnt."""


@dataclass(frozen=True, kw_only=True)
class Verifier:
    """A fitted verifier.

    Attributes:
        weights: the weights of the signals, by name.
        intercept: the log-odds if all signals are 0.
        decisions: the number of claims that it was fitted to.
        accepted: how many of them were accepted.
        words: the log-odds of words in claims (see `learning.wording`).
        threshold: the lowest probability at which a claim is taken when nothing but the verifier judges it.
    """

    weights: Mapping[str, float]
    intercept: float
    decisions: int = 0
    accepted: int = 0
    words: Mapping[str, float] = field(default_factory=dict)
    threshold: float = 0.5

    def probability(self, signals: Signals) -> float:
        """The probability, between 0 and 1, that a person would accept the claim."""
        values = zip(Signals.names(), signals.vector(), strict=True)
        odds = self.intercept + sum(self.weights.get(name, 0.0) * value for name, value in values)
        return probability_of(odds)

    def to_json(self) -> JsonObject:
        return vars(self) | {"weights": dict(self.weights), "words": dict(self.words)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**data)


def prior() -> Verifier:
    """The verifier of a knowledge base that nobody has reviewed yet."""
    return Verifier(weights=dict(PRIOR), intercept=_INTERCEPT)


def fit(
    signals: Sequence[Signals],
    accepted: Sequence[bool],
    *,
    papers: Sequence[str] = (),
    words: Mapping[str, float] | None = None,
) -> Verifier:
    """Fit a verifier to decisions; the prior if there are none.

    Args:
        signals: the signals of each claim that was decided about.
        accepted: the decisions, in the same order.
        papers: the paper of each claim; if given, the threshold is learnt too.
        words: the log-odds of words, from the decisions.
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
        threshold=_threshold(signals, accepted, papers) if papers else 0.5,
    )


def _threshold(signals: Sequence[Signals], accepted: Sequence[bool], papers: Sequence[str]) -> float:
    """The best threshold where a claim whose quote does not support it is never taken."""
    told = cross_fitted(signals, accepted, papers)
    return best_threshold([p if item.carried else 0.0 for p, item in zip(told, signals, strict=True)], accepted)


def best_threshold(told: Sequence[float], accepted: Sequence[bool]) -> float:
    """The threshold on the probability with the best F1 on held-out decisions, at most one half; one half if there are
    too few decisions.

    Args:
        told: the probability of each claim, by verifiers that saw no decision about its paper (`cross_fitted`); 0 for
            one that is never taken.
    """
    positive = sum(accepted)
    if min(positive, len(accepted) - positive) < LEAST:
        return 0.5
    order = sorted(zip(told, accepted, strict=True), reverse=True)
    hits, best, threshold = 0, 0.0, 0.5
    for taken, (probability, right) in enumerate(order, 1):
        if not probability:
            break
        hits += right
        if (f1 := 2 * hits / (taken + positive)) > best:
            below = order[taken][0] if taken < len(order) else 0.0
            best, threshold = f1, min(0.5, (probability + below) / 2)
    return round(threshold, 6)


def cross_fitted(signals: Sequence[Signals], accepted: Sequence[bool], papers: Sequence[str]) -> list[float]:
    """The probability of each claim by a verifier that saw no decision about its paper (five folds over papers)."""
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
