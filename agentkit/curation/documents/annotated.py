"""Passages at given offsets with gold annotations: what BioC and PubTator have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agentkit.curation.documents.document import (
    AnnotatedRelation,
    Document,
    Mention,
    Metadata,
    Section,
    Segment,
    section_label,
)
from agentkit.text import clean

_WIDEST_GAP = 1000
"""Passages further apart than this are joined directly: an offset of a billion must not make a text that long."""

_UNKNOWN = {"", "-", "-1"}


@dataclass(kw_only=True)
class Passages:
    """Builds the canonical text, keeping the offsets of the corpus if possible.

    Adding `shift` to the corpus's offsets gives those in the current passage; it is 0 as long as they can be kept.
    """

    where: str = ""
    shift: int = 0
    title: str = ""
    sections: list[Section] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)
    _text: str = ""

    @property
    def text(self) -> str:
        return self._text

    def passage(self, text: str, kind: str, offset: int | None, heading: str = "") -> None:
        """Append a passage of this kind (`title`, `abstract`, `METHODS` …) at the corpus's offset."""
        text, length = clean(text), len(self._text)
        gap = (1 if length else 0) if offset is None else offset - length
        if offset is None or not (1 if length else 0) <= gap <= _WIDEST_GAP:
            gap = 1 if length else 0
        self._text += "\n" * gap + text
        start = length + gap
        self.shift = 0 if offset is None else start - offset
        label = "TITLE" if kind.lower() in {"title", "front"} and not self.title else section_label(kind or "text")
        self.title = text if label == "TITLE" else self.title
        self.sections.append(Section(label=label, title=heading, start=start, end=len(self._text)))
        self.segments.append(Segment(start=start, end=len(self._text), source=offset, where=self.where))

    def mention(self, spans: Iterable[tuple[int, int]], text: str, cls: str, curies: tuple[str, ...]) -> None:
        """Record a gold mention at the corpus's offsets."""
        moved = tuple((start + self.shift, end + self.shift) for start, end in spans)
        self.mentions.append(Mention(spans=moved, text=text, cls=cls, curies=curies))

    def document(
        self,
        id_: str,
        *,
        form: str,
        parser: str,
        source: str,
        metadata: Metadata,
        relations: Iterable[AnnotatedRelation],
    ) -> Document:
        return Document(
            id=id_,
            title=self.title,
            text=self._text,
            sections=tuple(self.sections),
            segments=tuple(self.segments),
            metadata=metadata,
            format=form,
            parser=parser,
            source=source,
            mentions=tuple(self.mentions),
            relations=tuple(relations),
        )


def curies_of(value: str, prefix: str = "") -> tuple[str, ...]:
    """The identifiers in an annotation's value: two in `D001|D002`, none in `-1`; a bare one gets the prefix.

    >>> curies_of("D003000|D009270", "MESH")
    ('MESH:D003000', 'MESH:D009270')
    """
    parts = [part.strip() for part in value.replace(";", "|").replace(",", "|").split("|")]
    return tuple(p if ":" in p or not prefix else f"{prefix}:{p}" for p in parts if p not in _UNKNOWN)


def relation_of(infons: Mapping[str, str]) -> AnnotatedRelation:
    """A relation from BioC's infons: its name is under `relation` or `type`, and every other key is a role."""
    name = infons.get("relation") or infons.get("type") or "related"
    roles = {k: _role(v) for k, v in infons.items() if k not in {"relation", "type", "score"}}
    return AnnotatedRelation(predicate=name, roles=roles)


def _role(value: str) -> str:
    """A role's identifier: bare MeSH identifiers get their prefix; anything else is left as it is."""
    bare = len(value) > 1 and value[0] in "DC" and value[1:].isdigit()
    return f"MESH:{value}" if bare else value
