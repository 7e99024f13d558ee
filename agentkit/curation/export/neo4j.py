"""CSV for `neo4j-admin database import`: `nodes.csv` and `relationships.csv` with typed headers."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

from agentkit.curation.claims import Claim, Entity
from agentkit.curation.export.content import Content, one_line, writing

NODE_HEADER = ("id:ID", "label", "class", "curies:string[]", "groundable:boolean", ":LABEL")
EDGE_HEADER = (
    ":START_ID",
    ":END_ID",
    ":TYPE",
    "id",
    "status",
    "confidence:double",
    "publication",
    "section",
    "start:int",
    "end:int",
    "quote",
    "qualifiers",
)


def write(content: Content, path: Path) -> list[Path]:
    """Write two files into the folder `path`."""
    files = [path / "nodes.csv", path / "relationships.csv"]
    with writing(files[0]) as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(NODE_HEADER)
        table.writerows(_node(e) for e in content.entities)
    publications = content.publications()
    with writing(files[1]) as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(EDGE_HEADER)
        table.writerows(_edge(c, publications[c.document]) for c in content.claims)
    return files


def _node(entity: Entity) -> list[str]:
    curies = ";".join(entity.curies)
    label = re.sub(r"\W+", "_", entity.cls) or "Thing"
    return [entity.id, one_line(entity.label), entity.cls, curies, str(entity.groundable).lower(), label]


def _edge(claim: Claim, publication: str) -> list[object]:
    first = claim.evidence[0] if claim.evidence else None
    kind = re.sub(r"\W+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", claim.predicate)).upper()
    place = [first.section, first.start, first.end, one_line(first.quote)] if first else ["", "", "", ""]
    qualifiers = json.dumps(dict(claim.qualifiers), ensure_ascii=False, sort_keys=True)
    confidence = "" if claim.confidence is None else claim.confidence
    return [claim.subject, claim.object, kind, claim.id, claim.status, confidence, publication, *place, qualifiers]
