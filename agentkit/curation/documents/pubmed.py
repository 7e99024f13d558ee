"""PubMed's XML: many citations in one file, each a title and an abstract, often with labelled parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from agentkit.curation.documents.builder import Builder
from agentkit.curation.documents.document import Document, Failure, Metadata, content_id, section_label
from agentkit.curation.documents.source import Source
from agentkit.curation.documents.xml import find, flat_text, inside, local, lxml_etree, records
from agentkit.text import clean

PARSER = "pubmed/1"


def read(source: Source) -> Iterator[Document | Failure]:
    """Each citation as a document; one without title and abstract is a failure that names its record."""
    etree = lxml_etree()
    for number, element in enumerate(records(source, "PubmedArticle", "PubmedBookArticle"), 1):
        where = f"record {number}"
        if local(element) == "PubmedBookArticle":
            yield Failure(source=f"{source.name} {where}", reason="a book record, which is not read")
            continue
        document = _document(element, content_id(etree.tostring(element, with_tail=False)), source, where)
        yield document or Failure(source=f"{source.name} {where}", reason="neither title nor abstract")


def _document(element: Any, id_: str, source: Source, where: str) -> Document | None:
    article = find(element, "MedlineCitation/Article")
    if article is None:
        return None
    title = clean(flat_text(find(article, "ArticleTitle")) or flat_text(find(article, "VernacularTitle")))
    built = Builder()
    built.block(title, label="TITLE", where=where)
    for part in inside(article, "Abstract"):
        if local(part) == "AbstractText":
            _abstract(built, part, where)
    if not built.text:
        return None
    return Document(
        id=id_, title=title, text=built.text, sections=tuple(built.sections), segments=tuple(built.segments),
        metadata=_metadata(element, article), format="pubmed", parser=PARSER, source=source.name,
    )  # fmt: skip


def _abstract(built: Builder, part: Any, where: str) -> None:
    heading, text = " ".join((part.get("Label") or "").split()), clean(flat_text(part))
    if not text:
        return
    label = section_label(heading) if heading and heading.upper() != "UNLABELLED" else "ABSTRACT"
    shown = f"{heading}: {text}" if label != "ABSTRACT" else text
    built.block(shown, label=label, title=heading, where=where)


def _metadata(element: Any, article: Any) -> Metadata:
    ids = {
        e.get("IdType"): (e.text or "").strip() for e in inside(element, "PubmedData/ArticleIdList") if e.get("IdType")
    }
    kinds = [flat_text(e) for e in inside(article, "PublicationTypeList")]
    retracted = {"retracted": "true"} if "Retracted Publication" in kinds else {}
    authors = [e for e in inside(article, "AuthorList") if local(e) == "Author"]
    return Metadata(
        pmid=flat_text(find(element, "MedlineCitation/PMID")),
        pmcid=ids.get("pmc", ""),
        doi=ids.get("doi", "").lower(),
        year=_year(article),
        authors=tuple(name for e in authors if (name := _author(e))),
        journal=flat_text(find(article, "Journal/Title")),
        extra=retracted,
    )


def _year(article: Any) -> int | None:
    date = find(article, "Journal/JournalIssue/PubDate")
    match = re.search(r"\b(1[5-9]|20)\d\d\b", flat_text(date)) if date is not None else None
    return int(match[0]) if match else None


def _author(author: Any) -> str:
    collective = flat_text(find(author, "CollectiveName"))
    return collective or " ".join(filter(None, (flat_text(find(author, n)) for n in ("ForeName", "LastName"))))
