"""PlaybookStore: a playbook in the database, with all of its versions."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Self

from sqlalchemy import select

from agentkit.errors import Conflict, IntegrityError, UserError
from agentkit.ledger import Change, Ledger, Verdict
from agentkit.playbooks import origins, tables
from agentkit.playbooks.applying import DeltaOutcome, apply_operations
from agentkit.playbooks.bullets import Bullet
from agentkit.playbooks.evidence import UsageLog
from agentkit.playbooks.guard import CollapseGuard
from agentkit.playbooks.history import History
from agentkit.playbooks.operations import (
    Add,
    Delta,
    Operation,
    Restore,
    Retire,
    Revive,
    Update,
    read_operations,
    removes,
    touched,
)
from agentkit.playbooks.origins import Origin
from agentkit.playbooks.playbook import Edit, Playbook, diff
from agentkit.store import Store
from agentkit.store.changes import TargetRow

_KEPT = 8
"""How many versions are cached in memory."""


class PlaybookStore:
    """One playbook as a view of the ledger. Safe for several threads and processes that write at once."""

    def __init__(self, store: Store, name: str = "default", *, guard: CollapseGuard | None = None) -> None:
        if not re.fullmatch(r"[\w.-]{1,80}", name):
            raise UserError(f"{name!r} can't name a playbook: use letters, digits, '.', '_' and '-'")
        self.store, self.ledger, self.guard = store, Ledger(store), guard or CollapseGuard()
        self.name, self.target = name, f"playbook:{name}"
        self._versions: OrderedDict[int, Playbook] = OrderedDict()
        self._newest = Playbook(target=self.target)

    @classmethod
    def open(cls, store: Store, name: str = "default", *, must_exist: bool = False) -> Self:
        """A playbook by name; it is created by its first change.

        Raises:
            UserError: an invalid name, or a playbook that must exist but doesn't.
        """
        book = cls(store, name)
        if must_exist and book.target not in book.ledger.targets("playbook"):
            known = ", ".join(item.partition(":")[2] for item in book.ledger.targets("playbook")) or "none yet"
            raise UserError(f"there is no playbook {name!r} (known: {known})")
        return book

    def version(self) -> int:
        return self.ledger.version(self.target)

    def put_forward(self, *, but: str = "") -> list[Bullet]:
        """The bullets that changes would add which no gate has decided about yet, or which did not pass it.

        Args:
            but: ignore changes whose keys begin with this.
        """
        undecided = ("proposed", "waiting", "quarantined", "rejected")
        adds = [
            operation
            for change in self.ledger.history(self.target)
            if change.status in undecided and not (but and change.key.startswith(but))
            for operation in read_operations(list(change.operations))
            if isinstance(operation, Add)
        ]
        return [Bullet(add.id, add.section, add.scope, add.content) for add in adds]

    def current(self) -> Playbook:
        """The newest version; only what changed since the last call is read."""
        known = self._newest
        with self.store.read() as connection:
            query = select(TargetRow.version).where(TargetRow.name == self.target)
            version = connection.execute(query).scalar() or 0
            if version == known.version:
                return known
            if version < known.version:
                raise IntegrityError(f"{self.target} went back from version {known.version} to {version}")
            states = tables.read_changes(connection, self.target, known.version, version) if known.version else None
            if states is None:
                found = tables.read_version(connection, self.target, version)
                self._newest = Playbook(target=self.target, version=version, bullets=found)
            else:
                self._newest = known.after(DeltaOutcome(bullets=dict(states)), version)
        return self._newest

    def at(self, version: int) -> Playbook:
        """The playbook at any version.

        Raises:
            UserError: no such version.
        """
        if version == self._newest.version:
            return self._newest
        if version in self._versions:
            self._versions.move_to_end(version)
            return self._versions[version]
        self._check_version(version)
        with self.store.read() as connection:
            found = tables.read_version(connection, self.target, version)
        book = Playbook(target=self.target, version=version, bullets=found)
        self._versions[version] = book
        while len(self._versions) > _KEPT:
            self._versions.popitem(last=False)
        return book

    def _check_version(self, version: int) -> int:
        """Return the newest version; raises if the given one does not exist."""
        newest = self.version()
        if not 0 <= version <= newest:
            raise UserError(f"{self.target} has versions 0 to {newest}, not {version}")
        return newest

    def diff(self, before: int, after: int) -> list[Edit]:
        """The changes between two versions."""
        return diff(self.at(before), self.at(after))

    def preview(self, changes: Sequence[Change], *, on: Playbook | None = None) -> Playbook:
        """The current playbook, or another one, with changes applied on top; nothing is written.

        Raises:
            Conflict: one of them can't be applied.
        """
        book = on or self.current()
        for change in changes:
            operations = read_operations(list(change.operations))
            with self.store.read() as connection:
                past = _Overlay(tables.TablePast(connection, self.target), book)
                outcome = apply_operations(past, operations, base=change.base, version=book.version + 1)
            book = book.after(outcome, book.version + 1)
        return book

    def apply(self, delta: Delta, *, verdict: Verdict | None = None) -> Change:
        """Apply a delta completely or not at all; once per key.

        Raises:
            Conflict: it is incompatible with what has happened since its base; nothing is written.
        """
        _check_restore(delta.operations)
        return self.ledger.commit(delta.to_change(self.target), tables.apply_change, verdict=verdict)

    def submit(self, delta: Delta, *, verdict: Verdict | None = None) -> Change:
        """Apply a delta if there is no objection; otherwise it waits in the ledger, so that nothing is lost.

        A delta waits if it conflicts with another one, or removes more than the collapse guard allows without approval
        by the gate or a person.

        Returns:
            the change as stored: applied or waiting.
        """
        change = delta.to_change(self.target)
        known = self.ledger.find(change.key)
        if known is not None and known.status != "proposed":
            return known
        try:
            objection = self._objection(delta, verdict)
            if objection is None:
                return self.apply(delta, verdict=verdict)
        except Conflict as error:
            objection = f"conflict: {error}"
        self.ledger.propose(change)
        return self.ledger.decide(change.id, Verdict(decision="ask", reason=objection))

    def _objection(self, delta: Delta, verdict: Verdict | None) -> str | None:
        accepted = verdict is not None and verdict.decision == "accept"
        if accepted or delta.role == "person" or not removes(delta.operations):
            return None
        book = self.current()
        with self.store.read() as connection:
            past = tables.TablePast(connection, self.target, touched(delta.operations))
            outcome = apply_operations(past, delta.operations, base=delta.base, version=book.version + 1)
        effects = UsageLog(self.store, self.target).effects()
        worth = {id: effect.mean for id, effect in effects.items() if effect.interval()[0] > 0}
        return self.guard.objection(book, outcome, worth)

    def hold(self, delta: Delta, verdict: Verdict) -> Change:
        """Record a delta with a verdict that does not apply it: quarantine, ask or reject."""
        change = self.ledger.propose(delta.to_change(self.target))
        return change if change.status != "proposed" else self.ledger.decide(change.id, verdict)

    def release(self, change_id: str, verdict: Verdict) -> Change:
        """Apply a change that is waiting or in quarantine; a second call does nothing.

        Raises:
            Conflict: it still can't be applied.
        """
        change = self.ledger.get(change_id)
        if change.target != self.target:
            raise UserError(f"change {change_id} belongs to {change.target}")
        return self.ledger.apply(change.id, tables.apply_change, verdict=verdict)

    def rollback(self, version: int, *, reason: str = "", role: str = "person", key: str | None = None) -> Change:
        """Restore the bullets to an earlier version, by a new change; votes and history stay."""
        base = self._check_version(version)
        key = key or f"{self.target}:rollback:{base}:{version}"
        return self.apply(Delta(key=key, base=base, operations=(Restore(version=version),), role=role, note=reason))

    def withdraw(self, change: Change, *, reason: str, role: str = "person") -> Change:
        """Undo one applied change by a new one, and mark it as withdrawn.

        Raises:
            Conflict: later changes build on it.
            UserError: it was never applied.
        """
        done = self.apply(self.undoing(change, reason=reason, role=role))
        self.ledger.withdraw(change.id, reason=reason)
        return done

    def undoing(self, change: Change, *, reason: str = "", role: str = "person") -> Delta:
        """The delta that would undo an applied change; nothing is written.

        Raises:
            UserError: the change was never applied.
            Conflict: the change is a rollback.
        """
        if change.version is None:
            raise UserError(f"change {change.id} was never applied")
        before, after = self.at(change.version - 1), self.at(change.version)
        operations = tuple(_inverse(edit) for edit in diff(before, after))
        return Delta(key=f"{change.id}:withdrawn", base=change.version, operations=operations, role=role, note=reason)

    def votes(self, version: int | None = None) -> dict[str, tuple[int, int]]:
        """(helpful, harmful) by bullet; a merged bullet inherits the votes of its parents."""
        with self.store.read() as connection:
            own = tables.read_votes(connection, self.target, version)
        book = self.current() if version is None else self.at(version)
        return {bullet.id: _inherited(bullet.id, own, book, set()) for bullet in book.bullets.values()}

    def blame(self, bullet_id: str) -> list[Origin]:
        """Every change that touched a bullet or one of its ancestors, oldest first."""
        book, wanted, ids = self.current(), [self.current().get(bullet_id).id], []
        while wanted:
            ids.append(wanted.pop())
            known = book.bullets.get(ids[-1])
            wanted += [parent for parent in (known.parents if known else ()) if parent not in ids]
        with self.store.read() as connection:
            return origins.read_origins(connection, self.target, ids)

    def from_source(self, source: str) -> list[Bullet]:
        """The active bullets that were touched by a change with text from this source, and those derived from them.

        Raises:
            UserError: the source is blank, which would match everything that has no source.
        """
        if not source.strip():
            raise UserError("the source is empty: name the one whose bullets are meant")
        with self.store.read() as connection:
            found = origins.read_touched(connection, self.target, source)
        bullets = sorted(self.current().bullets.values(), key=lambda bullet: bullet.order)
        for bullet in bullets:
            if found & set(bullet.parents):
                found.add(bullet.id)
        return [bullet for bullet in bullets if bullet.active and bullet.id in found]

    def replay(self, upto: int | None = None) -> History:
        """Rebuild everything from the ledger alone."""
        return History.of(self.target, self.ledger.applied(self.target, upto=upto))

    def verify(self) -> int:
        """Check the ledger's hashes, and that the tables equal a replay.

        Returns:
            the number of versions checked.

        Raises:
            IntegrityError: they differ.
        """
        count = self.ledger.verify(self.target)
        replayed = self.replay(count)
        if replayed.playbook().to_json() != self.at(count).to_json():
            raise IntegrityError(f"{self.target}: the tables differ from a replay of the ledger")
        with self.store.read() as connection:
            if tables.read_votes(connection, self.target, count) != replayed.votes:
                raise IntegrityError(f"{self.target}: the votes differ from a replay of the ledger")
        return count


class _Overlay:
    """The stored past with an unstored playbook on top of it."""

    def __init__(self, past: tables.TablePast, book: Playbook) -> None:
        self.past, self.book = past, book

    def current(self, id: str) -> Bullet | None:
        return self.book.bullets.get(id)

    def at(self, id: str, version: int) -> Bullet | None:
        return self.past.at(id, version)

    def restored(self, version: int) -> list[tuple[str, Bullet | None]]:
        then = tables.read_version(self.past.connection, self.past.target, version)
        return [(id, then.get(id)) for id in {**then, **self.book.bullets} if then.get(id) != self.book.bullets.get(id)]


def _inverse(edit: Edit) -> Operation:
    before, after = edit.before, edit.after
    if after is None:
        raise Conflict("a rollback is undone by another rollback")
    if before is None:
        return Retire(id=after.id, expected=after.hash, reason="withdrawn")
    if before.status != after.status:
        kind = Revive if before.active else Retire
        return kind(id=after.id, expected=after.hash)
    fields = {name: getattr(before, name) for name in ("content", "section", "scope")}
    return Update(id=after.id, expected=after.hash, **fields)


def _inherited(id: str, own: dict[str, tuple[int, int]], book: Playbook, seen: set[str]) -> tuple[int, int]:
    helpful, harmful = own.get(id, (0, 0))
    bullet = book.bullets.get(id)
    seen.add(id)
    merged = [p for p in bullet.parents if len(bullet.parents) > 1 and p not in seen] if bullet else []
    for parent in merged:
        up, down = _inherited(parent, own, book, seen)
        helpful, harmful = helpful + up, harmful + down
    return helpful, harmful


def _check_restore(operations: Sequence[Operation]) -> None:
    if len(operations) > 1 and any(isinstance(item, Restore) for item in operations):
        raise UserError("a restore must be the only operation of its delta")


def playbook_names(store: Store) -> list[str]:
    """The names of the playbooks in a store."""
    return [target.partition(":")[2] for target in Ledger(store).targets("playbook")]
