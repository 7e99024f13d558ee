"""The document: one canonical text, its sections, the origin of each part, and the paper's metadata."""

from __future__ import annotations

import bisect
import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Self

from agentkit.errors import DataError
from agentkit.json_types import JsonObject


@dataclass(frozen=True, kw_only=True)
class Section:
    """A stretch of the canonical text under one heading.

    Attributes:
        label: the kind of section, in upper case: TITLE, ABSTRACT, INTRODUCTION, METHODS, RESULTS, DISCUSSION,
            CONCLUSIONS, TABLE, FIGURE, or else the heading itself.
        title: the heading as printed; empty if there is none.
        start, end: character offsets in the canonical text.
    """

    label: str
    title: str = ""
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Segment:
    """The position in the source of a stretch of the canonical text.

    Attributes:
        start, end: character offsets in the canonical text.
        source: the offset of `start` in the source, if offsets in both differ by a constant; otherwise None.
        where: the position in words: `page 3`, `line 120`, `record 7`.
    """

    start: int
    end: int
    source: int | None = None
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What is known about the paper; unknown fields are empty."""

    pmid: str = ""
    pmcid: str = ""
    doi: str = ""
    year: int | None = None
    authors: tuple[str, ...] = ()
    journal: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

    def merged(self, other: Metadata) -> Metadata:
        """This metadata, with gaps filled from `other`."""
        gaps = {f.name: getattr(other, f.name) for f in fields(self) if not getattr(self, f.name)}
        return replace(self, **gaps | {"extra": {**other.extra, **self.extra}})

    @property
    def publication(self) -> str:
        """The paper's CURIE: PMID, else PMC, else DOI, else empty."""
        if self.pmid:
            return f"PMID:{self.pmid}"
        if self.pmcid:
            return f"PMC:{self.pmcid.upper().removeprefix('PMC')}"
        return f"DOI:{self.doi}" if self.doi else ""


@dataclass(frozen=True, kw_only=True)
class Mention:
    """A gold mention: its spans in the canonical text (several when discontinuous), class and identifiers."""

    spans: tuple[tuple[int, int], ...]
    text: str
    cls: str
    curies: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AnnotatedRelation:
    """A gold relation: its name, and the identifier in each role."""

    predicate: str
    roles: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Document:
    """One paper.

    Attributes:
        id: SHA-256 of its bytes (of its record's bytes, where one file holds many papers).
        title: the title as printed.
        text: the canonical text to which all offsets refer.
        sections, segments: sorted by `start`.
        metadata: identifiers, year and authors.
        format, parser: the format and parser, such as `jats` and `jats/1`; the number increases if the text changes.
        source: the file's name, without folders.
        mentions, relations: gold annotations; never shown to a model.
    """

    id: str
    title: str
    text: str
    sections: tuple[Section, ...] = ()
    segments: tuple[Segment, ...] = ()
    metadata: Metadata = field(default_factory=Metadata)
    format: str = "text"
    parser: str = "text/1"
    source: str = ""
    mentions: tuple[Mention, ...] = ()
    relations: tuple[AnnotatedRelation, ...] = ()

    def __hash__(self) -> int:
        return hash(self.id)

    @cached_property
    def _starts(self) -> list[int]:
        return [section.start for section in self.sections]

    def section_at(self, offset: int) -> str:
        """The label of the section that contains `offset`; empty if none does."""
        at = bisect.bisect_right(self._starts, offset) - 1
        return self.sections[at].label if at >= 0 and offset < self.sections[at].end else ""

    def locate(self, offset: int) -> Segment | None:
        """The segment that contains `offset`, which gives its position in the source; None if there is none."""
        at = bisect.bisect_right(self.segments, offset, key=lambda s: s.start) - 1
        return self.segments[at] if at >= 0 and offset <= self.segments[at].end else None

    def source_offset(self, offset: int) -> int | None:
        """The offset in the source for a canonical offset; None if it is unknown."""
        segment = self.locate(offset)
        return None if segment is None or segment.source is None else segment.source + offset - segment.start

    def to_json(self) -> JsonObject:
        """All fields as JSON values, for a store."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """Raises DataError when a field is missing or of the wrong kind."""
        try:
            return cls(**{**row, **_parts(row)})
        except (TypeError, KeyError, AttributeError) as error:
            raise DataError(f"not a document: {error}") from error


def _parts(row: Mapping[str, Any]) -> JsonObject:
    metadata = dict(row.get("metadata") or {})
    return {
        "sections": tuple(Section(**s) for s in row.get("sections") or ()),
        "segments": tuple(Segment(**s) for s in row.get("segments") or ()),
        "metadata": Metadata(**metadata | {"authors": tuple(metadata.get("authors") or ())}),
        "mentions": tuple(_mention(m) for m in row.get("mentions") or ()),
        "relations": tuple(AnnotatedRelation(**r) for r in row.get("relations") or ()),
    }


def _mention(row: Mapping[str, Any]) -> Mention:
    spans = tuple((int(start), int(end)) for start, end in row["spans"])
    return Mention(spans=spans, text=row["text"], cls=row["cls"], curies=tuple(row.get("curies") or ()))


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A file or record that could not be read: its location, and the reason in one line."""

    source: str
    reason: str


def content_id(data: bytes) -> str:
    """The id of the document with these bytes."""
    return hashlib.sha256(data).hexdigest()


_KINDS = (
    ("ABSTRACT", r"abstract|summary|synopsis"),
    ("INTRODUCTION", r"introduction|background|objectives?|aims?|purpose"),
    ("METHODS", r"(?:materials?|patients?|subjects?|participants?)?.*\bmethods?|methodology|study design|design"),
    ("RESULTS", r"results?\b.*|findings|outcomes?"),
    ("DISCUSSION", r"discussion.*"),
    ("CONCLUSIONS", r"conclusions?.*|interpretation"),
)


def section_label(heading: str) -> str:
    """The kind of section with this heading, else the heading itself in upper case, at most 60 characters.

    >>> section_label("2. Materials and Methods")
    'METHODS'
    """
    plain = re.sub(r"^[\dIVX]+(?:\.\d+)*[.)]?\s+", "", " ".join(heading.split())).strip(" .:").lower()
    found = next((label for label, pattern in _KINDS if re.fullmatch(pattern, plain)), None)
    return found or plain.upper()[:60]
