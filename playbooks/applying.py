"""The effect of a delta on a playbook, as a pure function shared by the database, the preview and the replay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from agentkit.errors import Conflict
from agentkit.playbooks.bullets import Bullet, bullet_id
from agentkit.playbooks.merging import merge_field, merge_text
from agentkit.playbooks.operations import Add, Merge, Operation, Restore, Retire, Revive, Split, Update, Vote


class Past(Protocol):
    """Gives access to the past and current states of bullets."""

    def current(self, id: str) -> Bullet | None:
        """The bullet's current state; None if it never existed or was rolled back."""
        ...

    def at(self, id: str, version: int) -> Bullet | None:
        """The bullet's state at a version."""
        ...

    def restored(self, version: int) -> Iterable[tuple[str, Bullet | None]]:
        """Each bullet that now differs from its state at a version, with that state."""
        ...


@dataclass
class DeltaOutcome:
    """The effect of a delta.

    Attributes:
        bullets: new states by id; None removes a bullet (only a rollback does that).
        votes: (helpful, harmful) to add, by id.
        origins: the operation that touched each bullet.
    """

    bullets: dict[str, Bullet | None] = field(default_factory=dict)
    votes: dict[str, tuple[int, int]] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)


def apply_operations(past: Past, operations: Iterable[Operation], *, base: int, version: int) -> DeltaOutcome:
    """Compute the effect, as version `version`, of operations that were made against version `base`.

    Raises:
        Conflict: one of them is incompatible with what has happened since; then none takes effect.
    """
    work = _Work(past, base, version)
    for seq, operation in enumerate(operations):
        work.seq = seq
        work.apply(operation)
    return work.outcome


class _Work:
    """One delta being applied. Operations within a delta see each other's effects."""

    def __init__(self, past: Past, base: int, version: int) -> None:
        self.past, self.base, self.version, self.seq = past, base, version, 0
        self.outcome = DeltaOutcome()

    def apply(self, operation: Operation) -> None:
        match operation:
            case Add():
                self._add(operation)
            case Update():
                self._update(operation)
            case Merge():
                self._merge(operation)
            case Split():
                self._split(operation)
            case Retire():
                self._retire(operation.id, operation.expected, "retire")
            case Revive():
                self._revive(operation)
            case Vote():
                self._vote(operation)
            case Restore():
                self.outcome.bullets.update(self.past.restored(operation.version))

    def _get(self, id: str) -> Bullet | None:
        if id in self.outcome.bullets:
            return self.outcome.bullets[id]
        return self.past.current(id)

    def _put(self, bullet: Bullet, operation: str) -> None:
        self.outcome.bullets[bullet.id] = bullet
        self.outcome.origins[bullet.id] = operation

    def _expect(self, id: str, expected: str) -> Bullet:
        bullet = self._get(id)
        if bullet is None:
            raise Conflict(f"there is no bullet {id}")
        if bullet.hash != expected:
            raise Conflict(f"bullet {id} has changed since version {self.base}")
        return bullet

    def _add(self, operation: Add) -> None:
        self._new(operation.section, operation.scope, operation.content, (), "add")

    def _new(self, section: str, scope: str, content: str, parents: tuple[str, ...], name: str) -> None:
        id = bullet_id(section, scope, content)
        known = self._get(id)
        if known is not None and not known.active:
            raise Conflict(f"bullet {id} was retired: revive it, or say something else")
        if known is not None:
            self.outcome.origins.setdefault(id, name)
            return
        born = self.version
        self._put(Bullet(id, section, scope, content, "active", born, born, self.seq, parents), name)
        self.seq += 1

    def _update(self, operation: Update) -> None:
        ours = self._get(operation.id)
        if ours is None or not ours.active:
            raise Conflict(f"bullet {operation.id} does not exist or is retired, so it can't be edited")
        base = ours if ours.hash == operation.expected else self.past.at(operation.id, self.base)
        if base is None or base.hash != operation.expected:
            raise Conflict(f"bullet {operation.id} was not in the expected state at version {self.base}")
        edited = replace(
            ours,
            section=merge_field(base.section, ours.section, operation.section or base.section, what="sections"),
            scope=merge_field(base.scope, ours.scope, _or(operation.scope, base.scope), what="scopes"),
            content=merge_text(base.content, ours.content, operation.content or base.content),
        )
        if edited != ours:
            self._put(replace(edited, revised=self.version, seq=self.seq), "update")

    def _merge(self, operation: Merge) -> None:
        parents = tuple(sorted(operation.expected))
        target = bullet_id(operation.section, operation.scope, operation.content)
        for id in parents:
            if id != target:
                self._retire(id, operation.expected[id], "merge")
        self._new(operation.section, operation.scope, operation.content, parents, "merge")

    def _split(self, operation: Split) -> None:
        whole = self._expect(operation.id, operation.expected)
        self._retire(operation.id, operation.expected, "split")
        for content in operation.contents:
            self._new(whole.section, whole.scope, content, (whole.id,), "split")

    def _retire(self, id: str, expected: str, name: str) -> None:
        bullet = self._get(id)
        if bullet is not None and not bullet.active:
            return  # two changes that retire the same bullet don't conflict
        bullet = self._expect(id, expected)
        self._put(replace(bullet, status="retired", revised=self.version, seq=self.seq), name)

    def _revive(self, operation: Revive) -> None:
        bullet = self._get(operation.id)
        if bullet is not None and bullet.active:
            return
        bullet = self._expect(operation.id, operation.expected)
        self._put(replace(bullet, status="active", revised=self.version, seq=self.seq), "revive")

    def _vote(self, operation: Vote) -> None:
        if self._get(operation.id) is None:
            raise Conflict(f"there is no bullet {operation.id} to vote for")
        helpful, harmful = self.outcome.votes.get(operation.id, (0, 0))
        self.outcome.votes[operation.id] = (helpful + operation.helpful, harmful + operation.harmful)


def _or(value: str | None, default: str) -> str:
    return default if value is None else value


def updated(bullets: Mapping[str, Bullet], outcome: DeltaOutcome) -> dict[str, Bullet]:
    """The bullets after a delta."""
    after = dict(bullets)
    for id, bullet in outcome.bullets.items():
        if bullet is None:
            after.pop(id, None)
        else:
            after[id] = bullet
    return after
