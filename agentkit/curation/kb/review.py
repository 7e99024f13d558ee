"""Review: the queue of claims a person should look at first, and the same queue as a CSV file and back."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from agentkit.curation.export.content import writing
from agentkit.curation.kb.contradictions import contradictions
from agentkit.curation.kb.knowledge_base import Decision, KnowledgeBase
from agentkit.curation.kb.records import BY_PERSON, Record
from agentkit.errors import DataError
from agentkit.json_types import JsonObject
from agentkit.text import read_table

Order = Literal["disagreement", "random"]
COLUMNS = (
    "claim",
    "subject",
    "predicate",
    "object",
    "qualifiers",
    "status",
    "confidence",
    "disagreement",
    "reason",
    "quote",
    "document",
    "decision",
    "note",
)
_FEW = 400
"""Up to so many claims are read one by one rather than all of them."""
_DECISIONS = {"accept": "accepted", "accepted": "accepted", "reject": "rejected", "rejected": "rejected"}


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A claim in the queue, with the labels of its ends and how much it is disputed (contradictions included)."""

    record: Record
    subject: str
    object: str
    disagreement: float

    def to_json(self) -> JsonObject:
        return self.record.claim.to_json() | {
            "subject_label": self.subject,
            "object_label": self.object,
            "disagreement": round(self.disagreement, 4),
        }


def queue(kb: KnowledgeBase, *, limit: int | None = None) -> list[Waiting]:
    """Claims that no person decided on, the most disputed first; ties by id.

    Disagreement is what explorer, evaluator and the machine's check left, raised for claims that contradict another.
    """
    order = queue_order(kb)[:limit]
    few = len(order) <= _FEW
    records = {record.claim.id: record for record in kb.records(ids=[id_ for id_, _ in order] if few else None)}
    ends = {end for id_, _ in order for end in (records[id_].claim.subject, records[id_].claim.object)}
    labels = {entity.id: entity.label for entity in kb.entities(ids=sorted(ends) if few else None)}
    return [
        Waiting(
            record=records[id_],
            subject=labels.get(records[id_].claim.subject, records[id_].claim.subject),
            object=labels.get(records[id_].claim.object, records[id_].claim.object),
            disagreement=disagreement,
        )
        for id_, disagreement in order
    ]


def queue_order(kb: KnowledgeBase) -> list[tuple[str, float]]:
    """The ids of the queue in its order, each with how much it is disputed; the claims themselves are not read."""
    heads = list(kb.heads())
    opposed = {id_ for found in contradictions(heads) for ids in found.sides.values() for id_ in ids}
    waiting = [
        (head.id, min(1.0, head.disagreement + 0.3 * (head.id in opposed)))
        for head in heads
        if head.status not in BY_PERSON
    ]
    return sorted(waiting, key=lambda item: (-item[1], item[0]))


def write_review(kb: KnowledgeBase, path: Path) -> int:
    """The queue, and what was decided before, as a CSV to fill in: `decision` takes `accept` or `reject`."""
    labels = {entity.id: entity.label for entity in kb.entities()}
    disputed = {item.record.claim.id: item.disagreement for item in queue(kb)}
    records = sorted(kb.records(), key=lambda r: (r.by_person, -disputed.get(r.claim.id, 0), r.claim.id))
    with writing(path) as stream:
        table = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        table.writeheader()
        for record in records:
            row = _row(record, labels)
            table.writerow(row | {"disagreement": f"{disputed.get(record.claim.id, record.disagreement):.4f}"})
    return len(records)


def _row(record: Record, labels: dict[str, str]) -> JsonObject:
    claim = record.claim
    quote = claim.evidence[0].quote if claim.evidence else ""
    return {
        "claim": claim.id,
        "subject": _plain(labels.get(claim.subject, claim.subject)),
        "predicate": claim.predicate,
        "object": _plain(labels.get(claim.object, claim.object)),
        "qualifiers": "; ".join(f"{key}={value}" for key, value in sorted(claim.qualifiers.items())),
        "status": claim.status,
        "confidence": "" if claim.confidence is None else f"{claim.confidence:.4f}",
        "reason": _plain(claim.reason),
        "quote": _plain(quote),
        "document": claim.document,
        "decision": {"accepted": "accept", "rejected": "reject"}.get(claim.status, ""),
        "note": _plain(claim.reason) if record.by_person else "",
    }


def _plain(text: str) -> str:
    """Text that a spreadsheet does not run as a formula."""
    line = " ".join(text.split())
    return f"'{line}" if line[:1] in ("=", "+", "-", "@") else line


@dataclass(frozen=True, kw_only=True)
class ImportedReview:
    """What a review file did: decisions written, rows that say what is so already, rows left empty."""

    decided: int
    unchanged: int
    empty: int


def read_review(kb: KnowledgeBase, path: Path, *, reviewer: str) -> ImportedReview:
    """Apply the decisions of a review CSV. All rows are read and checked before the first is applied.

    Raises:
        DataError: not such a file, an unknown claim or decision (with its line).
    """
    rows = list(_decisions(path))
    known = {record.claim.id: record for record in kb.records()}
    for line, claim, _, _ in rows:
        if claim not in known:
            raise DataError(f"no claim {claim!r} in {kb.name}", path=path, line=line)
    decided = unchanged = empty = 0
    for _, claim, decision, note in rows:
        if decision is None:
            empty += 1
        elif known[claim].claim.status == decision:
            unchanged += 1
        else:
            kb.review(claim, decision, reviewer=reviewer, note=note)
            decided += 1
    return ImportedReview(decided=decided, unchanged=unchanged, empty=empty)


def _decisions(path: Path) -> Iterator[tuple[int, str, Decision | None, str]]:
    rows = read_table(path)
    _, names = next(rows, (1, []))
    if not {"claim", "decision"} <= set(names):
        raise DataError("no review file: it needs the columns claim and decision", path=path, line=1)
    for line, cells in rows:
        row = dict.fromkeys(names, "") | dict(zip(names, cells, strict=False))
        given = row["decision"].strip().lower()
        if given and given not in _DECISIONS:
            raise DataError(f"a decision is accept or reject, not {given!r}", path=path, line=line)
        decision: Any = _DECISIONS.get(given)
        assert decision is None or decision in get_args(Decision)
        yield line, row["claim"].strip(), decision, row.get("note", "").strip()
