"""The learned judgement on top of a ranking: is a case worth showing here, how sure is that, and what did it change?

The reward of a run is modelled as  r = ψ(s)·β + Σ over the cases shown of (φ(s, c)·θ + e_c) + noise:  β is how easy the
task is, θ what similarity and the like are worth, e_c what this very case adds. Beliefs are Gaussian and are updated by
one Kalman step a run; the e_c are kept apart from θ and from each other (assumed-density filtering), which costs O(k).
The prior says that cases close by help a little, so that an untaught judgement is plain similarity.

Each case is shown with the probability that it helps (Thompson sampling made explicit), held off 0 and 1. That
withholding is random with known probability: it is what tells a case's own effect from that of the company it kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import erf, sqrt
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ValueSettings:
    """How the judgement believes and explores.

    Attributes:
        noise: variance of a run's reward about its mean.
        effect: prior variance of what one case adds beyond its features.
        drift: variance that an effect gains between two runs that show it, so that a changed world is noticed.
        caution: sharpens the chance that a case helps; 1 is Thompson sampling, more explores less and harms less.
        floor: least and, from one, greatest probability of showing a chosen case.
        cost: reward that a shown case must be worth, for its tokens.
        known: a case whose effect's deviation is below this is no longer explored beyond `floor_known`.
    """

    noise: float = 0.2
    effect: float = 0.006
    drift: float = 5e-5
    floor: float = 0.02
    caution: float = 1.7
    floor_known: float = 0.01
    known: float = 0.1
    cost: float = 0.0


PRIOR_MEAN = (0.02, 0.10)
PRIOR_VARIANCE = (0.01, 0.02)
"""Of θ for (1, relevance): a fully relevant case is believed to add 0.12 to the reward, give or take 0.17."""
BASELINE = 2
"""Features of β: (1, relevance of the best case)."""
FEATURES = len(PRIOR_MEAN)


@dataclass
class Value:
    """Beliefs over β, θ and the effects of cases."""

    mean: Array = field(default_factory=lambda: np.array([0.5, 0.0, *PRIOR_MEAN]))
    covariance: Array = field(default_factory=lambda: np.diag([0.1, 0.05, *PRIOR_VARIANCE]))
    effects: dict[str, tuple[float, float]] = field(default_factory=dict)
    """(mean, variance) by case id."""
    count: int = 0
    settings: ValueSettings = field(default_factory=ValueSettings)

    def judge(self, ids: Sequence[str], features: Array) -> tuple[Array, Array]:
        """What each case is believed to add, and the deviation of that belief; features of shape (n, FEATURES)."""
        theta, cov = self.mean[BASELINE:], self.covariance[BASELINE:, BASELINE:]
        own = np.array([self.effects.get(id, (0.0, self.settings.effect)) for id in ids]).reshape(-1, 2)
        mean = features @ theta + own[:, 0]
        variance = np.einsum("ij,jk,ik->i", features, cov, features) + own[:, 1]
        return mean, np.sqrt(variance)

    def probabilities(self, mean: Array, deviation: Array) -> Array:
        """With what probability to show each case: that it helps, held off 0 and 1."""
        wanted = np.array(
            [_phi(self.settings.caution * (m - self.settings.cost) / d) for m, d in zip(mean, deviation, strict=True)]
        )
        floor = np.where(deviation < self.settings.known, self.settings.floor_known, self.settings.floor)
        probabilities: Array = np.clip(wanted, floor, 1 - floor)
        return probabilities

    def predict(self, relevance: float, ids: Sequence[str], features: Array) -> float:
        """The reward expected of a run that is shown these cases."""
        added = self.judge(ids, features)[0].sum() if len(ids) else 0.0
        return float(self.mean[:BASELINE] @ (1.0, relevance) + added)

    def update(self, relevance: float, ids: Sequence[str], features: Array, reward: float) -> None:
        """Take in one outcome of a run that was shown these cases (and no others)."""
        options = self.settings
        x = np.concatenate([[1.0, relevance], features.sum(axis=0) if len(ids) else np.zeros(FEATURES)])
        own = [self.effects.get(id, (0.0, options.effect)) for id in ids]
        spread = [min(variance + options.drift, options.effect) for _, variance in own]
        gain = self.covariance @ x
        total = options.noise + float(x @ gain) + sum(spread)
        surprise = reward - float(x @ self.mean) - sum(mean for mean, _ in own)
        self.mean = self.mean + gain * (surprise / total)
        self.covariance = self.covariance - np.outer(gain, gain) / total
        self.covariance[range(BASELINE), range(BASELINE)] += options.drift
        for id, (mean, _), variance in zip(ids, own, spread, strict=True):
            self.effects[id] = (mean + variance / total * surprise, variance - variance**2 / total)
        self.count += 1

    def head(self) -> bytes:
        """Everything but the effects, as bytes."""
        data = {"mean": self.mean.tolist(), "covariance": self.covariance.tolist(), "count": self.count}
        return json.dumps(data).encode()

    @classmethod
    def load(
        cls, head: bytes | None, effects: dict[str, tuple[float, float]], settings: ValueSettings | None = None
    ) -> Self:
        value = cls(effects=effects, settings=settings or ValueSettings())
        if head is not None:
            data: dict[str, Any] = json.loads(head)
            value.mean, value.covariance = np.array(data["mean"]), np.array(data["covariance"])
            value.count = data["count"]
        return value


def _phi(x: float) -> float:
    return 0.5 * (1 + erf(x / sqrt(2)))
