"""Reading files and folders as documents; what can't be read becomes a failure, and the others continue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Literal

from agentkit.curation.documents import bioc, docling_pdf, jats, pdf, pubmed, pubtator, references, text
from agentkit.curation.documents.document import Document, Failure
from agentkit.curation.documents.source import Source, members, sources
from agentkit.curation.documents.xml import root_name
from agentkit.errors import DataError

Reader = Callable[[Source], Iterator[Document | Failure]]
PdfReader = Literal["pypdf", "docling"]
"""How PDF is read: its text layer, which is fast, or its layout, with columns and tables (the extra `docling`)."""
_PDF: dict[PdfReader, Reader] = {"pypdf": pdf.read, "docling": docling_pdf.read}

_ROOTS: dict[str, Reader] = {
    "article": jats.read,
    "pmc-articleset": jats.read_set,
    "OAI-PMH": jats.read_set,
    "collection": bioc.read_xml,
    "PubmedArticleSet": pubmed.read,
    "PubmedArticle": pubmed.read,
    "PubmedBookArticleSet": pubmed.read,
    "MedlineCitationSet": pubmed.read_citations,
}
_REFERENCES = {".bib", ".ris", ".nbib"}
_SUFFIXES: dict[str, Reader] = {
    ".json": bioc.read_json,
    ".jsonl": bioc.read_json,
    ".pubtator": pubtator.read,
    ".md": text.read_markdown,
    ".markdown": text.read_markdown,
    ".pdf": pdf.read,
}
_XML = {".xml", ".nxml"}
_TEXT = {".txt", ".text", ""}

FORMATS = tuple(sorted({*_SUFFIXES, *_REFERENCES, *_XML, ".txt"}))
"""The file name endings that can be read, each also with `.gz` or inside a .zip or .tar archive."""


def read_document(path: Path | str) -> Document:
    """The single paper in a file.

    Raises:
        DataError: the file can't be read (with the reason), or contains several papers.
        MissingExtra: lxml or pypdf is not installed.
    """
    found = list(_two(read_documents(path)))
    failure = next((item for item in found if isinstance(item, Failure)), None)
    if failure is not None:
        raise DataError(failure.reason, path=failure.source)
    documents = [item for item in found if isinstance(item, Document)]
    if len(documents) > 1:
        raise DataError("contains several papers: read it with read_documents", path=path)
    return documents[0]


def _two(items: Iterator[Document | Failure]) -> Iterator[Document | Failure]:
    for _, item in zip(range(2), items, strict=False):
        yield item


def read_documents(path: Path | str, *, pdf: PdfReader = "pypdf") -> Iterator[Document | Failure]:
    """Every paper in one file or archive. Raises DataError if there is no such file."""
    path = Path(path)
    if path.is_dir():
        raise DataError("a folder: read it with read_folder", path=path)
    yield from _read(next(sources(path)), pdf)


def read_folder(
    path: Path | str,
    on_error: Callable[[Failure], None] | None = None,
    *,
    pdf: PdfReader = "pypdf",
    through: Callable[[Iterable[Source]], Iterator[Document | Failure]] | None = None,
) -> Iterator[Document | Failure]:
    """Every paper under a folder (or in one file), sorted by file name, without duplicates.

    Reference files (.bib, .ris, .nbib) fill gaps in the metadata of papers with the same DOI, PMID or file name; a
    reference without a file becomes a document made of its title and abstract.

    Args:
        path: the folder, an archive, or a file.
        on_error: called with each failure instead of yielding it.
        pdf: how PDF files are read.
        through: replaces `read_sources`, for example to read in other processes; it then decides how PDF is read.

    Raises:
        DataError: there is no such folder.
        MissingExtra: lxml or pypdf is not installed.
    """
    files = list(sources(Path(path)))
    library = references.Library()
    seen: set[str] = set()
    failures = [failure for source in files if source.suffix in _REFERENCES for failure in _load(library, source)]
    papers = [source for source in files if source.suffix not in _REFERENCES]
    items = read_sources(papers, pdf=pdf) if through is None else through(papers)
    for item in chain(failures, _attached(items, library), library.rest()):
        if isinstance(item, Failure) and on_error is not None:
            on_error(item)
        elif isinstance(item, Failure):
            yield item
        elif item.id not in seen:
            seen.add(item.id)
            yield item


def read_sources(files: Iterable[Source], *, pdf: PdfReader = "pypdf") -> Iterator[Document | Failure]:
    """Every paper in these files and archives, in order."""
    return chain.from_iterable(_read(source, pdf) for source in files)


def _attached(items: Iterable[Document | Failure], library: references.Library) -> Iterator[Document | Failure]:
    for item in items:
        yield library.attach(item, _stem(item)) if isinstance(item, Document) else item


def _stem(document: Document) -> str:
    return Source(name=document.source, opener=lambda: Path(document.source).open("rb")).stem


def _load(library: references.Library, source: Source) -> Iterator[Failure]:
    try:
        for reference in references.read(source):
            if isinstance(reference, Failure):
                yield reference
            else:
                library.add(reference)
    except DataError as error:
        yield _failure(source, error)


def _read(source: Source, pdf: PdfReader) -> Iterator[Document | Failure]:
    try:
        inside = members(source)
        if inside is not None:
            for member in inside:
                yield from _read(member, pdf)
        elif source.suffix in _REFERENCES:
            library = references.Library()
            yield from _load(library, source)
            yield from library.rest()
        else:
            yield from _reader(source, pdf)(source)
    except DataError as error:
        yield _failure(source, error)
    except RecursionError:
        yield Failure(source=source.name, reason="nested too deeply")


def _failure(source: Source, error: DataError) -> Failure:
    where = source.name if error.line is None else f"{source.name}:{error.line}"
    return Failure(source=where, reason=str(error).removeprefix(f"{where}: "))


def _reader(source: Source, pdf: PdfReader) -> Reader:
    head = source.head()
    if head.startswith(b"%PDF-"):
        return _PDF[pdf]
    if source.suffix in _XML:
        return _xml_reader(source, head)
    if source.suffix in _TEXT:
        is_pubtator = pubtator.SNIFF.match(head.decode("utf-8-sig", "replace"))
        return pubtator.read if is_pubtator else text.read_text
    if source.suffix == ".pdf":
        raise DataError("not a PDF: it does not start with %PDF-", path=source.name)
    if source.suffix not in _SUFFIXES:
        raise DataError(f"no reader for {source.suffix} files (known: {', '.join(FORMATS)})", path=source.name)
    return _SUFFIXES[source.suffix]


def _xml_reader(source: Source, head: bytes) -> Reader:
    root = root_name(source, head)
    if root not in _ROOTS:
        raise DataError(f"XML with an unknown root <{root}> (known: {', '.join(_ROOTS)})", path=source.name)
    return _ROOTS[root]
