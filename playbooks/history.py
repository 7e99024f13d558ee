"""Replaying the ledger in memory, which proves that the tables contain nothing that does not follow from it."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping

from agentkit.ledger import Change
from agentkit.playbooks.applying import apply_operations
from agentkit.playbooks.bullets import Bullet
from agentkit.playbooks.operations import Operation, read_operations
from agentkit.playbooks.playbook import Playbook

Votes = tuple[int, int]
"""Helpful and harmful marks."""


class History:
    """Every state of every bullet, built from the changes of one target in order."""

    def __init__(self, target: str) -> None:
        self.target, self.version = target, 0
        self.votes: dict[str, Votes] = {}
        self._states: dict[str, list[tuple[int, Bullet | None]]] = defaultdict(list)

    @classmethod
    def of(cls, target: str, changes: Iterable[Change]) -> History:
        """Replay applied changes, oldest first."""
        history = cls(target)
        for change in changes:
            history.append(read_operations(list(change.operations)), base=change.base)
        return history

    def append(self, operations: tuple[Operation, ...], *, base: int) -> None:
        """Apply one more delta.

        Raises:
            Conflict: it is incompatible with the current state.
        """
        outcome = apply_operations(self, operations, base=base, version=self.version + 1)
        self.version += 1
        for id, bullet in outcome.bullets.items():
            self._states[id].append((self.version, bullet))
        for id, (helpful, harmful) in outcome.votes.items():
            before = self.votes.get(id, (0, 0))
            self.votes[id] = (before[0] + helpful, before[1] + harmful)

    def playbook(self, version: int | None = None) -> Playbook:
        """The playbook at a version; the newest by default."""
        wanted = self.version if version is None else version
        found = {id: self.at(id, wanted) for id in self._states}
        bullets: Mapping[str, Bullet] = {id: bullet for id, bullet in found.items() if bullet is not None}
        return Playbook(target=self.target, version=wanted, bullets=bullets)

    def current(self, id: str) -> Bullet | None:
        states = self._states.get(id)
        return states[-1][1] if states else None

    def at(self, id: str, version: int) -> Bullet | None:
        states = self._states.get(id, [])
        place = bisect_right(states, version, key=lambda state: state[0])
        return states[place - 1][1] if place else None

    def restored(self, version: int) -> Iterable[tuple[str, Bullet | None]]:
        for id, states in self._states.items():
            if states[-1][0] > version:
                then = self.at(id, version)
                if then != states[-1][1]:
                    yield id, then
