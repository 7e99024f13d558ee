"""Review: the queue of claims, those first that a person should look at first, and the queue as a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentkit.curation.claims import Qualifier
from agentkit.curation.export.content import writing
from agentkit.curation.kb.contradictions import contradictions
from agentkit.curation.kb.corrections import Correction, correct
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.kb.records import BY_PERSON, Record
from agentkit.errors import DataError
from agentkit.json_types import JsonObject
from agentkit.text import read_table

SEEN_FIRST = 1_000
"""How many of the most disputed claims are ordered by a verifier, which has to read their papers."""
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
"""Up to this many claims are read individually; for more, all claims are read."""
_DECISIONS = {
    "accept": "accepted",
    "accepted": "accepted",
    "reject": "rejected",
    "rejected": "rejected",
    "correct": "corrected",
    "corrected": "corrected",
}


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A claim in the queue, with the labels of its ends, its disagreement (including contradictions), and, if a
    verifier estimated it, the probability that its status is wrong."""

    record: Record
    subject: str
    object: str
    disagreement: float
    doubt: float | None = None

    @property
    def likely(self) -> float | None:
        """The probability that a person would accept it."""
        return None if self.doubt is None else 1 - self.doubt if self.record.claim.exported else self.doubt

    def to_json(self) -> JsonObject:
        return self.record.claim.to_json() | {
            "subject_label": self.subject,
            "object_label": self.object,
            "disagreement": round(self.disagreement, 4),
            "likely": None if self.likely is None else round(self.likely, 4),
        }


Doubts = Callable[[KnowledgeBase, Sequence[str]], Mapping[str, float]]
"""Estimates the probability that the status of claims is wrong; for example, `learning.decisions.doubts`."""


def queue(kb: KnowledgeBase, *, limit: int | None = None, doubts: Doubts | None = None) -> list[Waiting]:
    """Claims that no person decided about, the most disputed first; ties by id.

    Disagreement is that of explorer, evaluator and machine check, raised for claims that contradict another.

    Args:
        doubts: reorders the `SEEN_FIRST` most disputed claims, the likeliest to be wrong first.
    """
    order = queue_order(kb)
    told = doubts(kb, [id_ for id_, _ in order[:SEEN_FIRST]]) if doubts is not None else {}
    order = sorted(order, key=lambda item: -told.get(item[0], -1.0))[:limit]
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
            doubt=told.get(id_),
        )
        for id_, disagreement in order
    ]


def queue_order(kb: KnowledgeBase, *, first: int | None = None) -> list[tuple[str, float]]:
    """The ids in the queue, in order, with their disagreement; the claims themselves are not read.

    Args:
        first: only this many, which is faster than all.
    """
    heads = list(kb.heads(told_apart=True))
    opposed = {id_ for found in contradictions(heads) for ids in found.sides.values() for id_ in ids}
    # Contradictions only raise disagreement, so the first of the result are among these or the contradicting claims.
    waiting = dict(kb.undecided(None if first is None else first + len(opposed)))
    waiting |= {head.id: head.disagreement for head in heads if head.id in opposed and head.status not in BY_PERSON}
    order = [(id_, min(1.0, disputed + 0.3 * (id_ in opposed))) for id_, disputed in waiting.items()]
    return sorted(order, key=lambda item: (-item[1], item[0]))[:first]


def write_review(kb: KnowledgeBase, path: Path) -> int:
    """Write the queue and earlier decisions as a CSV file to fill in: `decision` takes `accept` or `reject`."""
    labels = {entity.id: entity.label for entity in kb.entities()}
    disputed = {item.record.claim.id: item.disagreement for item in queue(kb)}
    records = sorted(kb.records(), key=lambda r: (r.by_person, -disputed.get(r.claim.id, 0), r.claim.id))
    with writing(path) as stream:
        table = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        table.writeheader()
        for record in records:
            row = cells_of(record, labels)
            table.writerow(row | {"disagreement": f"{disputed.get(record.claim.id, record.disagreement):.4f}"})
    return len(records)


def cells_of(record: Record, labels: dict[str, str]) -> JsonObject:
    """A claim as the row of a review file."""
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
    """Text that a spreadsheet will not run as a formula."""
    line = " ".join(text.split())
    return f"'{line}" if line[:1] in ("=", "+", "-", "@") else line


