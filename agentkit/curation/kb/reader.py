"""Reading a knowledge base: its claims, entities and papers, in the current version or any earlier one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, Text, and_, cast, func, select, tuple_

from agentkit.curation.claims import EXPORTED, Claim, Entity, Qualifier
from agentkit.curation.documents import Document
from agentkit.curation.kb.records import BY_PERSON, ClaimHead, Record
from agentkit.errors import UserError
from agentkit.ledger import Ledger
from agentkit.store import Store
from agentkit.store.curation import OPEN, DocumentRow, KbClaimRow, KbDocumentRow, KbEntityRow

Table = type[KbClaimRow] | type[KbEntityRow]
_CHUNK = 500


class KbReader:
    """One named knowledge base in a store, for reading."""

    def __init__(self, store: Store, name: str) -> None:
        if not name or len(name) > 160:
            raise UserError("a knowledge base needs a name of at most 160 characters")
        self.store, self.name = store, name
        self.target = f"kb:{name}"
        self.ledger = Ledger(store)

    @property
    def version(self) -> int:
        """The newest version; 0 if nothing was written yet."""
        return self.ledger.version(self.target)

    def exists(self) -> bool:
        return self.target in self.ledger.targets("knowledge")

    def decided(self) -> Iterator[Record]:
        """Claims that people decided about: the accepted ones, then the rejected ones."""
        for status in BY_PERSON:
            yield from self.records(status=status)

    def records(
        self,
        *,
        at: int | None = None,
        predicate: str | None = None,
        status: str | None = None,
        document: str | None = None,
        ids: Sequence[str] | None = None,
    ) -> Iterator[Record]:
        """Claims with their records, by id: all, or those of one predicate, status or document.

        Args:
            ids: only these claims; at most a few hundred.
        """
        query = self._valid(KbClaimRow, at)
        if ids is not None:
            query = query.where(KbClaimRow.id.in_(ids))
        wanted = ((KbClaimRow.predicate, predicate), (KbClaimRow.status, status), (KbClaimRow.document, document))
        query = query.where(*(column == value for column, value in wanted if value is not None))
        with self.store.read() as connection:
            for row in connection.execute(query.order_by(KbClaimRow.id)).mappings():
                yield Record.from_row(dict(row))

    def claims(
        self,
        *,
        at: int | None = None,
        predicate: str | None = None,
        status: str | None = None,
        document: str | None = None,
    ) -> Iterator[Claim]:
        """The claims of a version (the newest by default), by id."""
        found = self.records(at=at, predicate=predicate, status=status, document=document)
        return (record.claim for record in found)

    def heads(self, *, subject: str | None = None, told_apart: bool = False) -> Iterator[ClaimHead]:
        """The claims of the newest version without their evidence, by id; takes a tenth of the time of `records`.

        Claims with equal qualifiers share one mapping.

        Args:
            subject: only claims about this entity.
            told_apart: only claims whose subject, relation and object occur in exported claims with different
                qualifiers.
        """
        row = KbClaimRow
        qualifiers = cast(row.qualifiers, Text)
        columns = [qualifiers if name == "qualifiers" else getattr(row, name) for name in ClaimHead._fields]
        query = self._valid(row, None).with_only_columns(*columns)
        if subject is not None:
            query = query.where(row.subject == subject)
        if told_apart:
            ends = (row.subject, row.predicate, row.object)
            several = self._valid(row, None).with_only_columns(*ends).where(row.status.in_(EXPORTED)).group_by(*ends)
            query = query.where(tuple_(*ends).in_(several.having(func.min(qualifiers) < func.max(qualifiers))))
        with self.store.read() as connection:
            rows = sorted(connection.execute(query).all(), key=lambda found: str(found[0]))
        for id_, first, predicate, second, document, text, *rest in rows:
            yield ClaimHead(id_, first, predicate, second, document, _qualifiers(text), *rest)

    def undecided(self, limit: int | None = None) -> list[tuple[str, float]]:
        """Ids and disagreement of the claims that no person decided about, the most disputed first, ties by id."""
        row = KbClaimRow
        query = self._valid(row, None).with_only_columns(row.id, row.disagreement).where(row.status.not_in(BY_PERSON))
        with self.store.read() as connection:
            rows = connection.execute(query.order_by(row.disagreement.desc(), row.id).limit(limit)).all()
        return [(id_, disagreement) for id_, disagreement in rows]

    def entities(self, *, at: int | None = None, ids: Sequence[str] | None = None) -> Iterator[Entity]:
        """Entities by id; `ids` may name at most a few hundred."""
        query = self._valid(KbEntityRow, at).order_by(KbEntityRow.id)
        if ids is not None:
            query = query.where(KbEntityRow.id.in_(ids))
        with self.store.read() as connection:
            for row in connection.execute(query).mappings():
                yield Entity.from_json(dict(row))

    def find(self, prefix: str) -> Record:
        """The claim whose id starts with `prefix`. Raises UserError if there is none, or more than one."""
        query = self._valid(KbClaimRow, None).where(KbClaimRow.id.startswith(prefix, autoescape=True)).limit(2)
        with self.store.read() as connection:
            rows = connection.execute(query).mappings().all()
        if len(rows) != 1:
            raise UserError(f"no claim {prefix!r} in {self.name}" if not rows else f"{prefix!r} matches several claims")
        return Record.from_row(dict(rows[0]))

    def count(self, table: Table, column: str | None = None, *, at: int | None = None) -> dict[str, int]:
        """The number of rows for each value of a column (the total under "" if no column is given)."""
        key = None if column is None else getattr(table, column)
        query = self._valid(table, at)
        counted = query.with_only_columns(*([] if key is None else [key]), func.count())
        with self.store.read() as connection:
            rows = connection.execute(counted if key is None else counted.group_by(key).order_by(key)).all()
        return {"" if key is None else str(row[0]): row[-1] for row in rows}

    def document(self, id_: str) -> Document | None:
        """The paper as it was read for this knowledge base."""
        query = select(DocumentRow.content).join(
            KbDocumentRow, and_(KbDocumentRow.document == DocumentRow.id, KbDocumentRow.parser == DocumentRow.parser)
        )
        with self.store.read() as connection:
            row = connection.execute(query.where(KbDocumentRow.kb == self.name, DocumentRow.id == id_)).scalar()
        return None if row is None else Document.from_json(row)

    def documents(self) -> Iterator[Document]:
        """The papers of this knowledge base, by id."""
        query = select(DocumentRow.content).join(
            KbDocumentRow, and_(KbDocumentRow.document == DocumentRow.id, KbDocumentRow.parser == DocumentRow.parser)
        )
        with self.store.read() as connection:
            ordered = query.where(KbDocumentRow.kb == self.name).order_by(DocumentRow.id)
            for content in connection.execute(ordered).scalars():
                yield Document.from_json(content)

    def _valid(self, table: Table, at: int | None) -> Select[Any]:
        query = select(table.__table__).where(table.kb == self.name)
        if at is None:
            return query.where(table.until == OPEN)
        return query.where(table.since <= at, table.until > at)

    def at(self, ids: Iterable[str], version: int) -> dict[str, Record]:
        """The states of claims in a version."""
        wanted = list(ids)
        found: dict[str, Record] = {}
        with self.store.read() as connection:
            for start in range(0, len(wanted), _CHUNK):
                query = self._valid(KbClaimRow, version).where(KbClaimRow.id.in_(wanted[start : start + _CHUNK]))
                found |= {row["id"]: Record.from_row(dict(row)) for row in connection.execute(query).mappings()}
        return found


@lru_cache(maxsize=4096)
def _qualifiers(text: str) -> Mapping[str, Qualifier]:
    found: Mapping[str, Qualifier] = json.loads(text)
    return found
