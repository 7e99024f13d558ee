"""Reads and writes the SQL rows of one memory, which are authoritative for every index."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypedDict, Unpack

from sqlalchemy import Connection, Row, delete, exists, func, literal, or_, select, text, update

from agentkit.embedding import Embedder, text_hash
from agentkit.memory.case import Case
from agentkit.memory.text import mask, skeleton
from agentkit.store import Store
from agentkit.store.base import now
from agentkit.store.cases import CaseRecallRow, CaseRemovalRow, CaseRow, CaseVectorRow, MemoryRow
from agentkit.words import spaced

VIEWS = ("state", "masked", "plan")
"""The texts of a case that can be embedded: the state, the state with entities masked, the plan's skeleton."""

_INSERT = (
    "rev",
    "memory",
    "namespace",
    "id",
    "run_id",
    "state",
    "plan",
    "answer",
    "correction",
    "corrected_by",
    "instructions",
    "reward",
    "channel",
    "source",
    "trusted",
    "status",
    "pinned",
    "tags",
    "parents",
    "weight",
    "masked",
    "words",
    "state_hash",
    "masked_hash",
    "plan_hash",
    "created_at",
)
_CASE = [getattr(CaseRow, name) for name in Case.__dataclass_fields__]
_CHUNK = 500


def view_text(case: Case, view: str) -> str:
    """The text that a view embeds."""
    if view == "state":
        return case.state
    return mask(case.state) if view == "masked" else skeleton(case.plan) or "nothing"


class CaseValues(TypedDict, total=False):
    """The columns of a case that may change; see `Case`."""

    status: str
    trusted: bool
    reward: float | None
    channel: str
    tags: list[str]
    correction: str | None
    corrected_by: str


