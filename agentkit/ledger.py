"""The ledger: the append-only log of every change to anything that evolves.

A change is proposed by a role, names the run that caused it, carries the gate's verdict, and is applied in the same
transaction as its effect. Each applied version's hash covers the one before, so rewritten history is detected.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from sqlalchemy import Connection, Row, bindparam, func, select, update

from agentkit import faults
from agentkit.errors import Conflict, IntegrityError, UserError
from agentkit.json_types import JsonObject, digest
from agentkit.store import Store
from agentkit.store.base import now
from agentkit.store.changes import ChangeEventRow, ChangeRow, TargetRow

Status = Literal["proposed", "applied", "rejected", "quarantined", "waiting", "withdrawn"]
Decision = Literal["accept", "reject", "quarantine", "ask"]

_STATUS_OF: dict[Decision, Status] = {
    "accept": "proposed",
    "reject": "rejected",
    "quarantine": "quarantined",
    "ask": "waiting",
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the gate decided about a change, and on what evidence.

    Attributes:
        decision: accept, reject, quarantine for more evidence, or ask a person.
        reason: one line.
        evidence: the counts, the test, the interval and the cost, as JSON values.
    """

    decision: Decision
    reason: str
    evidence: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        return {"decision": self.decision, "reason": self.reason, "evidence": self.evidence}


@dataclass(frozen=True, kw_only=True)
class Change:
    """One proposed edit to anything that evolves.

    Attributes:
        key: makes the proposal idempotent: a second proposal with the same key is ignored. An example is
            `<run>:playbook`.
        kind: "playbook", "policy", "knowledge" …
        target: what it edits, such as `playbook:default`.
        base: the version of the target that it was made against.
        operations: JSON objects in the target's own format.
        role, model: who proposed it.
        run_id: the run that caused it.
        source: where its content came from, for `forget --source`.
        signal: the feedback channel behind it.
    """

    key: str
    kind: str
    target: str
    base: int
    operations: tuple[JsonObject, ...]
    role: str
    model: str = ""
    run_id: str | None = None
    source: str = ""
    signal: str = ""
    note: str = ""
    status: Status = "proposed"
    version: int | None = None
    created_at: dt.datetime | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of the content; the change's status does not affect it."""
        content = [self.kind, self.target, self.base, list(self.operations), self.role, self.model]
        return digest([*content, self.run_id, self.source, self.signal, self.note])

    @property
    def id(self) -> str:
        return digest([self.key, self.hash])[:16]


@dataclass(frozen=True, kw_only=True)
class ChangeEvent:
    """One line of a change's history."""

    change_id: str
    status: Status
    verdict: JsonObject | None
    version: int | None
    created_at: dt.datetime


Effect = Callable[[Connection, Change], None]
"""Writes what a change does. Runs in the transaction that gives the change its version; may raise Conflict to abort
it."""


class Gate(Protocol):
    """Decides which proposed changes take effect."""

    async def decide(self, changes: Sequence[Change], *, key: str) -> dict[str, Verdict]:
        """A verdict for each change.

        Args:
            changes: proposals against the current versions, of one target or several.
            key: names this decision; called again with the same key, the gate repeats its verdicts and runs no new
                tests.

        Returns:
            verdicts by change id.
        """
        ...


_VERSION = select(TargetRow.version).where(TargetRow.name == bindparam("name"))
"""Needed by every run, so built once."""


