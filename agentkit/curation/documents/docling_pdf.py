"""PDF read by its layout, with Docling: columns in reading order, tables row by row, no headers and footers.

This is much slower than reading the text layer, and Docling downloads its own models on first use.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from agentkit.curation.documents.builder import Builder, squeeze
from agentkit.curation.documents.document import Document, Metadata, content_id, section_label
from agentkit.curation.documents.source import Source
from agentkit.errors import DataError, MissingExtra

PARSER = "pdf-docling/1"
_FURNITURE = {"page_header", "page_footer"}


def read(source: Source) -> Iterator[Document]:
    """One document with a segment per item: a paragraph, a heading, a caption, a row of a table.

    Raises:
        DataError: Docling can't read the file, or can't read all of it.
        MissingExtra: Docling is not installed.
    """
    try:
        from docling.datamodel.base_models import DocumentStream
        from docling.document_converter import DocumentConverter
    except ImportError as error:
        raise MissingExtra("docling", "docling") from error
    data = source.read()
    stream = DocumentStream(name="paper.pdf", stream=io.BytesIO(data))
    result = DocumentConverter().convert(stream, raises_on_error=False)
    status = str(getattr(result.status, "value", result.status))
    if status != "success":
        told = "; ".join(str(error.error_message) for error in result.errors[:2]) or "no reason given"
        raise DataError(f"Docling did not read all of it ({status}): {told}", path=source.name)
    yield document_of(result.document, data, source.name)


def document_of(found: Any, data: bytes, name: str) -> Document:
    """Docling's result (a `DoclingDocument`) as a document with canonical text.

    Raises:
        DataError: it contains no text.
    """
    built, label, heading, title = Builder(), "TEXT", "", ""
    for item, _ in found.iterate_items():
        kind = str(getattr(item.label, "value", item.label))
        text, where = squeeze(getattr(item, "text", "")), _page(item)
        if kind in _FURNITURE:
            continue
        if kind == "title" and text:
            title = title or text
        if kind == "section_header" and text:
            label, heading = section_label(text), text
        for line in _rows(item) if kind == "table" else [text]:
            built.block(line, label=label, title=heading, where=where)
    if not built.text:
        raise DataError("Docling found no text in it", path=name)
    first = title or built.text.split("\n", 1)[0][:300]
    return built.document(content_id(data), title=first, metadata=Metadata(), format="pdf", parser=PARSER, source=name)


def _rows(table: Any) -> list[str]:
    """The rows of a table, each as a line of `column: cell`, so that a quoted row makes sense on its own."""
    rows = [[squeeze(cell.text) for cell in row] for row in table.data.grid]
    if len(rows) < 2:
        return [" | ".join(filter(None, row)) for row in rows]
    head = rows[0]
    return [
        "; ".join(f"{name}: {cell}" if name else cell for name, cell in zip(head, row, strict=False) if cell)
        for row in rows[1:]
    ]


def _page(item: Any) -> str:
    provenance = getattr(item, "prov", None)
    return f"page {provenance[0].page_no}" if provenance else ""
