"""The content of an export, in a fixed order, so that the same knowledge base always gives the same bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from agentkit.curation.claims import EXPORTED, Claim, Entity, Status
from agentkit.curation.documents.document import Document
from agentkit.errors import DataError
from agentkit.json_types import JsonObject
from agentkit.whole import written_whole


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A document in an export: its title and identifiers, not its text."""

    id: str
    title: str = ""
    publication: str = ""
    year: int | None = None
    source: str = ""

    @classmethod
    def of(cls, document: Document) -> Self:
        meta = document.metadata
        return cls(
            id=document.id,
            title=document.title,
            publication=meta.publication,
            year=meta.year,
            source=document.source,
        )

    def to_json(self) -> JsonObject:
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """Raises DataError when the id is missing."""
        if not row.get("id"):
            raise DataError("'id' is missing")
        return cls(**{name: row[name] for name in ("id", "title", "publication", "year", "source") if name in row})


@dataclass(frozen=True, kw_only=True)
class Content:
    """Entities, claims and papers, sorted by id; entities that only a claim names are added with their id.

    Attributes:
        iris: IRIs of ontology classes and relations by name, such as slot URIs; others get one under `urn:agentkit:`.
        categories: Biolink classes and predicates by ontology name, for KGX.
    """

    entities: tuple[Entity, ...]
    claims: tuple[Claim, ...]
    papers: tuple[Paper, ...] = ()
    iris: Mapping[str, str] = field(default_factory=dict)
    categories: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        claims: Iterable[Claim],
        entities: Iterable[Entity],
        papers: Iterable[Paper] = (),
        *,
        statuses: Collection[Status] = EXPORTED,
        iris: Mapping[str, str] | None = None,
        categories: Mapping[str, str] | None = None,
    ) -> Self:
        """Keep claims with one of `statuses` (by default supported and accepted), and what they name."""
        kept = tuple(sorted((c for c in claims if c.status in statuses), key=lambda c: c.id))
        known = {e.id: e for e in entities}
        named = {i for c in kept for i in (c.subject, c.object)}
        nodes = (known.get(i) or Entity(id=i, label=i, cls="Thing", groundable=False) for i in named)
        about = {p.id: p for p in papers}
        read = (about.get(i) or Paper(id=i) for i in {c.document for c in kept})
        return cls(
            entities=tuple(sorted(nodes, key=lambda e: e.id)),
            claims=kept,
            papers=tuple(sorted(read, key=lambda p: p.id)),
            iris=dict(iris or {}),
            categories=dict(categories or {}),
        )

    def by_id(self) -> dict[str, Entity]:
        """The entities by id."""
        return {e.id: e for e in self.entities}

    def publications(self) -> dict[str, str]:
        """By document id: the paper's CURIE, or else our id for it."""
        return {p.id: p.publication or f"agentkit.document:{p.id}" for p in self.papers}


@contextmanager
def writing(path: Path) -> Iterator[IO[str]]:
    """A text file that appears under its name only once it is complete. Raises DataError if it can't be written."""
    if path.exists() and not path.is_file():
        raise DataError("not a regular file: an export replaces nothing else", path=path)
    try:
        with written_whole(path) as part, part.open("w", encoding="utf-8", errors="replace", newline="") as stream:
            yield stream
    except OSError as error:
        raise DataError(f"can't be written: {error.strerror}", path=path) from error


def one_line(text: str) -> str:
    """Text for a table cell without quoting: runs of white space become one space."""
    return " ".join(text.split())


def negated(claim: Claim) -> bool:
    """Whether the claim denies its relation."""
    value = claim.qualifiers.get("negated", False)
    return value if isinstance(value, bool) else str(value).lower() in {"true", "yes", "1"}
