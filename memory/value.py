"""The effect model on top of a ranking: is a case worth showing here, how certain is that, and what did it change?

The reward of a run is modelled as  r = ψ(s)·β + Σ over the cases shown of (φ(s, c)·θ + e_c) + noise.  Here β is how
easy the task is, θ what similarity and other features are worth, and e_c what this particular case adds. Beliefs are
Gaussian and are updated with one Kalman step per run; the e_c are kept independent of θ and of each other
(assumed-density filtering), which costs O(k). The prior says that similar cases help a little, so that an untrained
model amounts to plain similarity. How much cases differ, which is the prior variance of the e_c, is itself learnt from
all of them (the moment estimate of DerSimonian and Laird 1986): if they turn out alike, noise no longer reorders a
ranking; if they differ, the good ones are soon known.

Each case is shown with the probability that it helps (Thompson sampling made explicit), bounded away from 0 and 1. So
withholding is random with a known probability, which is what separates a case's own effect from that of the cases shown
with it.

A series of rewards below expectation (a cumulative sum of surprises, Page 1954) means that the world has changed: what
is known about each case then counts for little, and the model explores again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import erf, sqrt
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from agentkit.json_types import JsonObject

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ValueSettings:
    """Parameters of beliefs and exploration.

    Attributes:
        noise: the variance of a run's reward around its mean.
        effect: the prior variance of cases' effects.
        effect_weight: how much evidence that prior is worth, in units of one over a reward's variance.
        forget: the share of a case's evidence that fades with each new run that shows it.
        drift: the variance added to β with each run.
        caution: sharpens the probability that a case helps; 1 is Thompson sampling, more explores less and does less
            harm.
        floor: lowest probability of showing a chosen case; one minus this is the highest.
        cost: the reward that a shown case must be worth, for its tokens.
        slack, alarm: of the cumulative sum of surprises, in standard deviations; larger values notice changes later and
            raise fewer false alarms.
        keep: the share of the evidence about each case that survives a change of the world.
        stir: the share of θ's prior variance that is restored at a change of the world.
    """

    noise: float = 0.2
    effect: float = 0.006
    effect_weight: float = 200.0
    forget: float = 0.01
    drift: float = 5e-5
    floor: float = 0.01
    caution: float = 1.4
    cost: float = 0.0
    slack: float = 0.3
    alarm: float = 9.0
    keep: float = 0.02
    stir: float = 0.3


PRIOR_MEAN = (0.02, 0.10)
PRIOR_VARIANCE = (0.01, 0.02)
"""Of θ for (1, relevance): a fully relevant case is believed to add 0.12 to the reward, give or take 0.17."""
BASELINE = 2
"""Features of β: (1, relevance of the best case)."""
FEATURES = len(PRIOR_MEAN)


class EffectEvidence(NamedTuple):
    """The evidence from runs about one case's effect: a Gaussian likelihood in natural parameters."""

    precision: float = 0.0
    shift: float = 0.0
    """Precision times the estimate."""
    world: int = 0
    """How many changes of the world had been noticed at the time."""


