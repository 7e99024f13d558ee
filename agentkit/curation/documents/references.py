"""BibTeX, RIS and .nbib: metadata from reference managers, matched to files by DOI, PMID or name."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from agentkit.curation.documents.bibtex import BibtexEntry, entries
from agentkit.curation.documents.builder import Builder
from agentkit.curation.documents.document import Document, Failure, Metadata, content_id
from agentkit.curation.documents.identifiers import doi_of, pmcid_of, pmid_of, year_of
from agentkit.curation.documents.latex import latex_text
from agentkit.curation.documents.markup import plain_html
from agentkit.curation.documents.ris import RisRecord, read_nbib, read_ris
from agentkit.curation.documents.source import Source
from agentkit.errors import DataError
from agentkit.text import clean

PARSER = "references/2"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One entry: its key, title and abstract, the files it names, and the paper's metadata."""

    key: str
    title: str
    abstract: str
    files: tuple[str, ...]
    metadata: Metadata
    source: str
    data: str

    def document(self) -> Document | None:
        """A document made of title and abstract; None if the entry has no title."""
        built = Builder()
        built.block(self.title, label="TITLE", where=self.key)
        built.block(self.abstract, label="ABSTRACT", where=self.key)
        if not self.title:
            return None
        id, metadata = content_id(self.data.encode()), self.metadata
        return built.document(
            id, title=self.title, metadata=metadata, format="reference", parser=PARSER, source=self.source
        )


class Library:
    """References by DOI, PMID and file stem; remembers which were used."""

    def __init__(self, references: Iterable[Reference] = ()) -> None:
        self._by: dict[str, Reference] = {}
        self._used: set[int] = set()
        self.references: list[Reference] = []
        for reference in references:
            self.add(reference)

    def add(self, reference: Reference) -> None:
        self.references.append(reference)
        stems = [re.sub(r"\.\w+(\.gz)?$", "", re.split(r"[/\\]", f)[-1]) for f in reference.files]
        for key in (*_ids(reference.metadata), *(f"stem:{s.lower()}" for s in (reference.key, *stems) if s)):
            self._by.setdefault(key, reference)

    def attach(self, document: Document, stem: str) -> Document:
        """The document, with gaps in its metadata filled from the matching reference if there is one."""
        keys = (*_ids(document.metadata), f"stem:{stem.lower()}")
        found = next((self._by[key] for key in keys if key in self._by), None)
        if found is None:
            return document
        self._used.add(id(found))
        return replace(document, metadata=document.metadata.merged(found.metadata))

    def rest(self) -> Iterator[Document]:
        """A document for each reference without a matching file; references without a title are only logged."""
        left = [reference for reference in self.references if id(reference) not in self._used]
        for reference in left:
            document = reference.document()
            if document is not None:
                yield document
        if untitled := [reference.key or reference.source for reference in left if not reference.title]:
            _log.warning(
                "%d references have neither a title nor a file and are left out: %s",
                len(untitled),
                ", ".join(untitled[:5]),
            )


def _ids(metadata: Metadata) -> tuple[str, ...]:
    named = (("doi", metadata.doi.lower()), ("pmid", metadata.pmid), ("pmcid", metadata.pmcid.upper()))
    return tuple(f"{name}:{value}" for name, value in named if value)


def read(source: Source) -> list[Reference | Failure]:
    """The entries of a .bib, .ris or .nbib file; a broken entry becomes a failure, and the others continue.

    Raises:
        DataError: the file contains no entry, or can't be read.
    """
    text = source.decode()
    found = _bibtex(text, source) if source.suffix == ".bib" else _tagged(text, source)
    if not found:
        kind = {".bib": "BibTeX", ".ris": "RIS"}.get(source.suffix, "PubMed")
        raise DataError(f"no {kind} entry in this file", path=source.name)
    return found


def _tagged(text: str, source: Source) -> list[Reference | Failure]:
    lines = text.splitlines()
    found = read_nbib(lines) if source.suffix == ".nbib" else read_ris(lines)
    if found.stray:
        count = len(found.stray)
        _log.warning("%s:%d: %d lines between records belong to none", source.name, found.stray[0], count)
    return [_from_ris(record, source, last=record is found.records[-1]) for record in found.records]


