"""JSON-LD with an embedded context, written as a stream: one node of `@graph` per line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agentkit.curation.export.content import Content, writing
from agentkit.curation.export.rdf import PREFIXES, Iri, Literal, Node, nodes
from agentkit.json_types import JsonObject


def write(content: Content, path: Path) -> list[Path]:
    """Write one file."""
    with writing(path) as stream:
        stream.write(f'{{"@context": {json.dumps(PREFIXES)},\n"@graph": [\n')
        before = ""
        for node in nodes(content):
            stream.write(before + json.dumps(_node(node), ensure_ascii=False))
            before = ",\n"
        stream.write("\n]}\n")
    return [path]


def _node(node: Node) -> JsonObject:
    made: JsonObject = {"@id": node.iri.value} if node.iri else {}
    for name, value in node.statements:
        if name == "rdf:type" and isinstance(value, Iri):
            made.setdefault("@type", []).append(value.value)
        else:
            made.setdefault(name, []).append(_value(value))
    return made


def _value(value: Iri | Literal | Node) -> Any:
    if isinstance(value, Iri):
        return {"@id": value.value}
    if isinstance(value, Node):
        return _node(value)
    return {"@value": value.value, "@type": f"xsd:{value.kind}"} if value.kind else {"@value": value.value}
