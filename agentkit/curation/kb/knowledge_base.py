"""The knowledge base: entities and claims in all their versions, each change one entry in the ledger.

The ledger records what was put, closed or decided, with the hash of every row; the rows themselves are kept for every
version, so that any version can be shown, compared, verified and restored. Only people change what a person accepted
or rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, and_, bindparam, or_, select, update

from agentkit.curation.claims import Entity
from agentkit.curation.documents import Document
from agentkit.curation.kb.reader import KbReader, Table
from agentkit.curation.kb.records import BY_PERSON, Record, entity_row, merged
from agentkit.errors import UserError
from agentkit.json_types import JsonObject
from agentkit.ledger import Change
from agentkit.store import Store
from agentkit.store.curation import OPEN, DocumentRow, KbClaimRow, KbDocumentRow, KbEntityRow, KbReviewRow

Operation = JsonObject
Decision = Literal["accepted", "rejected"]
_CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class Author:
    """Who makes a change: role, model, run and source."""

    role: str = "explorer"
    model: str = ""
    run_id: str | None = None
    source: str = ""
    signal: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Write:
    """The rows that one change puts into a knowledge base and takes out of it."""

    records: Sequence[Record] = ()
    entities: Sequence[Entity] = ()
    retired: Sequence[str] = ()

    def operations(self) -> list[Operation]:
        """The operations for the ledger: ids and hashes, so that a row altered outside the ledger is detected."""
        ops = [{"op": "claim", "id": r.claim.id, "hash": r.hash} for r in self.records]
        ops += [{"op": "entity", "id": e.id, "hash": entity_row(e)["hash"]} for e in self.entities]
        return ops + [{"op": "retire", "id": id_} for id_ in self.retired]

    def __bool__(self) -> bool:
        return bool(self.records or self.entities or self.retired)


class KnowledgeBase(KbReader):
    """One named knowledge base in a store, for reading and changing."""

    def add_document(self, document: Document) -> None:
        """Store a paper's canonical text; does nothing if it is already stored by the same parser."""
        row = {"id": document.id, "parser": document.parser, "title": document.title, "source": document.source}
        link = {"kb": self.name, "document": document.id, "parser": document.parser}

        def work(connection: Connection) -> None:
            self.store.insert_new(connection, DocumentRow, [row | {"content": document.to_json()}])
            kept = self.store.insert(KbDocumentRow).values(**link)
            newer = {"parser": document.parser}
            connection.execute(kept.on_conflict_do_update(index_elements=["kb", "document"], set_=newer))

        self.store.transaction(work)

    def write(
        self, content: Write, *, key: str, author: Author, also: Callable[[Connection], None] | None = None
    ) -> Change | None:
        """Apply a change once per key, with `also` in the same transaction.

        Claims that a person decided about are not changed. If there is nothing to write, only `also` is run.
        """
        if not content:
            if also is not None:
                self.store.transaction(also)
            return None

        def effect(connection: Connection, change: Change) -> None:
            assert change.version is not None
            self._apply(connection, content, change.version)
            if also is not None:
                also(connection)

        return self.ledger.commit(self.change(content.operations(), key=key, author=author), effect)

    def change(self, operations: Iterable[Operation], *, key: str, author: Author) -> Change:
        """A change of this knowledge base for the ledger."""
        return Change(
            key=f"{self.target}:{key}",
            kind="knowledge",
            target=self.target,
            base=0,
            operations=tuple(operations),
            role=author.role,
            model=author.model,
            run_id=author.run_id,
            source=author.source,
            signal=author.signal,
            note=author.note,
        )

    def _apply(self, connection: Connection, content: Write, version: int) -> None:
        records = {record.claim.id: record for record in content.records}
        now = {id_: Record.from_row(dict(row)) for id_, row in self.current(connection, KbClaimRow, records).items()}
        rows = [r.to_row() for id_, r in records.items() if not self._kept(now.get(id_), r)]
        self.replace(connection, KbClaimRow, rows, version, there=now)
        self.put_entities(connection, content.entities, version)
        retired = self.current(connection, KbClaimRow, content.retired)
        machine = [id_ for id_, row in retired.items() if row["status"] not in BY_PERSON]
        self.close(connection, KbClaimRow, machine, version)

    def put_entities(self, connection: Connection, given: Iterable[Entity], version: int) -> None:
        """Put entities, each merged with the stored one of the same id."""
        entities: dict[str, Entity] = {}
        for entity in given:
            entities[entity.id] = merged(entities[entity.id], entity) if entity.id in entities else entity
        stored = self.current(connection, KbEntityRow, entities)
        for id_, row in stored.items():
            entities[id_] = merged(Entity.from_json(dict(row)), entities[id_])
        fresh = [entity_row(entity) for entity in entities.values()]
        changed = [row for row in fresh if row["id"] not in stored or stored[row["id"]]["hash"] != row["hash"]]
        self.replace(connection, KbEntityRow, changed, version, there=stored)

    @staticmethod
    def _kept(now: Record | None, new: Record) -> bool:
        """Whether the stored state is kept: a person decided about it, or it is the same."""
        return now is not None and (now.by_person or now.hash == new.hash)

    def current(self, connection: Connection, table: Table, ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """The open rows with these ids."""
        found: dict[str, Mapping[str, Any]] = {}
        wanted = list(ids)
        for start in range(0, len(wanted), _CHUNK):
            query = self._valid(table, None).where(table.id.in_(wanted[start : start + _CHUNK]))
            found |= {row["id"]: row for row in connection.execute(query).mappings()}
        return found

    def close(self, connection: Connection, table: Table, ids: Sequence[str], version: int) -> None:
        """Close the open rows with these ids, which end before `version`."""
        if ids:
            closing = update(table).where(table.kb == self.name, table.id == bindparam("row_id"), table.until == OPEN)
            connection.execute(closing.values(until=version), [{"row_id": id_} for id_ in ids])

    def replace(
        self,
        connection: Connection,
        table: Table,
        rows: Sequence[Mapping[str, Any]],
        version: int,
        *,
        there: Container[str] | None = None,
    ) -> None:
        """Close the rows with these ids (all of them, or those in `there`) and put the new rows in their place."""
        if not rows:
            return
        ids = [str(row["id"]) for row in rows]
        self.close(connection, table, [id_ for id_ in ids if there is None or id_ in there], version)
        open_ = {"kb": self.name, "since": version, "until": OPEN}
        connection.execute(self.store.insert(table), [dict(row) | open_ for row in rows])

    def sweep_entities(self, named: Mapping[str, Entity]) -> None:
        """Drop entities that neither `named` nor any claim refers to, and give the others the labels in `named`."""
        claimed = {id_ for record in self.records() for id_ in (record.claim.subject, record.claim.object)}
        stored = {entity.id: entity for entity in self.entities()}
        dropped = [id_ for id_ in stored if id_ not in named and id_ not in claimed]
        relabelled = [entity_row(e) for id_, e in named.items() if id_ in stored and stored[id_] != e]
        if not dropped and not relabelled:
            return
        operations = [{"op": "drop", "id": id_} for id_ in dropped]
        operations += [{"op": "entity", "id": row["id"], "hash": row["hash"]} for row in relabelled]

        def effect(connection: Connection, change: Change) -> None:
            assert change.version is not None
            self.close(connection, KbEntityRow, dropped, change.version)
            self.replace(connection, KbEntityRow, relabelled, change.version)

        author = Author(role="curator", note="entities that no claim names any more")
        self.ledger.commit(self.change(operations, key=f"sweep:{self.version}", author=author), effect)

    # --- persons

    def review(self, claim: str, decision: Decision, *, reviewer: str, note: str = "") -> Change:
        """Record a person's decision: the claim's status becomes `accepted` or `rejected` until a person decides
        otherwise. The claim may be given by the start of its id."""
        record = self.find(claim)
        number = len(self.reviews(record.claim.id))
        decided = Record(
            claim=record.claim.with_status(decision, note), names=record.names, disagreement=record.disagreement
        )
        author = Author(role="person", signal="user", run_id=record.claim.run_id or None, note=note, source=reviewer)
        operations = [{"op": "review", "id": record.claim.id, "decision": decision, "hash": decided.hash}]
        change = self.change(operations, key=f"review:{record.claim.id}:{number}", author=author)

        def effect(connection: Connection, applied: Change) -> None:
            assert applied.version is not None
            self.replace(connection, KbClaimRow, [decided.to_row()], applied.version)
            row = {"kb": self.name, "claim": record.claim.id, "decision": decision, "reviewer": reviewer}
            connection.execute(self.store.insert(KbReviewRow).values(**row, note=note, version=applied.version))

        return self.ledger.commit(change, effect)

    def reviews(self, claim: str | None = None) -> list[JsonObject]:
        """People's decisions, oldest first."""
        query = select(KbReviewRow.__table__).where(KbReviewRow.kb == self.name).order_by(KbReviewRow.id)
        with self.store.read() as connection:
            rows = connection.execute(query if claim is None else query.where(KbReviewRow.claim == claim)).mappings()
            return [dict(row) for row in rows]

    # --- versions

    def rollback(self, version: int, *, reviewer: str = "", note: str = "") -> Change:
        """Make a new version that equals an old one.

        Raises:
            UserError: there is no such version.
        """
        newest = self.version
        if not 0 <= version <= newest:
            raise UserError(f"{self.name} has versions 0 to {newest}, not {version}")
        author = Author(role="person", signal="user", source=reviewer, note=note or f"rollback to {version}")
        operations = [{"op": "rollback", "to": version}]

        def effect(connection: Connection, change: Change) -> None:
            assert change.version is not None
            for table in (KbClaimRow, KbEntityRow):
                self._restore(connection, table, version, change.version)

        change = self.change(operations, key=f"rollback:{newest}:{version}", author=author)
        return self.ledger.commit(change, effect)

    def _restore(self, connection: Connection, table: Table, to: int, version: int) -> None:
        since = select(table.id).where(table.kb == self.name, table.since > to, table.until == OPEN)
        self.close(connection, table, list(connection.execute(since).scalars()), version)
        ended = self._valid(table, to).where(table.until != OPEN)
        rows = [dict(row) for row in connection.execute(ended).mappings()]
        self.replace(connection, table, rows, version)

    def diff(self, old: int, new: int | None = None) -> Difference:
        """The differences between two versions.

        Raises:
            UserError: there is no such version.
        """
        newest = self.version
        end = newest if new is None else new
        if not 0 <= old <= newest or not 0 <= end <= newest:
            raise UserError(f"{self.name} has versions 0 to {newest}")
        low, high = sorted((old, end))
        claims, entities = (self._moved(table, low, high) for table in (KbClaimRow, KbEntityRow))
        if old > end:
            claims, entities = _reversed(claims), _reversed(entities)
        return Difference(old=old, new=end, claims=claims, entities=entities)

    def _moved(self, table: Table, low: int, high: int) -> Moved:
        edges = or_(and_(table.since > low, table.since <= high), and_(table.until > low, table.until <= high))
        columns = (table.id, table.since, table.until, table.hash)
        before: dict[str, str] = {}
        after: dict[str, str] = {}
        with self.store.read() as connection:
            for id_, since, until, hash_ in connection.execute(select(*columns).where(table.kb == self.name, edges)):
                if since <= low < until:
                    before[id_] = hash_
                if since <= high < until:
                    after[id_] = hash_
        changed = sorted(id_ for id_ in before.keys() & after.keys() if before[id_] != after[id_])
        return Moved(
            added=sorted(after.keys() - before.keys()), removed=sorted(before.keys() - after.keys()), changed=changed
        )


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Ids of rows that were added, removed, or changed in place."""

    added: list[str]
    removed: list[str]
    changed: list[str]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The differences between two versions of a knowledge base."""

    old: int
    new: int
    claims: Moved
    entities: Moved

    def to_json(self) -> JsonObject:
        return {"old": self.old, "new": self.new, "claims": vars(self.claims), "entities": vars(self.entities)}


def _reversed(moved: Moved) -> Moved:
    return Moved(added=moved.removed, removed=moved.added, changed=moved.changed)


def open_kb(store: Store, name: str) -> KnowledgeBase:
    """An existing knowledge base. Raises UserError, which lists the existing names, if there is none of that name."""
    kb = KnowledgeBase(store, name)
    if not kb.exists():
        known = [target.removeprefix("kb:") for target in kb.ledger.targets("knowledge")]
        raise UserError(f"no knowledge base {name!r} (there are: {', '.join(known) or 'none'})")
    return kb


__all__: Sequence[str] = ("Author", "Difference", "KnowledgeBase", "Moved", "Write", "open_kb")
