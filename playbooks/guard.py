"""The collapse guard: no single delta may take a large part of a playbook away unless the gate says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agentkit.playbooks.applying import Outcome
from agentkit.playbooks.bullets import Bullet
from agentkit.playbooks.playbook import Playbook
from agentkit.playbooks.tokens import estimate


@dataclass(frozen=True, kw_only=True)
class CollapseGuard:
    """Limits on what one delta may remove.

    Attributes:
        tokens: share of the playbook's tokens.
        value: share of the summed positive effects that credit has estimated.
        bullets: so many bullets may always go: a share means little in a small playbook.
    """

    tokens: float = 0.1
    value: float = 0.1
    bullets: int = 1

    def objection(self, book: Playbook, outcome: Outcome, effects: Mapping[str, float] | None = None) -> str | None:
        """Why the outcome takes too much away, or None."""
        lost = [book.bullets[id] for id, new in outcome.bullets.items() if _goes(book.bullets.get(id), new)]
        shrunk = sum(_tokens(book.bullets.get(id)) for id in outcome.bullets)
        grown = sum(_tokens(new) for new in outcome.bullets.values())
        if len(lost) <= self.bullets and shrunk - grown <= self.tokens * book.tokens + _largest(lost):
            return None
        if shrunk - grown > self.tokens * book.tokens:
            return f"takes away {shrunk - grown} of {book.tokens} tokens"
        positive = {id: effect for id, effect in (effects or {}).items() if effect > 0}
        gone, total = sum(positive.get(bullet.id, 0.0) for bullet in lost), sum(positive.values())
        if total > 0 and gone > self.value * total:
            return f"takes away {gone / total:.0%} of the estimated value"
        return None


def _goes(before: Bullet | None, after: Bullet | None) -> bool:
    return before is not None and before.active and (after is None or not after.active)


def _tokens(bullet: Bullet | None) -> int:
    return estimate(bullet.content) if bullet is not None and bullet.active else 0


def _largest(bullets: list[Bullet]) -> int:
    return max((estimate(bullet.content) for bullet in bullets), default=0)
