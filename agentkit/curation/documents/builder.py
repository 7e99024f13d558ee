"""Builds a canonical text block by block, recording sections and the origin of each block."""

from __future__ import annotations

import re
from dataclasses import replace

from agentkit.curation.documents.document import Document, Metadata, Section, Segment, section_label
from agentkit.text import clean


def squeeze(text: str) -> str:
    """The text with runs of white space replaced by one space: line breaks in XML mean nothing."""
    return clean(" ".join(text.split()))


class Builder:
    """Builds a text of blocks separated by two newlines."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self.segments: list[Segment] = []
        self._parts: list[str] = []
        self._length = 0

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def block(self, text: str, *, label: str, title: str = "", where: str = "") -> None:
        """Append one block under a section; consecutive blocks of one section share its span."""
        if not text:
            return
        if self._length:
            self._append("\n\n")
        start, end = self._length, self._length + len(text)
        self._append(text)
        self.segments.append(Segment(start=start, end=end, where=where))
        last = self.sections[-1] if self.sections else None
        if last and (last.label, last.title) == (label, title):
            self.sections[-1] = replace(last, end=end)
        else:
            self.sections.append(Section(label=label, title=title, start=start, end=end))

    def document(self, id: str, *, title: str, metadata: Metadata, format: str, parser: str, source: str) -> Document:
        """The text built so far, as a document."""
        return Document(
            id=id,
            title=title,
            text=self.text,
            sections=tuple(self.sections),
            segments=tuple(self.segments),
            metadata=metadata,
            format=format,
            parser=parser,
            source=source,
        )

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)


_HEADING = re.compile(
    r"^(?:(?P<caps>[A-Z][A-Z &,/()-]*(?:\.[A-Z][^\n:]*)?):{1,2}"
    r"|(?:\d+(?:\.\d+)*\.?\s+)?(?P<plain>abstract|summary|introduction|background"
    r"|(?:materials and |patients and )?methods|results|results and discussion"
    r"|discussion|conclusions?|references)[.:]?)[ \t\r]*$",
    re.MULTILINE | re.IGNORECASE,
)


def headed_sections(text: str) -> tuple[Section, ...]:
    """Sections of plain text, from lines that contain only a usual heading (`Methods`, `BODY.RESULTS:`)."""
    heads = [m for m in _HEADING.finditer(text) if m["plain"] or m["caps"].split(".")[0].isupper()]
    starts = [m.start() for m in heads] + [len(text)]
    found = [Section(label="TEXT", start=0, end=starts[0])] if starts[0] > 0 else []
    for match, end in zip(heads, starts[1:], strict=True):
        title = (match["caps"] or match["plain"]).strip()
        whole, _, part = title.partition(".")
        label = section_label(part if part and whole.upper() in {"BODY", "TEXT"} else whole)
        found.append(Section(label=label, title=title, start=match.start(), end=end))
    return tuple(found)