def _from_ris(record: RisRecord, source: Source, *, last: bool) -> Reference | Failure:
    """Read a record even without its `ER` line; if it is the last in the file, only if it has an abstract."""
    first = record.first
    if not record.closed and last and not first("AB", "N2"):
        return Failure(source=f"{source.name}:{record.line}", reason="no `ER  -` line: the file is truncated")
    if not record.closed:
        _log.warning("%s:%d: the record has no ER line", source.name, record.line)
    addresses = record.all("UR", "L3", "LK")
    metadata = Metadata(
        doi=doi_of(first("DO", "M3")) or next(filter(None, map(doi_of, addresses)), ""),
        pmid=pmid_of(first("PMID", "AN")) or next(filter(None, map(_pubmed, addresses)), ""),
        pmcid=pmcid_of(" ".join(record.all("C2", "C7"))),
        journal=plain_html(first("T2", "JO", "JF", "JA", "J2")),
        year=year_of(first("PY", "Y1", "DA")),
        authors=tuple(_forename_first(plain_html(name)) for name in record.all("AU") or record.all("A1")),
    )
    reference = Reference(
        key=first("ID"),
        title=_line(plain_html(first("TI", "T1", "CT", "BT"))),
        abstract=_line(plain_html(" ".join(record.all("AB") or record.all("N2")))),
        files=tuple(record.all("L1")),
        metadata=metadata,
        source=source.name,
        data="\n".join(record.lines).strip(),
    )
    return reference if reference.title or _ids(metadata) else _empty(source, record.line)


def _pubmed(address: str) -> str:
    return pmid_of(address) if "pubmed" in address else ""


def _bibtex(text: str, source: Source) -> list[Reference | Failure]:
    return [_from_bibtex(entry, source) for entry in entries(text)]


def _from_bibtex(entry: BibtexEntry, source: Source) -> Reference | Failure:
    if entry.broken:
        return Failure(source=f"{source.name}:{entry.line}", reason=entry.broken)
    plain = {name: _line(plain_html(latex_text(entry.fields[name]))) for name in _READ if name in entry.fields}
    metadata = Metadata(
        doi=next(filter(None, (doi_of(entry.fields.get(name, "")) for name in ("doi", "url", "note"))), ""),
        pmid=pmid_of(plain.get("pmid", "")),
        pmcid=pmcid_of(_prefixed(plain.get("pmcid") or plain.get("pmc", ""))),
        year=year_of(plain.get("year") or plain.get("date", "")),
        journal=plain.get("journal") or plain.get("journaltitle") or plain.get("booktitle", ""),
        authors=tuple(_authors(entry.fields.get("author", ""))),
    )
    files = tuple(
        f for part in entry.fields.get("file", "").split(";") for f in part.split(":") if re.search(r"\.\w{2,5}$", f)
    )
    reference = Reference(
        key=entry.key,
        title=plain.get("title", ""),
        abstract=plain.get("abstract", ""),
        files=files,
        metadata=metadata,
        source=source.name,
        data=entry.data,
    )
    return reference if reference.title or reference.key or _ids(metadata) else _empty(source, entry.line)


_READ = ("title", "abstract", "journal", "journaltitle", "booktitle", "year", "date", "pmid", "pmcid", "pmc")


def _empty(source: Source, line: int) -> Failure:
    return Failure(source=f"{source.name}:{line}", reason="an entry without a title and identifiers")


def _prefixed(pmcid: str) -> str:
    return f"PMC{pmcid}" if pmcid.isdigit() else pmcid


def _authors(value: str) -> Iterator[str]:
    """Names separated by `and`; a name in braces, such as a study group, is kept whole."""
    for name in re.split(r"\s+and\s+(?![^{}]*\})", value.strip()):
        whole = re.fullmatch(r"\s*\{(.*)\}\s*", name, re.DOTALL)
        plain = latex_text(name)
        if plain and plain.lower() != "others":
            yield plain if whole else _forename_first(plain)


def _forename_first(name: str) -> str:
    """`Last, First` and `Last, Jr, First`, with the first name first."""
    last, *rest = [part.strip() for part in name.split(",")]
    if len(rest) == 2:
        return " ".join(filter(None, (rest[1], last, rest[0])))
    return " ".join(filter(None, (*rest, last)))


def _line(text: str) -> str:
    return clean(" ".join(text.split()))
