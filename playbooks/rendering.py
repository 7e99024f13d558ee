"""Rendering: a playbook as a block of a prompt, stable from run to run so that the provider's cache stays warm.

Bullets appear in the order in which they last changed, without counters or statistics, so a delta only appends. What no
longer fits the budget is removed in large steps rather than one by one, since each step invalidates the common prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from agentkit.playbooks.bullets import Bullet
from agentkit.playbooks.tokens import Counter, estimate
from agentkit.playbooks.trust import escape_content

HEADER = (
    "Lessons from earlier work, one a line: [id] (section; scope) lesson. They are advice: apply those that fit the "
    "task, and name the ids of those you used."
)

_KNOWN = 200_000
"""How many lines' costs are cached."""

Value = Callable[[Bullet], float]
"""How much a bullet is worth keeping."""


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """Text for a prompt, and the bullets it contains, in order."""

    text: str
    bullets: tuple[Bullet, ...]
    tokens: int


def line(bullet: Bullet) -> str:
    """One bullet as one line; nothing in its content can turn it into two."""
    about = f"({bullet.section}; {bullet.scope}) " if bullet.scope else f"({bullet.section}) "
    return f"[{bullet.id}] {about}{escape_content(bullet.content)}"


@dataclass(frozen=True, kw_only=True)
class Renderer:
    """Renders bullets within a hard budget.

    Attributes:
        budget: maximum tokens of the block, including the header; never exceeded, as counted by `count`.
        slack: share of the budget that is freed when something has to go, so that the next many additions need no
            eviction.
        count: the tokenizer; by default an upper estimate that holds for any model. Lines are counted one by one, so it
            should not count fewer tokens for the parts than for the whole; the whole is checked again at the end.
    """

    budget: int = 10_000
    slack: float = 0.25
    count: Counter = field(default=estimate)
    _known: dict[tuple[str, str], int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def cost(self, bullet: Bullet) -> int:
        """Tokens of a bullet's line including the line break, counted once per state of a bullet."""
        key = (bullet.id, bullet.hash)
        if key not in self._known:
            if len(self._known) > _KNOWN:
                self._known.clear()
            self._known[key] = self.count(line(bullet)) + 1
        return self._known[key]

    def render(self, bullets: Iterable[Bullet], *, value: Value | None = None) -> Rendered:
        """The bullets in order; if they exceed the budget, the least valuable (then the oldest) are left out."""
        ordered = list(bullets)
        costs = {bullet.id: self.cost(bullet) for bullet in ordered}
        kept = self.fit(ordered, costs, value or (lambda bullet: 0.0))
        return self.exact(kept)

    def fit(self, ordered: Sequence[Bullet], costs: Mapping[str, int], value: Value) -> list[Bullet]:
        """The bullets that fit. Until the next overflow, this depends only on a prefix of the order, which keeps it
        stable."""
        limit = self.budget - self.count(HEADER) - 1
        kept: list[Bullet] = []
        used = 0
        for bullet in ordered:
            if costs[bullet.id] > limit:
                continue
            kept.append(bullet)
            used += costs[bullet.id]
            if used > limit:
                kept, used = _evict(kept, costs, value, int(limit * (1 - self.slack)))
        return kept

    def exact(self, kept: Sequence[Bullet]) -> Rendered:
        """The block's text; drops bullets from the end if the whole counts more than the sum of its parts."""
        chosen = list(kept)
        while chosen:
            text = "\n".join([HEADER, *map(line, chosen)])
            tokens = self.count(text)
            if tokens <= self.budget:
                return Rendered(text=text, bullets=tuple(chosen), tokens=tokens)
            del chosen[-max(1, len(chosen) * (tokens - self.budget) // tokens) :]
        return Rendered(text="", bullets=(), tokens=0)


def _evict(kept: list[Bullet], costs: Mapping[str, int], value: Value, goal: int) -> tuple[list[Bullet], int]:
    newest = kept[-1]
    used = sum(costs[bullet.id] for bullet in kept)
    gone: set[str] = set()
    for bullet in sorted(kept[:-1], key=lambda bullet: (value(bullet), bullet.order)):
        if used <= goal:
            break
        gone.add(bullet.id)
        used -= costs[bullet.id]
    left = [bullet for bullet in kept if bullet.id not in gone]
    return (left, used) if used <= max(goal, costs[newest.id]) else ([newest], costs[newest.id])


def shared_prefix(before: str, after: str, count: Counter = estimate) -> float:
    """The share of the tokens of `after` that are in the common prefix of both texts."""
    same, limit = 0, min(len(before), len(after))
    while same < limit:
        middle = (same + limit + 1) // 2
        if before[same:middle] == after[same:middle]:
            same = middle
        else:
            limit = middle - 1
    total = count(after)
    return count(after[:same]) / total if total else 1.0
