"""Playbook: the bullets at one version, as an immutable value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from agentkit.errors import UserError
from agentkit.json_types import JsonObject
from agentkit.ledger import digest
from agentkit.notebook import table
from agentkit.playbooks.applying import DeltaOutcome, updated
from agentkit.playbooks.bullets import Bullet
from agentkit.playbooks.tokens import estimate


@dataclass(frozen=True, kw_only=True)
class Playbook:
    """All bullets of a playbook at one version, including retired ones.

    Attributes:
        target: the ledger target, `playbook:<name>`.
        version: the number of changes applied.
        bullets: by id, in no particular order; see `active` for the rendering order.
    """

    target: str
    version: int = 0
    bullets: Mapping[str, Bullet] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.target.partition(":")[2]

    @cached_property
    def active(self) -> tuple[Bullet, ...]:
        """The active bullets in rendering order: what changed last comes last."""
        return tuple(sorted((b for b in self.bullets.values() if b.active), key=lambda bullet: bullet.order))

    @property
    def retired(self) -> tuple[Bullet, ...]:
        return tuple(sorted((b for b in self.bullets.values() if not b.active), key=lambda bullet: bullet.order))

    def __len__(self) -> int:
        return len(self.active)

    def __iter__(self) -> Iterator[Bullet]:
        return iter(self.active)

    def get(self, id: str) -> Bullet:
        """A bullet by its id or a unique prefix of it.

        Raises:
            UserError: no such bullet, or several.
        """
        if id in self.bullets:
            return self.bullets[id]
        found = [bullet for key, bullet in self.bullets.items() if id and key.startswith(id)]
        if len(found) != 1:
            problem = "matches several bullets" if found else "is not a bullet"
            raise UserError(f"{id!r} {problem} of {self.target} at version {self.version}")
        return found[0]

    @cached_property
    def tokens(self) -> int:
        """An upper estimate of the tokens of all active content."""
        return sum(estimate(bullet.content) for bullet in self.bullets.values() if bullet.active)

    @cached_property
    def digest(self) -> str:
        """Identifies the content regardless of the order it was added in: equal sets of bullets have equal digests."""
        rows = [[b.id, b.section, b.scope, b.content, b.status, list(b.parents)] for b in self.bullets.values()]
        return digest(sorted(rows))

    def to_json(self) -> JsonObject:
        """The exact state, including order and versions; a replay must produce the same bytes."""
        rows = sorted(self.bullets.values(), key=lambda bullet: bullet.order)
        return {"target": self.target, "version": self.version, "bullets": [bullet_json(row) for row in rows]}

    def _repr_html_(self) -> str:
        """The notebook view: the active bullets in order."""
        title = f"playbook {self.name}, version {self.version}, {len(self)} in use, at most {self.tokens} tokens"
        rows = [(bullet.id, bullet.section, bullet.scope, bullet.content) for bullet in self]
        return table(title, rows, ("id", "section", "scope", "lesson"))

    def after(self, outcome: DeltaOutcome, version: int) -> Playbook:
        """The playbook one change later."""
        return Playbook(target=self.target, version=version, bullets=updated(self.bullets, outcome))


def bullet_json(bullet: Bullet) -> JsonObject:
    names = ("id", "section", "scope", "content", "status", "added", "revised", "seq")
    return {**{name: getattr(bullet, name) for name in names}, "parents": list(bullet.parents)}


@dataclass(frozen=True, kw_only=True)
class Edit:
    """The difference of one bullet between two versions; None if it does not exist."""

    before: Bullet | None
    after: Bullet | None

    @property
    def kind(self) -> str:
        """ "added", "removed", "retired", "revived" or "changed"."""
        if self.before is None or self.after is None:
            return "added" if self.before is None else "removed"
        if self.before.status != self.after.status:
            return "revived" if self.after.active else "retired"
        return "changed"


def diff(before: Playbook, after: Playbook) -> list[Edit]:
    """The differences between two versions, in the order of `after`."""
    ids = before.bullets.keys() | after.bullets.keys()
    edits = [Edit(before=before.bullets.get(id), after=after.bullets.get(id)) for id in ids]
    changed = [edit for edit in edits if _state(edit.before) != _state(edit.after)]
    return sorted(changed, key=lambda edit: (edit.after or edit.before).order)  # type: ignore[union-attr]


def _state(bullet: Bullet | None) -> str | None:
    return None if bullet is None else bullet.hash