class Ledger:
    """The log of changes in a store. Safe to use from several threads and processes."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def propose(self, change: Change) -> Change:
        """Record a change, once per key; returns it as stored."""
        return self.store.transaction(lambda connection: self._propose(connection, change))

    def commit(self, change: Change, effect: Effect, *, verdict: Verdict | None = None) -> Change:
        """Propose and apply a change in one transaction.

        Returns:
            the change with its version. A second call with the same key does nothing and returns the same.

        Raises:
            Conflict: `effect` found that the target has moved on; nothing is written.
        """
        faults.point("before:ledger.commit")
        done = self.store.transaction(lambda c: self._apply(c, self._propose(c, change), effect, verdict))
        faults.point("after:ledger.commit")
        return done

    def apply(self, change_id: str, effect: Effect, *, verdict: Verdict | None = None) -> Change:
        """Apply a change proposed earlier, such as one released from quarantine; a second call does nothing."""
        faults.point("before:ledger.commit")
        done = self.store.transaction(lambda c: self._apply(c, self._stored(c, change_id), effect, verdict))
        faults.point("after:ledger.commit")
        return done

    def decide(self, change_id: str, verdict: Verdict) -> Change:
        """Record a verdict that applies nothing: reject, quarantine, or ask a person.

        Raises:
            Conflict: the change has been applied already.
        """

        def work(connection: Connection) -> Change:
            change = self._stored(connection, change_id)
            status = _STATUS_OF[verdict.decision]
            if change.status in ("applied", "withdrawn"):
                raise Conflict(f"change {change_id} is {change.status} already")
            if change.status != status:
                self._append(connection, change_id, status, verdict)
            return replace(change, status=status)

        return self.store.transaction(work)

    def withdraw(self, change_id: str, *, reason: str, connection: Connection | None = None) -> None:
        """Mark an applied change as undone; the undoing is recorded as a change of its own."""

        def work(inner: Connection) -> None:
            change = self._stored(inner, change_id)
            if change.status == "applied":
                self._append(inner, change_id, "withdrawn", None, note=reason)

        if connection is None:
            self.store.transaction(work)
        else:
            work(connection)

    def get(self, change_id: str) -> Change:
        """A change by its id, or by a unique prefix of it."""
        with self.store.read() as connection:
            query = select(ChangeRow.__table__).where(ChangeRow.id.startswith(change_id, autoescape=True)).limit(2)
            rows = connection.execute(query).all()
        if len(rows) != 1 or not change_id:
            raise UserError(
                f"no change {change_id!r}" if not rows or not change_id else f"several changes begin with {change_id!r}"
            )
        return _change(rows[0])

    def find(self, key: str) -> Change | None:
        """The change proposed under this key, if any."""
        with self.store.read() as connection:
            row = connection.execute(select(ChangeRow.__table__).where(ChangeRow.key == key)).one_or_none()
        return None if row is None else _change(row)

    def version(self, target: str) -> int:
        """The target's current version; 0 before its first change."""
        with self.store.read() as connection:
            return connection.execute(_VERSION, {"name": target}).scalar() or 0

    def targets(self, kind: str | None = None) -> list[str]:
        with self.store.read() as connection:
            query = select(TargetRow.name).order_by(TargetRow.name)
            return list(connection.execute(query if kind is None else query.where(TargetRow.kind == kind)).scalars())

    def at(self, target: str, version: int) -> Change:
        """The change that produced a version of a target.

        Raises:
            UserError: no such version.
        """
        made = self.applied(target, after=version - 1, upto=version)
        if not made:
            raise UserError(f"{target} has no version {version}")
        return made[0]

    def applied(self, target: str, *, after: int = 0, upto: int | None = None) -> list[Change]:
        """The changes that made versions `after + 1 … upto` of a target, in order: replaying them rebuilds it."""
        if upto is not None and upto <= after:
            return []
        query = select(ChangeRow.__table__).where(ChangeRow.target == target, ChangeRow.version > after)
        if upto is not None:
            query = query.where(ChangeRow.version <= upto)
        with self.store.read() as connection:
            return [_change(row) for row in connection.execute(query.order_by(ChangeRow.version))]

    def history(
        self,
        target: str | None = None,
        *,
        status: Status | None = None,
        run: str | None = None,
        limit: int | None = None,
    ) -> list[Change]:
        """Changes, newest first, optionally limited to a target, a status, or a run (by a prefix of its id)."""
        query = select(ChangeRow.__table__).order_by(ChangeRow.seq.desc())
        if target is not None:
            query = query.where(ChangeRow.target == target)
        if status is not None:
            query = query.where(ChangeRow.status == status)
        if run is not None:
            query = query.where(ChangeRow.run_id.startswith(run, autoescape=True))
        with self.store.read() as connection:
            return [_change(row) for row in connection.execute(query.limit(limit))]

    def events(self, change_id: str) -> list[ChangeEvent]:
        """Every decision about a change, oldest first."""
        table = ChangeEventRow
        query = select(table.change_id, table.status, table.verdict, table.version, table.created_at)
        with self.store.read() as connection:
            rows = connection.execute(query.where(table.change_id == change_id).order_by(table.seq)).mappings()
            return [ChangeEvent(**row) for row in rows]

    def held(self, change_id: str) -> bool:
        """Whether a person must decide about a change no matter what a gate says: the lint found a problem in it."""
        events = self.events(change_id)
        return bool(events and (events[-1].verdict or {}).get("evidence", {}).get("lint"))

    def verify(self, target: str) -> int:
        """Recompute the hash chain of a target.

        Returns:
            the number of versions checked.

        Raises:
            IntegrityError: a version was altered, removed or added without going through the ledger.
        """
        joined = select(ChangeRow.__table__, ChangeEventRow.chain.label("chain"), ChangeRow.hash.label("stored_hash"))
        query = joined.join(ChangeEventRow, ChangeEventRow.change_id == ChangeRow.id).where(
            ChangeRow.target == target, ChangeEventRow.status == "applied"
        )
        chain, count = "", 0
        with self.store.read() as connection:
            for row in connection.execute(query.order_by(ChangeEventRow.version)):
                count += 1
                chain = digest([chain, _change(row).hash])
                if row.version != count or chain != row.chain:
                    raise IntegrityError(f"{target}: version {count} does not match its hash")
            head = connection.execute(select(TargetRow.head).where(TargetRow.name == target)).scalar() or ""
        if head != chain:
            raise IntegrityError(f"{target}: the log ends before its head")
        return count

    def _propose(self, connection: Connection, change: Change) -> Change:
        self.store.insert_new(connection, TargetRow, [{"name": change.target, "kind": change.kind}])
        _lock(connection, change.target)
        stored = connection.execute(select(ChangeRow.__table__).where(ChangeRow.key == change.key)).one_or_none()
        if stored is not None:
            return _change(stored)
        change = replace(change, status="proposed", version=None, created_at=change.created_at or now())
        names = ("key", "kind", "target", "base", "role", "model", "run_id", "source", "signal", "note", "created_at")
        row = {name: getattr(change, name) for name in names}
        row |= {"id": change.id, "hash": change.hash, "operations": list(change.operations), "status": "proposed"}
        connection.execute(self.store.insert(ChangeRow), row)
        event = {"change_id": change.id, "status": "proposed", "created_at": change.created_at}
        connection.execute(self.store.insert(ChangeEventRow), event)
        return change

    def _apply(self, connection: Connection, change: Change, effect: Effect, verdict: Verdict | None) -> Change:
        if change.status in ("applied", "withdrawn"):
            return change
        target = _lock(connection, change.target)
        applied = replace(change, status="applied", version=target.version + 1)
        effect(connection, applied)
        chain = digest([target.head, change.hash])
        moved = update(TargetRow).where(TargetRow.name == change.target)
        connection.execute(moved.values(version=applied.version, head=chain))
        self._append(connection, change.id, "applied", verdict, version=applied.version, chain=chain)
        return applied

    def _append(
        self,
        connection: Connection,
        change_id: str,
        status: Status,
        verdict: Verdict | None,
        *,
        version: int | None = None,
        chain: str | None = None,
        note: str = "",
    ) -> None:
        record = verdict.to_json() if verdict else {"reason": note} if note else None
        row = {"change_id": change_id, "status": status, "verdict": record, "version": version, "chain": chain}
        connection.execute(self.store.insert(ChangeEventRow), row | {"created_at": now()})
        values: dict[str, Any] = {"status": status} | ({} if version is None else {"version": version})
        connection.execute(update(ChangeRow).where(ChangeRow.id == change_id).values(**values))

    def _stored(self, connection: Connection, change_id: str) -> Change:
        row = connection.execute(select(ChangeRow.__table__).where(ChangeRow.id == change_id)).one_or_none()
        if row is None:
            raise UserError(f"no change {change_id!r}")
        return _change(row)


def _lock(connection: Connection, target: str) -> Row[int, str]:
    """The target's version and head, locked until the transaction ends.

    It is locked before any other row is touched: a foreign key takes a shared lock on it, and two writers that upgrade
    that lock later would deadlock.
    """
    query = select(TargetRow.version, TargetRow.head).where(TargetRow.name == target)
    return connection.execute(query.with_for_update()).one()


def _change(row: Row[Any]) -> Change:
    names = ("key", "kind", "target", "base", "role", "model", "run_id", "source", "signal", "note", "status")
    values = {name: getattr(row, name) for name in (*names, "version", "created_at")}
    return Change(operations=tuple(row.operations), **values)


def count_changes(store: Store, *, status: Status | None = None) -> int:
    """How many changes are in the ledger."""
    query = select(func.count()).select_from(ChangeRow)
    with store.read() as connection:
        return connection.execute(query if status is None else query.where(ChangeRow.status == status)).scalar_one()


__all__: Sequence[str] = ("Change", "ChangeEvent", "Effect", "Ledger", "Verdict", "count_changes", "digest")
