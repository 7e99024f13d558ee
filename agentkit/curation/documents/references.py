"""BibTeX and RIS: what a reference manager knows about papers, matched to files by DOI, PMID or name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from agentkit.curation.documents.builder import Builder
from agentkit.curation.documents.document import Document, Metadata, content_id
from agentkit.curation.documents.source import Source
from agentkit.errors import DataError
from agentkit.text import clean

PARSER = "references/1"

_ACCENTS = dict(zip("`'^\"~=.uvHcdbkr", map(chr, (
    0x300, 0x301, 0x302, 0x308, 0x303, 0x304, 0x307, 0x306, 0x30C, 0x30B, 0x327, 0x323, 0x331, 0x328, 0x30A)),
    strict=True,
))  # fmt: skip
_LETTERS = {"ss": "ß", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "ae": "æ", "AE": "Æ", "aa": "å", "AA": "Å", "i": "i"}


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One entry: its key, title and abstract, files it names, and the paper's metadata."""

    key: str
    title: str
    abstract: str
    files: tuple[str, ...]
    metadata: Metadata
    source: str
    data: str

    def document(self) -> Document | None:
        """A document of title and abstract; None when the entry has no title."""
        built = Builder()
        built.block(self.title, label="TITLE", where=self.key)
        built.block(self.abstract, label="ABSTRACT", where=self.key)
        if not self.title:
            return None
        return Document(
            id=content_id(self.data.encode()), title=self.title, text=built.text, sections=tuple(built.sections),
            segments=tuple(built.segments), metadata=self.metadata,
            format="reference", parser=PARSER, source=self.source,
        )  # fmt: skip


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
        """The document with the gaps in its metadata filled from the reference that fits, if one does."""
        keys = (*_ids(document.metadata), f"stem:{stem.lower()}")
        found = next((self._by[key] for key in keys if key in self._by), None)
        if found is None:
            return document
        self._used.add(id(found))
        return replace(document, metadata=document.metadata.merged(found.metadata))

    def rest(self) -> Iterator[Document]:
        """A document for each reference that no file was found for."""
        for reference in self.references:
            document = None if id(reference) in self._used else reference.document()
            if document is not None:
                yield document


def _ids(metadata: Metadata) -> tuple[str, ...]:
    named = (("doi", metadata.doi.lower()), ("pmid", metadata.pmid), ("pmcid", metadata.pmcid.upper()))
    return tuple(f"{name}:{value}" for name, value in named if value)


def read(source: Source) -> list[Reference]:
    """The entries of a .bib or .ris file. Raises DataError for a file without entries or with a broken one."""
    text = clean(source.decode())
    found = _bibtex(text, source) if source.suffix == ".bib" else _ris(text, source)
    if not found:
        raise DataError(f"no {'BibTeX' if source.suffix == '.bib' else 'RIS'} entry in this file", path=source.name)
    return found


def _ris(text: str, source: Source) -> list[Reference]:
    found, fields, lines = [], dict[str, list[str]](), list[str]()
    for line in text.splitlines():
        match = re.match(r"([A-Z][A-Z0-9])  -\s?(.*)$", line)
        lines.append(line)
        if match and match[1] == "ER":
            found.append(_from_ris(fields, "\n".join(lines).strip(), source))
            fields, lines = {}, []
        elif match:
            fields.setdefault(match[1], []).append(match[2].strip())
    if fields:
        raise DataError("the last RIS entry has no `ER  -` line: the file is truncated", path=source.name)
    return found


def _from_ris(fields: dict[str, list[str]], data: str, source: Source) -> Reference:
    def first(*names: str) -> str:
        return next((fields[n][0] for n in names if fields.get(n)), "")

    year = re.search(r"\d{4}", first("PY", "Y1", "DA"))
    metadata = Metadata(
        doi=_doi(first("DO", "M3")), pmid=first("AN") if first("AN").isdigit() else "",
        journal=first("T2", "JO", "JF", "JA"), year=int(year[0]) if year else None,
        authors=tuple(map(_forename_first, fields.get("AU", fields.get("A1", [])))),
    )  # fmt: skip
    return Reference(
        key=first("ID"), title=first("TI", "T1"), abstract=first("AB", "N2"), files=tuple(fields.get("L1", ())),
        metadata=metadata, source=source.name, data=data,
    )  # fmt: skip


