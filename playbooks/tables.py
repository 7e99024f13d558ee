"""Reading and writing the rows of one playbook. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, and_, func, insert, literal, literal_column, select, update

from agentkit.learning.ledger import Change
from agentkit.playbooks.applying import Outcome, apply_operations
from agentkit.playbooks.bullets import Bullet
from agentkit.playbooks.operations import Restore, read_operations, touched
from agentkit.store.playbooks import OPEN, BulletRow, OriginRow, VoteRow

_T = BulletRow
_COLUMNS = (_T.id, _T.section, _T.scope, _T.content, _T.status, _T.added, _T.revised, _T.seq, _T.parents)
RESTORED = "*"
"""Stands for all bullets in the origins of a rollback."""

_MANY = 400
"""Ids in one IN clause."""


_IS_OPEN = _T.until == literal_column(str(OPEN))
"""The condition as a literal: only so can the partial index be used."""


def valid_at(target: str, version: int) -> Any:
    """The condition that picks the rows of a version."""
    return and_(_T.target == target, _T.since <= version, _T.until > version)


def read_version(connection: Connection, target: str, version: int) -> dict[str, Bullet]:
    """All bullets of a version."""
    if version <= 0:
        return {}
    return {row[0]: _bullet(row) for row in connection.execute(select(*_COLUMNS).where(valid_at(target, version)))}


def read_changes(connection: Connection, target: str, since: int, version: int) -> dict[str, Bullet] | None:
    """The bullets whose state at `version` is newer than `since`; None where a rollback may have removed some."""
    marker = select(OriginRow.version).where(OriginRow.target == target, OriginRow.bullet_id == RESTORED)
    if connection.execute(marker.where(OriginRow.version.between(since + 1, version)).limit(1)).first():
        return None
    query = select(*_COLUMNS).where(valid_at(target, version), _T.since > since)
    return {row[0]: _bullet(row) for row in connection.execute(query)}


def read_votes(connection: Connection, target: str, version: int | None = None) -> dict[str, tuple[int, int]]:
    """Votes by bullet up to a version."""
    query = select(VoteRow.bullet_id, func.sum(VoteRow.helpful), func.sum(VoteRow.harmful))
    query = query.where(VoteRow.target == target, VoteRow.version <= (OPEN if version is None else version))
    return {id: (int(up), int(down)) for id, up, down in connection.execute(query.group_by(VoteRow.bullet_id))}


class TablePast:
    """Bullets in time, read from the tables as they are needed."""

    def __init__(self, connection: Connection, target: str, ids: Sequence[str] = ()) -> None:
        self.connection, self.target = connection, target
        self._current: dict[str, Bullet | None] = dict.fromkeys(ids)
        for start in range(0, len(ids), _MANY):
            part = ids[start : start + _MANY]
            query = select(*_COLUMNS).where(_T.target == target, _T.until == OPEN, _T.id.in_(part))
            self._current |= {row[0]: _bullet(row) for row in connection.execute(query)}

    def current(self, id: str) -> Bullet | None:
        if id not in self._current:
            self._current[id] = self.at(id, OPEN - 1)
        return self._current[id]

    def at(self, id: str, version: int) -> Bullet | None:
        query = select(*_COLUMNS).where(valid_at(self.target, version), _T.id == id)
        row = self.connection.execute(query).one_or_none()
        return None if row is None else _bullet(row)

    def restored(self, version: int) -> Iterable[tuple[str, Bullet | None]]:
        then = read_version(self.connection, self.target, version)
        now = read_version(self.connection, self.target, OPEN - 1)
        for id in {**then, **now}:
            if then.get(id) != now.get(id):
                yield id, then.get(id)


def apply_change(connection: Connection, change: Change) -> None:
    """The effect of a change on the tables.

    Raises:
        Conflict: it can't follow what has happened since its base version.
    """
    operations, version = read_operations(list(change.operations)), change.version
    assert version is not None
    if len(operations) == 1 and isinstance(operations[0], Restore):
        _restore(connection, change, operations[0].version, version)
        return
    past = TablePast(connection, change.target, touched(operations))
    outcome = apply_operations(past, operations, base=change.base, version=version)
    _write(connection, change, outcome, version)


def _write(connection: Connection, change: Change, outcome: Outcome, version: int) -> None:
    target, ids = change.target, list(outcome.bullets)
    for start in range(0, len(ids), _MANY):
        closing = update(_T).where(_T.target == target, _T.until == OPEN, _T.id.in_(ids[start : start + _MANY]))
        connection.execute(closing.values(until=version))
    rows = [_row(target, bullet, version) for bullet in outcome.bullets.values() if bullet is not None]
    if rows:
        connection.execute(insert(_T), rows)
    stamp = {"target": target, "version": version}
    origins = [
        {**stamp, "bullet_id": id, "operation": name, "change_id": change.id} for id, name in outcome.origins.items()
    ]
    if origins:
        connection.execute(insert(OriginRow), origins)
    votes = [{**stamp, "bullet_id": id, "helpful": up, "harmful": down} for id, (up, down) in outcome.votes.items()]
    if votes:
        connection.execute(insert(VoteRow), votes)


def _restore(connection: Connection, change: Change, then: int, version: int) -> None:
    """A rollback in three statements, however many bullets it changes: reopen what was, close what came after."""
    target = change.target
    origin = {"target": target, "bullet_id": RESTORED, "version": version, "operation": "restore"}
    connection.execute(insert(OriginRow), {**origin, "change_id": change.id})
    names = [column.key for column in _COLUMNS]
    old = select(literal(target), literal(version), literal(OPEN), *_COLUMNS)
    old = old.where(valid_at(target, then), _T.until != OPEN)
    connection.execute(insert(_T).from_select(["target", "since", "until", *names], old))
    after = and_(_T.target == target, _IS_OPEN, _T.since > then, _T.since < version)
    connection.execute(update(_T).where(after).values(until=version))


def _row(target: str, bullet: Bullet, version: int) -> dict[str, Any]:
    row = {column.key: getattr(bullet, column.key) for column in _COLUMNS}
    return {**row, "parents": ",".join(bullet.parents), "target": target, "since": version, "until": OPEN}


def _bullet(row: Any) -> Bullet:
    id, section, scope, content, status, added, revised, seq, parents = row
    made_from = tuple(parents.split(",")) if parents else ()
    return Bullet(id, section, scope, content, status, added, revised, seq, made_from)
