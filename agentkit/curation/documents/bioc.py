"""BioC, as XML and as JSON: passages at absolute offsets, with gold mentions and relations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from agentkit.curation.documents.annotated import Passages, curies_of, relation_of
from agentkit.curation.documents.document import Document, Failure, Metadata, Relation, content_id
from agentkit.curation.documents.source import Source
from agentkit.curation.documents.xml import find, local, lxml_etree, records
from agentkit.errors import DataError

PARSER = "bioc/1"


def read_xml(source: Source) -> Iterator[Document | Failure]:
    """Each `<document>` of a collection. Raises DataError for malformed XML."""
    etree = lxml_etree()
    for number, element in enumerate(records(source, "document"), 1):
        record = _xml_record(element)
        yield _document(record, content_id(etree.tostring(element, with_tail=False)), source, number)


def read_json(source: Source) -> Iterator[Document | Failure]:
    """Each document of a collection, a list of collections, or JSON lines. Raises DataError for malformed JSON."""
    number = 0
    for collection in _collections(source):
        found = collection.get("documents", [collection] if "passages" in collection else None)
        if not isinstance(found, list):
            raise DataError("no BioC: neither `documents` nor `passages`", path=source.name)
        for record in found:
            number += 1
            data = json.dumps(record, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace")
            yield _document(record, content_id(data), source, number)


def _collections(source: Source) -> Iterator[dict[str, Any]]:
    text = source.decode()
    try:
        loaded = json.loads(text)
    except json.JSONDecodeError as whole:
        loaded = _json_lines(text, source, whole)
    except RecursionError as error:
        raise DataError("JSON nested too deeply", path=source.name) from error
    for collection in loaded if isinstance(loaded, list) else [loaded]:
        if not isinstance(collection, dict):
            raise DataError("no BioC: expected JSON objects", path=source.name)
        yield collection


def _json_lines(text: str, source: Source, whole: json.JSONDecodeError) -> list[Any]:
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError:
        raise DataError(f"malformed JSON: {whole.msg}", path=source.name, line=whole.lineno) from whole


def _document(record: Mapping[str, Any], id_: str, source: Source, number: int) -> Document | Failure:
    where = f"record {number}"
    try:
        return _passages(record, id_, source, where)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        return Failure(source=f"{source.name} {where}", reason=f"no BioC document: {error or type(error).__name__}")


def _passages(record: Mapping[str, Any], id_: str, source: Source, where: str) -> Document | Failure:
    built, relations = Passages(where=where), [*record.get("relations", ())]
    for passage in record["passages"]:
        infons = passage.get("infons", {})
        kind = infons.get("section_type") or infons.get("section") or infons.get("type") or "text"
        offset = int(passage["offset"]) if passage.get("offset") is not None else None
        built.passage(_passage_text(passage), kind, offset, infons.get("section", ""))
        for annotation in passage.get("annotations", ()):
            _mention(built, annotation)
        relations.extend(passage.get("relations", ()))
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


def _passage_text(passage: Mapping[str, Any]) -> str:
    text = passage.get("text")
    return text if text is not None else " ".join(s.get("text") or "" for s in passage.get("sentences", ()))


def _mention(built: Passages, annotation: Mapping[str, Any]) -> None:
    infons = annotation.get("infons", {})
    prefix = next((k for k in ("MESH", "MeSH", "mesh") if k in infons), "")
    value = str(infons.get(prefix) or infons.get("identifier") or infons.get("NCBI Gene") or "")
    spans = [(int(p["offset"]), int(p["offset"]) + int(p["length"])) for p in annotation.get("locations", ())]
    built.mention(spans, annotation.get("text") or "", infons.get("type", ""), curies_of(value, prefix.upper()))


def _relation(row: Mapping[str, Any]) -> Relation:
    infons = {str(k): str(v) for k, v in row.get("infons", {}).items()}
    nodes = {str(n.get("role") or "node"): str(n["refid"]) for n in row.get("nodes", ()) if n.get("refid")}
    return relation_of({**nodes, **infons})


def _metadata(record: Mapping[str, Any]) -> Metadata:
    passages = record.get("passages") or ()
    infons = {**record.get("infons", {}), **(passages[0].get("infons", {}) if passages else {})}
    id_ = str(record.get("id") or "")
    pmcid = str(infons.get("article-id_pmc") or "").upper().removeprefix("PMC") or id_.upper().removeprefix("PMC")
    year = str(infons.get("year") or "")
    return Metadata(
        pmid=str(infons.get("article-id_pmid") or "") or (id_ if id_.isdigit() else ""),
        pmcid=f"PMC{pmcid}" if not id_.isdigit() and pmcid.isdigit() else "",
        doi=str(infons.get("article-id_doi") or "").lower(),
        year=int(year) if year.isdigit() else None,
        journal=str(infons.get("journal-title") or ""),
    )


def _xml_record(element: Any) -> dict[str, Any]:
    passages = [
        {
            "infons": _infons(p),
            "offset": _content(p, "offset"),
            "text": _content(p, "text"),
            "sentences": [{"text": _content(s, "text")} for s in _children(p, "sentence")],
            "annotations": [
                {
                    "infons": _infons(a),
                    "text": _content(a, "text"),
                    "locations": [c.attrib for c in _children(a, "location")],
                }
                for holder in (p, *_children(p, "sentence"))
                for a in _children(holder, "annotation")
            ],
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


def _xml_relations(element: Any) -> list[dict[str, Any]]:
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
