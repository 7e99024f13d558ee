"""Plain text and Markdown: the file's characters unchanged, so that offsets are those of the file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agentkit.curation.documents.builder import headed_sections
from agentkit.curation.documents.document import Document, Metadata, Section, Segment, content_id, section_label
from agentkit.curation.documents.source import Source
from agentkit.text import clean

PARSER = "text/1"

_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def read_text(source: Source) -> Iterator[Document]:
    """One document. Raises DataError for an empty file or an encoding other than UTF-8."""
    text = clean(source.decode())
    yield _document(source, text, headed_sections(text), _first_line(text), "text")


def read_markdown(source: Source) -> Iterator[Document]:
    """One document with a section per heading. Raises DataError as `read_text` does."""
    text = clean(source.decode())
    heads = [m for m in _HEADING.finditer(text) if not _fenced(text, m.start())]
    title = next((m[2] for m in heads if len(m[1]) == 1), "") or _first_line(text)
    yield _document(source, text, _markdown_sections(text, heads), title, "markdown")


def _fenced(text: str, offset: int) -> bool:
    return any(m.start() <= offset < m.end() for m in _FENCE.finditer(text))


def _markdown_sections(text: str, heads: list[re.Match[str]]) -> tuple[Section, ...]:
    starts = [m.start() for m in heads] + [len(text)]
    found = [Section(label="TEXT", start=0, end=starts[0])] if starts[0] > 0 else []
    for match, end in zip(heads, starts[1:], strict=True):
        label = "TITLE" if len(match[1]) == 1 else section_label(match[2])
        found.append(Section(label=label, title=match[2], start=match.start(), end=end))
    return tuple(found)


def _first_line(text: str) -> str:
    lines = (line.strip().lstrip("#").strip() for line in text.splitlines())
    return next((line for line in lines if line and line.upper().rstrip(": ") != "TITLE"), "")[:300]


def _document(source: Source, text: str, sections: tuple[Section, ...], title: str, form: str) -> Document:
    pmcid = re.fullmatch(r"pmc(\d+)", source.stem)
    return Document(
        id=content_id(source.read()),
        title=title,
        text=text,
        sections=sections,
        segments=(Segment(start=0, end=len(text), source=0),),
        metadata=Metadata(pmcid=f"PMC{pmcid[1]}" if pmcid else ""),
        format=form,
        parser=PARSER,
        source=source.name,
    )
