"""GraphML, for Gephi, Cytoscape, yEd and NetworkX; written as a stream."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from agentkit.curation.claims import Claim, Entity
from agentkit.curation.export.content import Content, writing

_NODE_KEYS = ("label", "class", "curies")
_EDGE_KEYS = ("predicate", "status", "confidence", "publication", "section", "quote", "qualifiers")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


def write(content: Content, path: Path) -> list[Path]:
    """Write one file."""
    publications = content.publications()
    with writing(path) as stream:
        stream.write(
            '<?xml version="1.0" encoding="UTF-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
        )
        for target, names in (("node", _NODE_KEYS), ("edge", _EDGE_KEYS)):
            for name in names:
                kind = "double" if name == "confidence" else "string"
                stream.write(f'<key id="{target}_{name}" for="{target}" attr.name="{name}" attr.type="{kind}"/>\n')
        stream.write('<graph id="knowledge" edgedefault="directed">\n')
        stream.writelines(_node(e) for e in content.entities)
        stream.writelines(_edge(c, publications[c.document]) for c in content.claims)
        stream.write("</graph>\n</graphml>\n")
    return [path]


def _node(entity: Entity) -> str:
    data = _data("node", {"label": entity.label, "class": entity.cls, "curies": "|".join(entity.curies)})
    return f"<node id={_attribute(entity.id)}>{data}</node>\n"


def _edge(claim: Claim, publication: str) -> str:
    first = claim.evidence[0] if claim.evidence else None
    data = _data(
        "edge",
        {
            "predicate": claim.predicate,
            "status": claim.status,
            "confidence": "" if claim.confidence is None else str(claim.confidence),
            "publication": publication,
            "section": first.section if first else "",
            "quote": first.quote if first else "",
            "qualifiers": json.dumps(dict(claim.qualifiers), ensure_ascii=False, sort_keys=True),
        },
    )
    ends = f"source={_attribute(claim.subject)} target={_attribute(claim.object)}"
    return f'<edge id="{claim.id}" {ends}>{data}</edge>\n'


def _data(target: str, values: dict[str, str]) -> str:
    return "".join(f'<data key="{target}_{k}">{escape(_legal(v))}</data>' for k, v in values.items() if v)


def _attribute(value: str) -> str:
    return quoteattr(_legal(value))


def _legal(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