@dataclass
class EffectModel:
    """Beliefs over β, θ and the effects of cases."""

    mean: Array = field(default_factory=lambda: np.array([0.5, 0.0, *PRIOR_MEAN]))
    covariance: Array = field(default_factory=lambda: np.diag([0.1, 0.05, *PRIOR_VARIANCE]))
    effects: dict[str, EffectEvidence] = field(default_factory=dict)
    """Evidence by case id."""
    count: int = 0
    scatter: Array = field(default_factory=lambda: np.zeros(3))
    """Over all cases of this world: Σ shift²/precision, Σ precision, and how many they are."""
    low: float = 0.0
    """The cumulative sum of surprises, which detects a change of the world."""
    world: int = 0
    settings: ValueSettings = field(default_factory=ValueSettings)

    @property
    def spread(self) -> float:
        """The estimated variance of effects between cases."""
        squares, precision, cases = self.scatter
        weight = self.settings.effect_weight
        return float(max(squares - cases + weight * self.settings.effect, 0.0) / (precision + weight)) + 1e-6

    def effect(self, id: str) -> tuple[float, float]:
        """Mean and variance of the belief about a case's own effect."""
        precision, shift = self._evidence(id)
        variance = 1 / (1 / self.spread + precision)
        return variance * shift, variance

    def _evidence(self, id: str) -> tuple[float, float]:
        known = self.effects.get(id, EffectEvidence())
        kept = self.settings.keep ** (self.world - known.world)
        return known.precision * kept, known.shift * kept

    def judge(self, ids: Sequence[str], features: Array) -> tuple[Array, Array]:
        """What each case is believed to add, and the standard deviation of that belief; features have shape (n,
        FEATURES)."""
        theta, cov = self.mean[BASELINE:], self.covariance[BASELINE:, BASELINE:]
        own = np.array([self.effect(id) for id in ids]).reshape(-1, 2)
        mean = features @ theta + own[:, 0]
        variance = np.einsum("ij,jk,ik->i", features, cov, features) + own[:, 1]
        return mean, np.sqrt(variance)

    def probabilities(self, mean: Array, deviation: Array) -> Array:
        """The probability of showing each case: the probability that it helps, bounded away from 0 and 1."""
        options = self.settings
        sure = [_phi(options.caution * (m - options.cost) / d) for m, d in zip(mean, deviation, strict=True)]
        probabilities: Array = np.clip(np.array(sure), options.floor, 1 - options.floor)
        return probabilities

    def update(self, relevance: float, ids: Sequence[str], features: Array, reward: float) -> None:
        """Learn from the outcome of a run that was shown these cases (and no others)."""
        x = np.concatenate([[1.0, relevance], features.sum(axis=0) if len(ids) else np.zeros(FEATURES)])
        own = [self.effect(id) for id in ids]
        gain = self.covariance @ x
        total = self.settings.noise + float(x @ gain) + sum(variance for _, variance in own)
        surprise = reward - float(x @ self.mean) - sum(mean for mean, _ in own)
        self.mean = self.mean + gain * (surprise / total)
        self.covariance = self.covariance - np.outer(gain, gain) / total
        self.covariance[range(BASELINE), range(BASELINE)] += self.settings.drift
        for id, (mean, variance) in zip(ids, own, strict=True):
            self._learn(id, surprise + mean, total - variance)
        self.count += 1
        self._watch(surprise / sqrt(total))

    def _learn(self, id: str, seen: float, noise: float) -> None:
        """Add one noisy observation of a case's effect."""
        old, (precision, shift) = self.effects.get(id), self._evidence(id)
        kept = 1 - self.settings.forget
        new = EffectEvidence(kept * precision + 1 / noise, kept * shift + seen / noise, self.world)
        if old is not None and old.world == self.world:
            self.scatter = self.scatter - _scatter(old)
        self.scatter = self.scatter + _scatter(new)
        self.effects[id] = new

    def _watch(self, surprise: float) -> None:
        """Detect a change of the world from rewards that stay below expectation."""
        options = self.settings
        self.low = max(0.0, self.low - surprise - options.slack)
        if self.low > options.alarm:
            self.low, self.world, self.scatter = 0.0, self.world + 1, np.zeros(3)
            self.covariance[range(BASELINE, len(self.mean)), range(BASELINE, len(self.mean))] += (
                options.stir * np.array(PRIOR_VARIANCE)
            )

    def head(self) -> bytes:
        """Everything but the effects, as bytes."""
        arrays = {name: getattr(self, name).tolist() for name in _ARRAYS}
        return json.dumps({**arrays, **{name: getattr(self, name) for name in _NUMBERS}}).encode()

    @classmethod
    def load(
        cls, head: bytes | None, effects: dict[str, EffectEvidence], settings: ValueSettings | None = None
    ) -> Self:
        value = cls(effects=effects, settings=settings or ValueSettings())
        if head is not None:
            data: JsonObject = json.loads(head)
            for name in _ARRAYS:
                setattr(value, name, np.array(data[name]))
            for name in _NUMBERS:
                setattr(value, name, data[name])
        return value


_ARRAYS, _NUMBERS = ("mean", "covariance", "scatter"), ("count", "low", "world")


def _scatter(known: EffectEvidence) -> Array:
    return np.array([known.shift**2 / known.precision, known.precision, 1.0])


def _phi(x: float) -> float:
    return 0.5 * (1 + erf(x / sqrt(2)))
