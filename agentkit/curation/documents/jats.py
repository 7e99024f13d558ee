"""JATS (NXML): full-text articles with nested sections, tables and figure captions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentkit.curation.documents.builder import Builder, squeeze
from agentkit.curation.documents.contributors import authors
from agentkit.curation.documents.document import Document, Failure, Metadata, content_id, section_label
from agentkit.curation.documents.identifiers import doi_of, pmcid_of, pmid_of, year_of
from agentkit.curation.documents.markup import linear
from agentkit.curation.documents.source import Source
from agentkit.curation.documents.xml import every, find, lxml_etree, parse, records
from agentkit.curation.documents.xml_names import local
from agentkit.curation.documents.xml_text import flat_text, inline_text

PARSER = "jats/2"

_SKIPPED = {
    "ref-list",
    "graphic",
    "media",
    "inline-graphic",
    "object-id",
    "supplementary-material",
    "permissions",
    "fn-group",
}
_BLOCKS = {
    "p",
    "title",
    "sec",
    "list",
    "list-item",
    "def-list",
    "def-item",
    "term",
    "def",
    "disp-quote",
    "boxed-text",
    "verse-group",
    "table-wrap",
    "fig",
    "fig-group",
    "caption",
    "label",
    "table",
    "thead",
    "tbody",
    "tr",
    "abstract",
    "table-wrap-foot",
    "fn",
    "statement",
    "body",
    "floats-group",
    "array",
}
_CELLS = {"td", "th"}
_OWN_LABEL = {"table-wrap": "TABLE", "fig": "FIGURE"}


def read(source: Source) -> Iterator[Document | Failure]:
    """The article in a file. Raises DataError if there is none."""
    root = parse(source)
    article = root if local(root) == "article" else next(every(root, "article"), None)
    if article is None:
        yield Failure(source=source.name, reason="no <article> in this XML")
        return
    yield _document(article, content_id(source.read()), source)


def read_set(source: Source) -> Iterator[Document | Failure]:
    """Each article in a `<pmc-articleset>` or another wrapper."""
    etree = lxml_etree()
    for number, article in enumerate(records(source, "{*}article"), 1):
        found = _document(article, content_id(etree.tostring(article, with_tail=False)), source)
        yield (
            found
            if isinstance(found, Document)
            else Failure(source=f"{found.source} article {number}", reason=found.reason)
        )


def _document(article: Any, id_: str, source: Source) -> Document | Failure:
    meta = find(article, "front/article-meta")
    title = squeeze(flat_text(find(meta, "title-group/article-title"))) if meta is not None else ""
    writer = _Writer()
    writer.built.block(title, label="TITLE", where=_line(meta))
    for abstract in (e for e in (() if meta is None else meta) if local(e) == "abstract"):
        writer.section(abstract, "ABSTRACT", fixed=True)
    for name in ("body", "floats-group", "back/app-group"):
        part = find(article, name)
        if part is not None:
            writer.section(part, "TEXT", fixed=False)
    built = writer.built
    if not built.text:
        return Failure(source=source.name, reason="the article has no title and no text")
    metadata = _metadata(article, meta)
    return built.document(id_, title=title, metadata=metadata, format="jats", parser=PARSER, source=source.name)


def _line(element: Any | None) -> str:
    return f"line {element.sourceline}" if element is not None and element.sourceline else ""


class _Writer:
    """Walks an article and writes its blocks; inline elements are joined."""

    def __init__(self) -> None:
        self.built = Builder()
        self._inline: list[str] = []
        self._label, self._title, self._where = "TEXT", "", ""

    def section(self, element: Any, label: str, *, fixed: bool) -> None:
        """Write an element that may contain `<sec>`s; `fixed` keeps the label regardless of headings."""
        before = self._label, self._title
        heading = flat_text(find(element, "title"))
        named = section_label(heading) if heading else section_label(element.get("sec-type") or "")
        known = named in {"INTRODUCTION", "METHODS", "RESULTS", "DISCUSSION", "CONCLUSIONS"}
        outer = label == "TEXT" and bool(named)
        self._label, self._title = (named if not fixed and (known or outer) else label), squeeze(heading)
        self._children(element, fixed=fixed)
        self._flush()
        self._label, self._title = before

    def _children(self, element: Any, *, fixed: bool) -> None:
        self._inline.append(element.text or "")
        for child in element:
            self._element(child, fixed=fixed)
            self._inline.append(child.tail or "")

    def _element(self, element: Any, *, fixed: bool) -> None:
        name = local(element)
        special = inline_text(element, name)
        if special is not None:
            self._inline.append(special)
        elif name in _SKIPPED:
            return
        elif name == "sec":
            self._flush()
            self.section(element, self._label, fixed=fixed)
        elif name in _BLOCKS:
            self._block(element, name, fixed=fixed)
        else:
            self._inline.append("\n" if name == "break" else "")
            self._children(element, fixed=fixed)
            if name in _CELLS and element.getnext() is not None:
                self._inline.append(" | ")

    def _block(self, element: Any, name: str, *, fixed: bool) -> None:
        self._flush()
        before = self._label, self._title
        if name in _OWN_LABEL:
            self._label, self._title = _OWN_LABEL[name], squeeze(flat_text(find(element, "label")))
        self._where = _line(element)
        self._children(element, fixed=fixed)
        self._flush()
        self._label, self._title = before

    def _flush(self) -> None:
        text = squeeze(linear("".join(self._inline)))
        self._inline.clear()
        self.built.block(text, label=self._label, title=self._title, where=self._where)


def _metadata(article: Any, meta: Any | None) -> Metadata:
    if meta is None:
        return Metadata()
    ids = {e.get("pub-id-type"): "".join(e.itertext()) for e in meta if local(e) == "article-id"}
    pmcid = pmcid_of(ids.get("pmc") or ids.get("pmcid") or ids.get("pmcaid") or "")
    dates = (flat_text(find(e, "year")) or e.get("iso-8601-date", "") for e in every(meta, "pub-date"))
    years = [year for date in dates if (year := year_of(date)) is not None]
    return Metadata(
        pmid=pmid_of(ids.get("pmid", "")),
        pmcid=pmcid or pmcid_of("PMC" + (ids.get("pmc") or "")),
        doi=doi_of(ids.get("doi", "")) or next(filter(None, map(doi_of, ids.values())), ""),
        year=min(years, default=None),
        authors=authors(meta),
        journal=flat_text(next(every(article, "journal-title"), None)),
    )