def _bibtex(text: str, source: Source) -> list[Reference]:
    strings: dict[str, str] = {}
    found = []
    for match in re.finditer(r"^[ \t]*@(\w+)\s*[{(]", text, re.MULTILINE):
        kind, line = match[1].lower(), text.count("\n", 0, match.start()) + 1
        if kind in {"comment", "preamble"}:
            continue
        end = _closing(text, match.end() - 1)
        if end < 0:
            raise DataError(f"the BibTeX entry @{kind} is never closed", path=source.name, line=line)
        body = text[match.end() : end]
        if kind == "string":
            strings.update(_fields(body, strings))
        else:
            key, _, rest = body.partition(",")
            found.append(
                _from_bibtex(key.strip(), _fields(rest, strings), text[match.start() : end + 1].strip(), source)
            )
    return found


def _closing(text: str, start: int) -> int:
    """Where the brace or bracket opened at `start` closes; -1 when it never does."""
    open_, close = text[start], "}" if text[start] == "{" else ")"
    depth = 0
    for match in re.compile(rf"\\.|[{re.escape(open_ + close)}]").finditer(text, start):
        depth += {open_: 1, close: -1}.get(match[0], 0)
        if depth == 0:
            return match.start()
    return -1


def _fields(body: str, strings: dict[str, str]) -> dict[str, str]:
    fields, at = {}, 0
    name = re.compile(r"[\s,]*([\w-]+)\s*=\s*")
    while match := name.match(body, at):
        value, at = _value(body, match.end(), strings)
        fields[match[1].lower()] = value
    return fields


def _value(body: str, at: int, strings: dict[str, str]) -> tuple[str, int]:
    """One value: braced, quoted, a number or a name, joined by `#`."""
    parts = []
    while at < len(body):
        if body[at] == "{":
            end = _closing(body, at)
            part, at = body[at + 1 : end], end + 1
        elif body[at] == '"':
            end = _quote_end(body, at + 1)
            part, at = body[at + 1 : end], end + 1
        else:
            word = re.compile(r"[^\s,#]*").match(body, at)
            bare = word[0] if word else ""
            part, at = strings.get(bare.lower(), bare), at + len(bare)
        parts.append(part)
        joined = re.compile(r"\s*#\s*").match(body, at)
        if joined is None:
            break
        at = joined.end()
    return "".join(parts), at


def _quote_end(body: str, at: int) -> int:
    depth = 0
    for index in range(at, len(body)):
        depth += {"{": 1, "}": -1}.get(body[index], 0)
        if body[index] == '"' and depth == 0:
            return index
    return len(body)


def _from_bibtex(key: str, fields: dict[str, str], data: str, source: Source) -> Reference:
    plain = {name: latex_text(value) for name, value in fields.items()}
    year = re.search(r"\d{4}", plain.get("year") or plain.get("date", ""))
    metadata = Metadata(
        doi=_doi(fields.get("doi", "")), pmid=plain.get("pmid", ""), pmcid=plain.get("pmcid", "").upper(),
        year=int(year[0]) if year else None, journal=plain.get("journal") or plain.get("booktitle", ""),
        authors=tuple(_forename_first(a) for a in re.split(r"\s+and\s+", plain.get("author", "")) if a),
    )  # fmt: skip
    files = tuple(
        f for part in fields.get("file", "").split(";") for f in part.split(":") if re.search(r"\.\w{2,5}$", f)
    )
    return Reference(
        key=key, title=plain.get("title", ""), abstract=plain.get("abstract", ""), files=files, metadata=metadata,
        source=source.name, data=data,
    )  # fmt: skip


def latex_text(value: str) -> str:
    r"""LaTeX as plain text: accents, special letters, braces.

    >>> latex_text(r'G{\"o}del and {\O}rsted')
    'Gödel and Ørsted'
    """

    def accent(match: re.Match[str]) -> str:
        return unicodedata.normalize("NFC", match[2] + _ACCENTS[match[1]])

    text = re.sub(r"\\([`'^\"~=.])\s*\{?\\?([A-Za-z])\}?", accent, value)
    text = re.sub(r"\\([uvHcdbkr])(?:\s*\{([A-Za-z])\})", accent, text)
    text = re.sub(r"\\(ss|ae|AE|aa|AA|[oOlLi])(?![A-Za-z])\s*", lambda m: _LETTERS[m[1]], text)
    text = re.sub(r"\\[a-zA-Z]+\s*(?=\{)", "", text)
    text = text.replace("~", " ").replace("---", "—").replace("--", "–")
    return " ".join(re.sub(r"\\([&%$#_{}])|[{}]", lambda m: m[1] or "", text).split())


def _forename_first(name: str) -> str:
    last, comma, first = name.strip().partition(",")
    return f"{first.strip()} {last.strip()}".strip() if comma else last


def _doi(value: str) -> str:
    match = re.search(r"10\.\d{4,9}/\S+", value)
    return match[0].rstrip("}.,;").lower() if match else ""
