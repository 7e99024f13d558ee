"""The whole playbook or the relevant part? The whole is long but cached; a part is short but new in every prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agentkit.playbooks.bullets import Bullet

SIZES = (5, 10, 20, 40, 80, 160)


@dataclass(frozen=True, kw_only=True)
class Economy:
    """What tokens cost, and what a needed lesson is worth.

    Attributes:
        cached_price: price of a token read from the cache, in uncached tokens.
        hit_rate: how often the whole playbook is in the cache.
        worth: how many tokens it is worth to have the lesson that a task needs.
        temperature: how sharply similarity indicates which lesson is needed.
        core: tokens of the oldest bullets that are always shown, at the cached price.
    """

    cached_price: float = 0.1
    hit_rate: float = 0.9
    worth: float = 20_000
    temperature: float = 0.05
    core: int = 500

    @property
    def price(self) -> float:
        """The average cost of a token in the constant part of the prompt."""
        return self.hit_rate * self.cached_price + (1 - self.hit_rate)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The bullets for one prompt, and the reasons.

    Attributes:
        bullets: in rendering order.
        whole: whether nothing was left out.
        recall: the probability, judged by similarity, that the needed lesson is among them.
        cost: in token equivalents.
    """

    bullets: tuple[Bullet, ...]
    whole: bool
    recall: float
    cost: float


def select(
    bullets: Sequence[Bullet],
    similarity: NDArray[np.float32],
    costs: Mapping[str, int],
    *,
    budget: int,
    economy: Economy,
) -> Selection:
    """Choose between the whole playbook and the best 5, 10, 20 … bullets, by expected value minus cost.

    Args:
        bullets: the active ones, in rendering order.
        similarity: between the task and each of them.
        costs: tokens of each bullet's line.
        budget: maximum number of tokens.
    """
    chance = _softmax(similarity, economy.temperature)
    total = sum(costs[bullet.id] for bullet in bullets)
    options = []
    if total <= budget:
        options.append(Selection(bullets=tuple(bullets), whole=True, recall=1.0, cost=total * economy.price))
    ranked = np.argsort(-similarity, kind="stable")
    core = _core(bullets, costs, min(economy.core, budget // 2))
    for size in SIZES:
        if size >= len(bullets):
            break
        options.append(_part(bullets, ranked[:size], core, chance, costs, budget, economy))
    if not options:
        options.append(_part(bullets, ranked, core, chance, costs, budget, economy))
    return max(options, key=lambda option: economy.worth * option.recall - option.cost)


def _part(
    bullets: Sequence[Bullet],
    best: NDArray[np.intp],
    core: int,
    chance: NDArray[np.float64],
    costs: Mapping[str, int],
    budget: int,
    economy: Economy,
) -> Selection:
    chosen = set(range(core))
    standing = sum(costs[bullets[place].id] for place in chosen)
    used = standing
    for place in map(int, best):
        cost = costs[bullets[place].id]
        if place not in chosen and used + cost <= budget:
            chosen.add(place)
            used += cost
    places = sorted(chosen)
    return Selection(
        bullets=tuple(bullets[place] for place in places),
        whole=len(places) == len(bullets),
        recall=float(chance[places].sum()),
        cost=standing * economy.price + (used - standing),
    )


def _core(bullets: Sequence[Bullet], costs: Mapping[str, int], limit: int) -> int:
    used = 0
    for count, bullet in enumerate(bullets):
        used += costs[bullet.id]
        if used > limit:
            return count
    return len(bullets)


def _softmax(similarity: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    if not len(similarity):
        return np.zeros(0)
    scaled = np.exp((similarity.astype(np.float64) - float(similarity.max())) / temperature)
    return np.asarray(scaled / scaled.sum(), dtype=np.float64)
