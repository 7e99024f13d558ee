"""CSV: one row per claim, with labels, identifiers, qualifiers and the first quote; for spreadsheets.

Text that a spreadsheet would run as a formula (`=HYPERLINK(…)` in a paper) is prefixed with an apostrophe. Use JSONL
for exact quotes.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

from agentkit.curation.claims import Claim, Entity
from agentkit.curation.export.content import Content, writing

COLUMNS = (
    "id",
    "subject",
    "subject_label",
    "subject_class",
    "predicate",
    "object",
    "object_label",
    "object_class",
    "qualifiers",
    "status",
    "confidence",
    "publication",
    "document",
    "section",
    "start",
    "end",
    "quote",
    "more_quotes",
    "model",
    "run_id",
)


def write(content: Content, path: Path) -> list[Path]:
    """Write one file."""
    entities, publications = content.by_id(), content.publications()
    with writing(path) as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(COLUMNS)
        for claim in content.claims:
            table.writerow(map(_inert, _row(claim, entities, publications[claim.document])))
    return [path]


def _inert(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _row(claim: Claim, entities: dict[str, Entity], publication: str) -> list[object]:
    subject, object_ = entities[claim.subject], entities[claim.object]
    first = claim.evidence[0] if claim.evidence else None
    place = [first.section, first.start, first.end, first.quote] if first else ["", "", "", ""]
    more = [e.quote for e in claim.evidence[1:]]
    return [
        claim.id,
        claim.subject,
        subject.label,
        subject.cls,
        claim.predicate,
        claim.object,
        object_.label,
        object_.cls,
        json.dumps(dict(claim.qualifiers), ensure_ascii=False, sort_keys=True),
        claim.status,
        "" if claim.confidence is None else claim.confidence,
        publication,
        claim.document,
        *place,
        json.dumps(more, ensure_ascii=False) if more else "",
        claim.model,
        claim.run_id,
    ]
