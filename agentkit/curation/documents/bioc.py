"""BioC, as XML and as JSON: passages at absolute offsets, with gold mentions and relations."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from agentkit.curation.documents.annotated import Passages, curies_of, relation_of
from agentkit.curation.documents.document import AnnotatedRelation, Document, Failure, Metadata, content_id
from agentkit.curation.documents.identifiers import doi_of, pmcid_of, pmid_of, year_of
from agentkit.curation.documents.source import Source
from agentkit.curation.documents.xml import find, lxml_etree, records
from agentkit.curation.documents.xml_names import local
from agentkit.errors import DataError
from agentkit.json_types import JsonObject
from agentkit.text import parse_json

PARSER = "bioc/2"


def read_xml(source: Source) -> Iterator[Document | Failure]:
    """Each `<document>` in a collection. Raises DataError for malformed XML."""
    etree = lxml_etree()
    for number, element in enumerate(records(source, "document"), 1):
        record = _xml_record(element)
        yield _document(record, content_id(etree.tostring(element, with_tail=False)), source, number)


def read_json(source: Source) -> Iterator[Document | Failure]:
    """Each document in a collection, a list of collections, or JSON lines. Raises DataError for malformed JSON."""
    number = 0
    for collection in _collections(source):
        found = _records(collection)
        if found is None:
            raise DataError("not BioC: neither `documents` nor `passages`", path=source.name)
        for record in found:
            number += 1
            data = json.dumps(record, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace")
            yield _document(record, content_id(data), source, number)


def _records(collection: Mapping[str, Any]) -> list[Any] | None:
    """The documents of a collection, including those wrapped by a service: `{"PubTator3": [document, …]}`."""
    if "passages" in collection:
        return [collection]
    if isinstance(collection.get("documents"), list):
        documents: list[Any] = collection["documents"]
        return documents
    for inner in collection.values():
        listed = [item for item in (inner if isinstance(inner, list) else [inner]) if isinstance(item, dict)]
        found = [_records(item) for item in listed if "passages" in item or "documents" in item]
        if found:
            return [record for part in found for record in part or ()]
    return None


def _collections(source: Source) -> Iterator[JsonObject]:
    text = source.decode()
    try:
        loaded = parse_json(text, path=source.name)
    except DataError as whole:
        loaded = _json_lines(text, source, whole)
    for collection in loaded if isinstance(loaded, list) else [loaded]:
        if not isinstance(collection, dict):
            raise DataError("not BioC: expected JSON objects", path=source.name)
        yield collection


def _json_lines(text: str, source: Source, whole: DataError) -> list[Any]:
    try:
        return [parse_json(line, path=source.name) for line in text.split("\n") if line.strip()]
    except DataError:
        reason = str(whole).rpartition("not valid JSON ")[2].strip("()")
        raise DataError(f"malformed JSON: {reason}", path=source.name, line=whole.line) from None


def _document(record: Mapping[str, Any], id_: str, source: Source, number: int) -> Document | Failure:
    where = f"record {number}"
    try:
        return _passages(record, id_, source, where)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        return Failure(source=f"{source.name} {where}", reason=f"not a BioC document: {error or type(error).__name__}")


def _passages(record: Mapping[str, Any], id_: str, source: Source, where: str) -> Document | Failure:
    built, relations = Passages(where=where), [*(record.get("relations") or ())]
    for passage in record["passages"]:
        infons = passage.get("infons") or {}
        if _left_out(infons):
            continue
        kind = str(infons.get("section_type") or infons.get("section") or infons.get("type") or "text")
        offset = int(passage["offset"]) if passage.get("offset") is not None else None
        built.passage(_passage_text(passage, offset), kind, offset, str(infons.get("section") or ""))
        for holder in (passage, *(passage.get("sentences") or ())):
            for annotation in holder.get("annotations") or ():
                _mention(built, annotation)
            relations.extend(holder.get("relations") or ())
    if not built.text.strip():
        return Failure(source=f"{source.name} {where}", reason="no text")
    return built.document(
        id_,
        form="bioc",
        parser=PARSER,
        source=source.name,
        metadata=_metadata(record),
        relations=map(_relation, relations),
    )


def _left_out(infons: Mapping[str, Any]) -> bool:
    """Whether a passage is not part of the paper's text: references, and the back matter of JATS."""
    kinds = {str(infons.get(name) or "").strip().lower() for name in ("section_type", "type", "section")}
    return bool(kinds & _NOT_READ)


_NOT_READ = {
    "ref",
    "ref-list",
    "references",
    "bibliography",
    "literature cited",
    "reference",
    "ack_fund",
    "auth_cont",
    "comp_int",
    "review_info",
    "suppl",
}


