"""Credit: a bullet's effect on the score of the tasks it is about, from runs in which it was withheld at random.

Votes are a model's opinions; this is an experiment. The scores of runs with and without the bullet are weighted by the
inverse probability of what happened (normalised), and each side gets a Beta posterior; the effect is their difference,
with a normal interval from the posteriors' moments. A run's weight for a bullet depends on how similar the two are
compared with all other bullets considered (1 / rank²), so that a lesson about one kind of task is not judged by all the
others. The weight does not depend on whether the bullet was shown, so the estimate is unbiased for the tasks that the
bullet is about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Runs of one bullet with the same probability, either shown or withheld.

    Attributes:
        runs: how many.
        mass, squares: the sum of the runs' weights and of their squares; a weight says how much a task is about the
            bullet.
        total: the weighted sum of their scores.
    """

    bullet_id: str
    shown: bool
    probability: float
    runs: int
    mass: float
    squares: float
    total: float


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The estimated effect of showing a bullet, on a scale where 1 turns every failure into a success.

    Attributes:
        mean: the estimate; 0 if nothing is known.
        deviation: standard deviation of the posterior.
        shown, withheld: number of runs on each side.
    """

    mean: float = 0.0
    deviation: float = 2 / 12**0.5
    shown: int = 0
    withheld: int = 0

    def interval(self, level: float = 0.9) -> tuple[float, float]:
        """The central interval that contains the effect with probability `level`."""
        half = NormalDist().inv_cdf((1 + level) / 2) * self.deviation
        return max(-1.0, self.mean - half), min(1.0, self.mean + half)

    def harmful(self, level: float = 0.98) -> bool:
        """Whether the upper bound is below zero."""
        return min(self.shown, self.withheld) >= 3 and self.interval(level)[1] < 0


def estimate_effects(cells: Iterable[Cell]) -> dict[str, Effect]:
    """The effect of each bullet. Runs in which a bullet was certain to be shown, or to be withheld, carry no
    information."""
    by_bullet: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        if 0 < cell.probability < 1:
            by_bullet[cell.bullet_id].append(cell)
    return {id: _effect(found) for id, found in by_bullet.items()}


def _effect(cells: list[Cell]) -> Effect:
    sides = {side: [cell for cell in cells if cell.shown is side] for side in (True, False)}
    counts = {side: sum(cell.runs for cell in found) for side, found in sides.items()}
    if not counts[True] or not counts[False]:
        return Effect(shown=counts[True], withheld=counts[False])
    (high, high_variance), (low, low_variance) = _posterior(sides[True]), _posterior(sides[False])
    return Effect(
        mean=high - low,
        deviation=(high_variance + low_variance) ** 0.5,
        shown=counts[True],
        withheld=counts[False],
    )


def _posterior(cells: list[Cell]) -> tuple[float, float]:
    """Mean and variance of a Beta posterior (uniform prior) from weighted runs, using their effective number."""
    weights = [1 / (cell.probability if cell.shown else 1 - cell.probability) for cell in cells]
    mass = sum(weight * cell.mass for weight, cell in zip(weights, cells, strict=True))
    squares = sum(weight**2 * cell.squares for weight, cell in zip(weights, cells, strict=True))
    mean = sum(weight * cell.total for weight, cell in zip(weights, cells, strict=True)) / mass
    effective = mass**2 / squares
    a, b = 1 + mean * effective, 1 + (1 - mean) * effective
    return a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))


def auroc(scores: Mapping[str, float], positive: Iterable[str], negative: Iterable[str]) -> float:
    """The probability that a positive scores above a negative; ties count half."""
    pairs = [(scores.get(p, 0.0), scores.get(n, 0.0)) for p in positive for n in list(negative)]
    return sum(1.0 if p > n else 0.5 if p == n else 0.0 for p, n in pairs) / len(pairs)
