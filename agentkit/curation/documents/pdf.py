"""PDF: the text layer, page by page."""

from __future__ import annotations

import io
import logging
import re
import zlib
from collections.abc import Iterator

from agentkit.curation.documents.builder import Builder, headed_sections
from agentkit.curation.documents.document import Document, Metadata, content_id
from agentkit.curation.documents.identifiers import doi_of
from agentkit.curation.documents.source import Source
from agentkit.errors import DataError, MissingExtra
from agentkit.json_types import JsonObject
from agentkit.text import clean

PARSER = "pdf/1"

_BROKEN = (
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    AssertionError,
    RecursionError,
    OSError,
    EOFError,
    NotImplementedError,
    zlib.error,
)
"""Exceptions other than its own that pypdf raises for inconsistent files."""


def read(source: Source) -> Iterator[Document]:
    """One document with a segment per page.

    Raises DataError for a truncated, damaged or encrypted file, and for one that contains only scanned pages.
    """
    try:
        import pypdf
        from pypdf.errors import PyPdfError
    except ImportError as error:
        raise MissingExtra("curate", "pypdf") from error
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    data = source.read()
    if b"%%EOF" not in data[-4096:]:
        raise DataError("the PDF is truncated (its end is missing): fetch it again", path=source.name)
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise DataError("the PDF is encrypted: save it without its password", path=source.name)
        pages = [page.extract_text() or "" for page in reader.pages]
        info = {str(k): str(v) for k, v in (reader.metadata or {}).items()}
    except (PyPdfError, *_BROKEN) as error:
        reason = str(error).split("\n")[0] or type(error).__name__
        raise DataError(f"the PDF is damaged: {reason}", path=source.name) from error
    yield _document(source, data, pages, info)


def _document(source: Source, data: bytes, pages: list[str], info: JsonObject) -> Document:
    built = Builder()
    for number, page in enumerate(pages, 1):
        built.block(clean(page.strip()), label="TEXT", where=f"page {number}")
    text = built.text
    if not text:
        raise DataError(f"no text layer on {len(pages)} pages (scanned?): run OCR over it first", path=source.name)
    first = next(line.strip() for line in text.splitlines() if line.strip())
    doi = re.search(r"\bdoi(?:\.org/|[:\s]*)10\.\d{4,9}/\S+", text[:20_000], re.IGNORECASE)
    return Document(
        id=content_id(data),
        title=clean(info.get("/Title", "")).strip() or first[:300],
        text=text,
        sections=headed_sections(text),
        segments=tuple(built.segments),
        metadata=Metadata(doi=doi_of(doi[0]) if doi else ""),
        format="pdf",
        parser=PARSER,
        source=source.name,
    )
