"""PubTator: `pmid|t|title`, `pmid|a|abstract`, then tab-separated mentions and relations; a blank line ends a paper."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agentkit.curation.documents.annotated import Passages, curies_of
from agentkit.curation.documents.document import AnnotatedRelation, Document, Failure, Metadata, content_id
from agentkit.curation.documents.source import Source
from agentkit.errors import DataError

PARSER = "pubtator/1"
SNIFF = re.compile(r"^\s*\w+\|t\|")


def read(source: Source) -> Iterator[Document | Failure]:
    """Each paper; a malformed line makes only its paper a failure, with the line number."""
    lines: list[str] = []
    first = 1
    for number, line in enumerate(source.decode().splitlines(), 1):
        if line.strip():
            first = first if lines else number
            lines.append(line)
        elif lines:
            yield _paper(lines, first, source)
            lines = []
    if lines:
        yield _paper(lines, first, source)


def _paper(lines: list[str], first: int, source: Source) -> Document | Failure:
    built, relations, pmid = Passages(where=f"line {first}"), [], ""
    for number, line in enumerate(lines, first):
        try:
            relation = _line(line, built)
        except (ValueError, IndexError):
            problem = DataError("a malformed PubTator line", path=source.name, line=number)
            return Failure(source=f"{source.name}:{number}", reason=str(problem).rpartition(": ")[2])
        relations += [relation] if relation else []
        pmid = pmid or re.split(r"[|\t]", line)[0]
    if not built.text.strip():
        return Failure(source=f"{source.name}:{first}", reason="no text")
    return built.document(
        content_id("\n".join(lines).encode()),
        form="pubtator",
        parser=PARSER,
        source=source.name,
        metadata=Metadata(pmid=pmid if pmid.isdigit() else ""),
        relations=relations,
    )


def _line(line: str, built: Passages) -> AnnotatedRelation | None:
    passage = re.match(r"[^|\t]+\|([ta])\|(.*)$", line)
    if passage:
        kind = {"t": "title", "a": "abstract"}[passage[1]]
        built.passage(passage[2], kind, None)
        return None
    cells = line.split("\t")
    if cells[1].isdigit():
        start, end, text, cls = int(cells[1]), int(cells[2]), cells[3], cells[4]
        built.mention([(start, end)], text, cls, curies_of(cells[5] if len(cells) > 5 else "", _prefix(cells)))
        return None
    roles = {"subject": _curie(cells[2]), "object": _curie(cells[3])}
    return AnnotatedRelation(predicate=cells[1], roles=roles)


def _prefix(cells: list[str]) -> str:
    """The prefix to add: PubTator writes MeSH identifiers bare; others have one or are left as they are."""
    return "MESH" if len(cells) > 5 and re.match(r"[DC]\d{6,}", cells[5]) else ""


def _curie(value: str) -> str:
    return f"MESH:{value}" if re.fullmatch(r"[DC]\d{6,}", value) else value