def _passage_text(passage: Mapping[str, Any], offset: int | None) -> str:
    """The passage's text, or its sentences placed at their offsets, so that the offsets of mentions stay valid."""
    if passage.get("text") is not None:
        return str(passage["text"])
    found = ""
    for sentence in passage.get("sentences") or ():
        at = sentence.get("offset")
        gap = int(at) - offset - len(found) if at is not None and offset is not None else 1
        found += " " * (gap if found and 0 < gap <= _GAP else int(bool(found))) + (sentence.get("text") or "")
    return found


_GAP = 100
"""The most spaces between two sentences of a passage."""


def _mention(built: Passages, annotation: Mapping[str, Any]) -> None:
    infons = annotation.get("infons") or {}
    kind = str(infons.get("type") or "")
    prefix = next((k for k in ("MESH", "MeSH", "mesh") if k in infons), "")
    value = str(infons.get(prefix) or infons.get("identifier") or infons.get("NCBI Gene") or "")
    named = prefix.upper() or (_PREFIXES.get(kind, "") if re.fullmatch(r"\d+(?:[;,|]\d+)*", value) else "")
    spans = [(int(p["offset"]), int(p["offset"]) + int(p["length"])) for p in annotation.get("locations") or ()]
    built.mention(spans, str(annotation.get("text") or ""), kind, curies_of(value, named))


_PREFIXES = {"Gene": "NCBIGene", "Species": "NCBITaxon"}
"""Prefixes of identifiers that PubTator 3 writes as bare numbers."""


def _relation(row: Mapping[str, Any]) -> AnnotatedRelation:
    infons = {str(k): _infon(v) for k, v in (row.get("infons") or {}).items()}
    nodes: dict[str, str] = {}
    for node in row.get("nodes") or ():
        role = str(node.get("role") or "node")
        if node.get("refid") is not None:
            nodes[role if role not in nodes else f"{role}#{len(nodes) + 1}"] = str(node["refid"])
    return relation_of({**nodes, **infons})


def _infon(value: Any) -> str:
    """The value of an infon; PubTator 3 writes a relation's ends as objects that contain their identifier."""
    return str(value.get("identifier") or value.get("accession") or "") if isinstance(value, dict) else str(value)


def _metadata(record: Mapping[str, Any]) -> Metadata:
    passages = record.get("passages") or ()
    infons = {**(record.get("infons") or {}), **((passages[0].get("infons") or {}) if passages else {})}
    id_ = str(record.get("id") or "")
    pmcid = pmcid_of(f"PMC{infons.get('article-id_pmc') or record.get('pmcid') or ''}".replace("PMCPMC", "PMC"))
    pmid = pmid_of(str(infons.get("article-id_pmid") or record.get("pmid") or ""))
    return Metadata(
        pmid=pmid or (id_ if id_.isdigit() else ""),
        pmcid=pmcid or ("" if id_.isdigit() else pmcid_of(id_)),
        doi=doi_of(str(infons.get("article-id_doi") or record.get("doi") or "")),
        year=year_of(str(infons.get("year") or record.get("date") or "")),
        journal=str(infons.get("journal-title") or record.get("journal") or ""),
    )


def _xml_record(element: Any) -> JsonObject:
    passages = [
        {
            "infons": _infons(p),
            "offset": _content(p, "offset"),
            "text": _content(p, "text"),
            "sentences": [
                {
                    "text": _content(s, "text"),
                    "offset": _content(s, "offset"),
                    "annotations": _annotations(s),
                    "relations": _xml_relations(s),
                }
                for s in _children(p, "sentence")
            ],
            "annotations": _annotations(p),
            "relations": _xml_relations(p),
        }
        for p in _children(element, "passage")
    ]
    return {
        "id": _content(element, "id"),
        "infons": _infons(element),
        "passages": passages,
        "relations": _xml_relations(element),
    }


def _annotations(holder: Any) -> list[JsonObject]:
    return [
        {"infons": _infons(a), "text": _content(a, "text"), "locations": [c.attrib for c in _children(a, "location")]}
        for a in _children(holder, "annotation")
    ]


def _xml_relations(element: Any) -> list[JsonObject]:
    return [
        {"infons": _infons(r), "nodes": [n.attrib for n in _children(r, "node")]}
        for r in _children(element, "relation")
    ]


def _children(element: Any, name: str) -> list[Any]:
    return [child for child in element if local(child) == name]


def _infons(element: Any) -> dict[str, str]:
    return {e.get("key", ""): e.text or "" for e in _children(element, "infon")}


def _content(element: Any, name: str) -> str | None:
    found = find(element, name)
    return None if found is None else found.text or ""