@dataclass(frozen=True, kw_only=True)
class ImportedReview:
    """The result of importing a review file: decisions written, rows that change nothing, rows left empty."""

    decided: int
    unchanged: int
    empty: int


def read_review(kb: KnowledgeBase, path: Path, *, reviewer: str) -> ImportedReview:
    """Apply the decisions of a review CSV. All rows are read and checked before the first is applied.

    In a row with the decision `correct`, the other cells (subject, predicate, object, qualifiers, quote) contain the
    corrected claim.

    Raises:
        DataError: not a review file, or an unknown claim or decision (with its line).
        UserError: a correction changes nothing, or its quote is not in the paper.
    """
    rows = list(_decisions(path))
    known = {record.claim.id: record for record in kb.records()}
    labels = {entity.id: entity.label for entity in kb.entities()}
    for row in rows:
        if row.claim not in known:
            raise DataError(f"no claim {row.claim!r} in {kb.name}", path=path, line=row.line)
    decided = unchanged = empty = 0
    for row in rows:
        record = known[row.claim]
        if not row.decision:
            empty += 1
        elif record.claim.status == row.decision or _corrected_before(record, row.decision):
            unchanged += 1
        else:
            _apply(kb, record, row, labels, reviewer)
            decided += 1
    return ImportedReview(decided=decided, unchanged=unchanged, empty=empty)


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A row of a review file: the claim, the decision (may be empty), the note, and all cells by column."""

    line: int
    claim: str
    decision: str
    note: str
    cells: Mapping[str, str]


def _corrected_before(record: Record, decision: str) -> bool:
    return decision == "corrected" and record.claim.reason.startswith("corrected:")


def _apply(kb: KnowledgeBase, record: Record, row: _Row, labels: dict[str, str], reviewer: str) -> None:
    if row.decision != "corrected":
        kb.review(
            record.claim.id, "accepted" if row.decision == "accepted" else "rejected", reviewer=reviewer, note=row.note
        )
        return
    correct(kb, record.claim.id, correction_of(record, labels, row.cells), reviewer=reviewer, note=row.note)


def correction_of(record: Record, labels: dict[str, str], cells: Mapping[str, str]) -> Correction:
    """The correction in the cells that a reviewer filled in: subject, predicate, object, quote and qualifiers
    (`dose=5 mg; route=oral`) that are present and differ from what `cells_of` wrote."""
    before = cells_of(record, labels)
    new = {name: _typed(cells[name]) for name in _EDITED if name in cells and cells[name] != before[name]}
    qualifiers = _qualifiers(new.pop("qualifiers", ""), record) if "qualifiers" in new else {}
    return Correction(**new, qualifiers=qualifiers)


_EDITED = ("subject", "predicate", "object", "quote", "qualifiers")


def _typed(cell: str) -> str:
    """A cell without the apostrophe that keeps a spreadsheet from running it."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in ("=", "+", "-", "@") else cell


def _qualifiers(cell: str, record: Record) -> dict[str, Qualifier]:
    """Parse `dose=5 mg; route=oral` as qualifiers; removed ones get an empty value."""
    told: dict[str, Qualifier] = dict.fromkeys(record.claim.qualifiers, "")
    for part in cell.split(";"):
        name, _, value = part.partition("=")
        if name.strip():
            told[name.strip()] = value.strip()
    return told


def _decisions(path: Path) -> Iterator[_Row]:
    rows = read_table(path)
    _, names = next(rows, (1, []))
    if not {"claim", "decision"} <= set(names):
        raise DataError("not a review file: it needs the columns claim and decision", path=path, line=1)
    for line, cells in rows:
        row = dict.fromkeys((*COLUMNS, *names), "") | dict(zip(names, cells, strict=False))
        given = row["decision"].strip().lower()
        if given and given not in _DECISIONS:
            raise DataError(f"a decision is accept, reject or correct, not {given!r}", path=path, line=line)
        decision = _DECISIONS.get(given, "")
        yield _Row(line=line, claim=row["claim"].strip(), decision=decision, note=row["note"].strip(), cells=row)