class CaseRows:
    """The rows of one memory. Methods that take a connection work inside the caller's transaction."""

    def __init__(self, store: Store, memory: str) -> None:
        self.store, self.memory = store, memory
        self._mark = mark = "?" if store.dialect == "sqlite" else "%s"
        values = ", ".join([mark] * len(_INSERT))
        self._insert = f"INSERT INTO cases ({', '.join(_INSERT)}) VALUES ({values}) ON CONFLICT DO NOTHING"
        self._tick = f"UPDATE case_memories SET clock = clock + {mark} WHERE name = {mark} RETURNING clock"
        self._stamp = f"SELECT clock, epoch, embedder FROM case_memories WHERE name = {mark}"

    def create(self, embedder: Embedder) -> Row[Any]:
        """The memory's own row, created with this embedder if it does not exist."""
        row = {
            "name": self.memory,
            "epoch": uuid.uuid4().hex,
            "clock": 0,
            "embedder": embedder.name,
            "dimension": embedder.dimension,
            "settings": {},
            "created_at": now(),
        }
        query = select(MemoryRow.__table__).where(MemoryRow.name == self.memory)
        with self.store.read() as connection:
            found = connection.execute(query).one_or_none()
        if found is not None:
            return found
        with self.store.write() as connection:
            self.store.insert_new(connection, MemoryRow, [row])
            return connection.execute(query).one()

    def stamp(self, connection: Connection) -> tuple[int, str, str]:
        """The current (clock, epoch, embedder)."""
        row = connection.exec_driver_sql(self._stamp, (self.memory,)).one()
        return row[0], row[1], row[2]

    def tick(self, connection: Connection, count: int = 1) -> int:
        """Advance the clock; until the transaction ends, other writers of this memory wait here."""
        return int(connection.exec_driver_sql(self._tick, (count, self.memory)).scalar_one())

    def new_epoch(self, connection: Connection) -> None:
        """Invalidate every cached index of this memory."""
        changed = update(MemoryRow).where(MemoryRow.name == self.memory)
        connection.execute(changed.values(epoch=uuid.uuid4().hex))

    def insert(self, connection: Connection, cases: Sequence[Case]) -> int:
        """Append cases, skipping those whose id or run exists already. Returns how many were new."""
        last = self.tick(connection, len(cases))
        first = last - len(cases) + 1
        rows = [self._values(case, first + i) for i, case in enumerate(cases)]
        return connection.exec_driver_sql(self._insert, rows).rowcount

    def insert_one(self, connection: Connection, case: Case) -> bool:
        """Append one case; if its id or run exists already, write nothing and return False."""
        done = connection.exec_driver_sql(self._insert, self._values(case, self.tick(connection)))
        return done.rowcount == 1

    def _values(self, case: Case, rev: int) -> tuple[Any, ...]:
        masked = mask(case.state)
        return (
            rev,
            self.memory,
            case.namespace,
            case.id,
            case.run_id,
            case.state,
            case.plan,
            case.answer,
            case.correction,
            case.corrected_by,
            case.instructions,
            case.reward,
            case.channel,
            case.source,
            case.trusted,
            case.status,
            case.pinned,
            _json(case.tags),
            _json(case.parents),
            case.weight,
            masked,
            spaced(case.state),
            text_hash(case.state),
            text_hash(masked),
            text_hash(view_text(case, "plan")),
            _time(case.created_at),
        )

    def existing(
        self, connection: Connection, namespace: str, *, ids: Iterable[str] = (), run_ids: Iterable[str] = ()
    ) -> list[Case]:
        """Cases of a namespace with one of these ids or runs."""
        found: dict[str, Case] = {}
        for column, values in (("id", list(ids)), ("run_id", list(run_ids))):
            found |= {case.id: case for case in self._in(connection, namespace, column, values)}
        return list(found.values())

    def by_seq(self, connection: Connection, seqs: Sequence[int], namespace: str) -> list[Case]:
        """Cases by number, in the order requested; cases of another namespace, or removed since, are left out."""
        found = {case.seq: case for case in self._in(connection, namespace, "seq", list(seqs))}
        return [found[seq] for seq in seqs if seq in found]

    def _in(self, connection: Connection, namespace: str, column: str, values: Sequence[Any]) -> Iterator[Case]:
        """Cases whose column has one of these values; in plain SQL, since every search ends here."""
        for part in _chunks(values):
            marks = ", ".join([self._mark] * len(part))
            # For numbers, the `|| ''` keeps SQLite from using the namespace's index and walking all of its entries.
            plain = " || ''" if column == "seq" else ""
            here = f"memory{plain} = {self._mark} AND namespace{plain} = {self._mark}"
            query = f"{_SELECT} WHERE {here} AND {column} IN ({marks})"
            for row in connection.exec_driver_sql(query, (self.memory, namespace, *part)):
                yield _from_driver(row)

    def ids(self, connection: Connection, seqs: Sequence[int], namespace: str) -> dict[int, str]:
        """Ids by number."""
        query = select(CaseRow.seq, CaseRow.id).where(CaseRow.memory == self.memory, CaseRow.namespace == namespace)
        return {
            seq: id
            for part in _chunks(list(seqs))
            for seq, id in connection.execute(query.where(CaseRow.seq.in_(part)))
        }

    def where(self, *conditions: Any, limit: int | None = None, newest: bool = False) -> list[Case]:
        """Cases of this memory that match SQL conditions, in order of their number."""
        order = CaseRow.seq.desc() if newest else CaseRow.seq
        query = select(*_CASE).where(CaseRow.memory == self.memory, *conditions).order_by(order).limit(limit)
        with self.store.read() as connection:
            return [to_case(row) for row in connection.execute(query)]

    def count(self, *conditions: Any) -> int:
        query = select(func.count()).select_from(CaseRow).where(CaseRow.memory == self.memory, *conditions)
        with self.store.read() as connection:
            return connection.execute(query).scalar_one()

    def update(self, connection: Connection, cases: Sequence[Case], **values: Unpack[CaseValues]) -> None:
        """Change columns of cases; never the state, which would no longer match its vector."""
        for part in _chunks([case.seq for case in cases]):
            rev = self.tick(connection)
            connection.execute(update(CaseRow).where(CaseRow.seq.in_(part)).values(rev=rev, **values))

    def delete(self, connection: Connection, seqs: Sequence[int]) -> int:
        """Remove cases and every vector that no other case needs; returns how many cases."""
        removed = 0
        for part in _chunks(list(seqs)):
            rev = self.tick(connection)
            hashes = self._hashes(connection, part)
            mine = (CaseRow.seq.in_(part), CaseRow.memory == self.memory)
            gone = list(connection.execute(delete(CaseRow).where(*mine).returning(CaseRow.seq)).scalars())
            rows = [{"seq": seq, "memory": self.memory, "rev": rev} for seq in gone]
            self.store.insert_new(connection, CaseRemovalRow, rows)
            self._drop_vectors(connection, hashes)
            removed += len(gone)
        return removed

    def _hashes(self, connection: Connection, seqs: Sequence[int]) -> list[str]:
        columns = (CaseRow.state_hash, CaseRow.masked_hash, CaseRow.plan_hash)
        rows = connection.execute(select(*columns).where(CaseRow.seq.in_(seqs)))
        return sorted({value for row in rows for value in row})

    def _drop_vectors(self, connection: Connection, hashes: Sequence[str]) -> None:
        for part in _chunks(list(hashes)):
            columns = [getattr(CaseRow, f"{view}_hash") for view in VIEWS]
            shared = connection.execute(select(*columns).where(or_(*(column.in_(part) for column in columns))))
            used = {value for row in shared for value in row}
            used |= set(
                connection.execute(select(CaseRecallRow.state_hash).where(CaseRecallRow.state_hash.in_(part))).scalars()
            )
            unused = [value for value in part if value not in used]
            if unused:
                connection.execute(delete(CaseVectorRow).where(CaseVectorRow.hash.in_(unused)))

    def changes(self, connection: Connection, after: int) -> list[tuple[Any, ...]]:
        """Rows changed after a clock value, by number; only the columns that filters use."""
        query = (
            "SELECT seq, namespace, status, reward, trusted, created_at, tags, state_hash FROM cases"
            " WHERE memory = :memory AND rev > :after ORDER BY seq"
        )
        return [tuple(row) for row in connection.execute(text(query), {"memory": self.memory, "after": after})]

    def removals(self, connection: Connection, after: int) -> list[int]:
        """Numbers of the cases removed after a clock value."""
        query = select(CaseRemovalRow.seq).where(CaseRemovalRow.memory == self.memory, CaseRemovalRow.rev > after)
        return list(connection.execute(query).scalars())

    def vectors(
        self, connection: Connection, view: str, embedder: str, after: int
    ) -> Iterator[tuple[int, bytes | None]]:
        """(seq, vector) of the cases after a number; None if the text has not been embedded yet."""
        query = (
            f"SELECT c.seq, v.vector FROM cases c LEFT JOIN case_vectors v ON v.embedder = :embedder"
            f" AND v.hash = c.{view}_hash WHERE c.memory = :memory AND c.seq > :after ORDER BY c.seq"
        )
        values = {"embedder": embedder, "memory": self.memory, "after": after}
        for row in connection.execute(text(query), values):
            yield row[0], row[1]

    def missing_texts(self, view: str, embedder: str, limit: int) -> list[tuple[str, str]]:
        """(hash, text) of the views that this embedder has not embedded yet."""
        column = getattr(CaseRow, f"{view}_hash")
        known = exists().where(CaseVectorRow.embedder == embedder, CaseVectorRow.hash == column)
        query = select(CaseRow.state, CaseRow.plan, column).where(CaseRow.memory == self.memory, ~known)
        with self.store.read() as connection:
            rows = connection.execute(query.order_by(CaseRow.seq).limit(limit)).all()
        return [(row[2], view_text(Case(state=row[0], plan=row[1]), view)) for row in rows]

    def namespaces(self) -> dict[str, int]:
        """Number of cases by namespace."""
        query = select(CaseRow.namespace, func.count()).where(CaseRow.memory == self.memory)
        with self.store.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query.group_by(CaseRow.namespace))}

    def from_source(self, source: str) -> list[Case]:
        """Cases whose source is this one, or includes it."""
        padded = literal(" ").concat(CaseRow.source).concat(" ")
        return self.where(padded.contains(f" {source} ", autoescape=True))


def to_case(row: Any) -> Case:
    values = {name: getattr(row, name) for name in Case.__dataclass_fields__}
    return Case(**{**values, "tags": tuple(values["tags"]), "parents": tuple(values["parents"])})


_SELECT = f"SELECT {', '.join(Case.__dataclass_fields__)} FROM cases"


def _from_driver(row: Sequence[Any]) -> Case:
    """A case from a raw driver row, without SQLAlchemy's type conversions."""
    values = dict(zip(Case.__dataclass_fields__, row, strict=True))
    for name in ("tags", "parents"):
        found = values[name]
        values[name] = () if found == "[]" else tuple(json.loads(found) if isinstance(found, str) else found)
    for name in ("trusted", "pinned"):
        values[name] = bool(values[name])
    values["created_at"] = dt.datetime.fromisoformat(values["created_at"])
    return Case(**values)


def _time(at: dt.datetime) -> str:
    """ISO 8601 with microseconds, so that text sorts like time; the call without the argument takes half as long."""
    return at.isoformat() if at.microsecond else at.isoformat(timespec="microseconds")


def _json(values: Sequence[str]) -> str:
    return json.dumps(list(values), ensure_ascii=False) if values else "[]"


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
