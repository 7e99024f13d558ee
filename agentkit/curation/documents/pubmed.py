"""PubMed's XML: many citations in one file, each a title and an abstract, often with labelled parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentkit.curation.documents.builder import Builder
from agentkit.curation.documents.document import Document, Failure, Metadata, content_id, section_label
from agentkit.curation.documents.identifiers import doi_of, pmcid_of, pmid_of, year_of
from agentkit.curation.documents.source import Source
from agentkit.curation.documents.xml import find, inside, lxml_etree, records
from agentkit.curation.documents.xml_names import local
from agentkit.curation.documents.xml_text import flat_text
from agentkit.text import clean

PARSER = "pubmed/2"


_RECORDS = {"MedlineCitationSet": ("MedlineCitation",), "": ("PubmedArticle", "PubmedBookArticle")}


def read_citations(source: Source) -> Iterator[Document | Failure]:
    """Each citation of a `<MedlineCitationSet>`."""
    return read(source, "MedlineCitationSet")


def read(source: Source, root: str = "") -> Iterator[Document | Failure]:
    """Each citation as a document; one without title and abstract becomes a failure that names its record."""
    etree = lxml_etree()
    for number, element in enumerate(records(source, *_RECORDS.get(root, _RECORDS[""])), 1):
        where = f"record {number}"
        if local(element) == "PubmedBookArticle":
            yield Failure(source=f"{source.name} {where}", reason="a book record, which is not read")
            continue
        document = _document(element, content_id(etree.tostring(element, with_tail=False)), source, where)
        yield document or Failure(source=f"{source.name} {where}", reason="neither title nor abstract")


def _document(element: Any, id_: str, source: Source, where: str) -> Document | None:
    article = find(element, "Article" if local(element) == "MedlineCitation" else "MedlineCitation/Article")
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
    metadata = _metadata(element, article)
    return built.document(id_, title=title, metadata=metadata, format="pubmed", parser=PARSER, source=source.name)


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
        pmid=pmid_of(flat_text(find(element, "MedlineCitation/PMID")) or flat_text(find(element, "PMID"))),
        pmcid=pmcid_of(ids.get("pmc", "")),
        doi=doi_of(ids.get("doi", "")) or _elocation(article),
        year=_year(article),
        authors=tuple(name for e in authors if (name := _author(e))),
        journal=flat_text(find(article, "Journal/Title")),
        extra=retracted,
    )


def _year(article: Any) -> int | None:
    date = find(article, "Journal/JournalIssue/PubDate")
    return None if date is None else year_of(flat_text(find(date, "Year")) or flat_text(date))


def _elocation(article: Any) -> str:
    found = (flat_text(e) for e in article if local(e) == "ELocationID" and e.get("EIdType") == "doi")
    return doi_of(next(found, ""))


def _author(author: Any) -> str:
    collective = flat_text(find(author, "CollectiveName"))
    given = flat_text(find(author, "ForeName")) or flat_text(find(author, "Initials"))
    parts = (given, flat_text(find(author, "LastName")), flat_text(find(author, "Suffix")))
    return collective or " ".join(filter(None, parts))
