"""Reading and writing the rows of one playbook. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import CTE, Connection, Integer, Select, and_, func, insert, literal, select

from agentkit.errors import Conflict
from agentkit.json_types import JsonObject
from agentkit.ledger import Change
from agentkit.playbooks.applying import DeltaOutcome, apply_operations
from agentkit.playbooks.bullets import Bullet
from agentkit.playbooks.operations import Restore, read_operations, touched
from agentkit.store.playbooks import BulletRow, OriginRow, RollbackRow, VoteRow

NOW = 2**31 - 1
"""A version number larger than any that exists."""

_T = BulletRow
_COLUMNS = (_T.id, _T.section, _T.scope, _T.content, _T.status, _T.added, _T.revised, _T.seq, _T.parents)

_MANY = 400
"""Maximum number of ids in one IN clause."""


def _line(target: str, version: int) -> CTE:
    """The stretches of history that make up a version, as rows of (first, last): everything up to the version, except
    what rollbacks have hidden."""
    table = RollbackRow
    begins = func.coalesce(func.max(table.version), 0).label("first")
    newest = select(begins, literal(version, Integer).label("last"))
    line = newest.where(table.target == target, table.version <= version).cte("line", recursive=True)
    older = select(table.line, table.restored).where(table.target == target, table.version == line.c.first)
    return line.union_all(older)


def _states(target: str, version: int) -> Select[*tuple[Any, ...]]:
    """Every state on the line of a version; the last one of each bullet is the one in effect."""
    line = _line(target, version)
    on_it = and_(_T.target == target, _T.revised.between(line.c.first, line.c.last))
    return select(*_COLUMNS).join(line, on_it)


def read_version(connection: Connection, target: str, version: int) -> dict[str, Bullet]:
    """All bullets of a version."""
    return _latest(connection, _states(target, version))


def read_changes(connection: Connection, target: str, since: int, version: int) -> dict[str, Bullet] | None:
    """The bullets whose state at `version` is newer than `since`; None if a rollback may have removed some."""
    back = select(RollbackRow.version).where(RollbackRow.target == target)
    if connection.execute(back.where(RollbackRow.version.between(since + 1, version)).limit(1)).first():
        return None
    query = select(*_COLUMNS).where(_T.target == target, _T.revised.between(since + 1, version))
    return _latest(connection, query)


def _latest(connection: Connection, query: Select[*tuple[Any, ...]]) -> dict[str, Bullet]:
    rows = {row[0]: row for row in connection.execute(query.order_by(_T.revised))}
    return {id: _bullet(row) for id, row in rows.items()}


def read_votes(connection: Connection, target: str, version: int | None = None) -> dict[str, tuple[int, int]]:
    """Votes by bullet up to a version."""
    query = select(VoteRow.bullet_id, func.sum(VoteRow.helpful), func.sum(VoteRow.harmful))
    query = query.where(VoteRow.target == target, VoteRow.version <= (NOW if version is None else version))
    return {id: (int(up), int(down)) for id, up, down in connection.execute(query.group_by(VoteRow.bullet_id))}


class TablePast:
    """The past states of bullets, read from the tables on demand."""

    def __init__(self, connection: Connection, target: str, ids: Sequence[str] = ()) -> None:
        self.connection, self.target = connection, target
        self._current: dict[str, Bullet | None] = dict.fromkeys(ids)
        for start in range(0, len(ids), _MANY):
            wanted = _states(target, NOW).where(_T.id.in_(ids[start : start + _MANY]))
            self._current |= _latest(connection, wanted)

    def current(self, id: str) -> Bullet | None:
        if id not in self._current:
            self._current[id] = self.at(id, NOW)
        return self._current[id]

    def at(self, id: str, version: int) -> Bullet | None:
        return _latest(self.connection, _states(self.target, version).where(_T.id == id)).get(id)

    def restored(self, version: int) -> Iterable[tuple[str, Bullet | None]]:
        then = read_version(self.connection, self.target, version)
        now = read_version(self.connection, self.target, NOW)
        for id in {**then, **now}:
            if then.get(id) != now.get(id):
                yield id, then.get(id)


def apply_change(connection: Connection, change: Change) -> None:
    """Apply the effect of a change to the tables.

    Raises:
        Conflict: it is incompatible with what has happened since its base version.
    """
    operations, version = read_operations(list(change.operations)), change.version
    assert version is not None
    if len(operations) == 1 and isinstance(operations[0], Restore):
        _restore(connection, change.target, operations[0].version, version)
        return
    past = TablePast(connection, change.target, touched(operations))
    outcome = apply_operations(past, operations, base=change.base, version=version)
    _write(connection, change, outcome, version)


def _write(connection: Connection, change: Change, outcome: DeltaOutcome, version: int) -> None:
    target, change_id = change.target, change.id  # an id hashes all operations, so compute it only once
    rows = [_row(target, bullet) for bullet in outcome.bullets.values() if bullet is not None]
    if rows:
        connection.execute(insert(_T), rows)
    stamp = {"target": target, "version": version}
    origins = [
        {**stamp, "bullet_id": id, "operation": name, "change_id": change_id} for id, name in outcome.origins.items()
    ]
    if origins:
        connection.execute(insert(OriginRow), origins)
    votes = [{**stamp, "bullet_id": id, "helpful": up, "harmful": down} for id, (up, down) in outcome.votes.items()]
    if votes:
        connection.execute(insert(VoteRow), votes)


def _restore(connection: Connection, target: str, then: int, version: int) -> None:
    """A rollback is one row, no matter how many bullets it changes."""
    if then >= version:
        raise Conflict(f"there is no version {then} to go back to")
    earlier = select(func.coalesce(func.max(RollbackRow.version), 0)).where(RollbackRow.target == target)
    line = connection.execute(earlier.where(RollbackRow.version <= then)).scalar_one()
    connection.execute(insert(RollbackRow), {"target": target, "version": version, "restored": then, "line": line})


def _row(target: str, bullet: Bullet) -> JsonObject:
    row = {column.key: getattr(bullet, column.key) for column in _COLUMNS}
    return {**row, "parents": ",".join(bullet.parents), "target": target}


def _bullet(row: Any) -> Bullet:
    id, section, scope, content, status, added, revised, seq, parents = row
    made_from = tuple(parents.split(",")) if parents else ()
    return Bullet(id, section, scope, content, status, added, revised, seq, made_from)
