"""The collapse guard: no single delta may remove a large part of a playbook without the gate's approval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agentkit.playbooks.applying import DeltaOutcome
from agentkit.playbooks.bullets import Bullet
from agentkit.playbooks.playbook import Playbook
from agentkit.playbooks.tokens import estimate


@dataclass(frozen=True, kw_only=True)
class CollapseGuard:
    """Limits on what one delta may remove.

    A bullet that was merged or split does not count as removed, since it lives on in its successors.

    Attributes:
        tokens: maximum share of the playbook's tokens.
        value: maximum share of the summed effects of the bullets that have been shown to help.
        bullets: this many bullets may always be removed if no credit speaks for them; a share means little in a small
            playbook.
    """

    tokens: float = 0.1
    value: float = 0.1
    bullets: int = 1

    def objection(self, book: Playbook, outcome: DeltaOutcome, worth: Mapping[str, float] | None = None) -> str | None:
        """The reason why a delta removes too much, or None.

        Args:
            worth: the estimated effects of helpful bullets.
        """
        heirs = {parent for new in outcome.bullets.values() if new and new.active for parent in new.parents}
        lost = [book.bullets[id] for id, new in outcome.bullets.items() if _goes(book.bullets.get(id), new)]
        lost = [bullet for bullet in lost if bullet.id not in heirs]
        total = sum((worth or {}).values())
        gone = sum((worth or {}).get(bullet.id, 0.0) for bullet in lost)
        if gone > self.value * total:
            return f"takes away {gone / total:.0%} of the estimated value"
        shrunk = sum(_tokens(book.bullets.get(id)) - _tokens(new) for id, new in outcome.bullets.items())
        free = _largest(lost) if len(lost) <= self.bullets else 0
        if shrunk > self.tokens * book.tokens + free:
            return f"takes away {shrunk} of {book.tokens} tokens"
        return None


def _goes(before: Bullet | None, after: Bullet | None) -> bool:
    return before is not None and before.active and (after is None or not after.active)


def _tokens(bullet: Bullet | None) -> int:
    return estimate(bullet.content) if bullet is not None and bullet.active else 0


def _largest(bullets: list[Bullet]) -> int:
    return max((estimate(bullet.content) for bullet in bullets), default=0)
