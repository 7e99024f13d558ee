"""`kb verify`: checks every claim that would be exported again, against the stored text and the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agentkit.curation.documents import Document
from agentkit.curation.evidence import verify
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.kb.records import Record
from agentkit.curation.language.assertion import Asserting, polarity_named
from agentkit.curation.ontology.schema import Ontology
from agentkit.json_types import JsonObject
from agentkit.store.curation import KbClaimRow


@dataclass(frozen=True, kw_only=True)
class Verification:
    """The results of the check.

    Attributes:
        checked, supported: the numbers of claims with status `supported`, and of those that hold.
        curated: the number of claims that a person decided about; they are counted, not judged.
        broken: claims that do not hold, with the reason.
        altered: rows whose content does not match their hash, or whose hash is not in the ledger.
        versions: the number of ledger versions whose hash chain was recomputed.
    """

    checked: int
    supported: int
    curated: int
    broken: tuple[tuple[str, str], ...]
    altered: tuple[str, ...]
    versions: int

    @property
    def ok(self) -> bool:
        return not self.broken and not self.altered

    def to_json(self) -> JsonObject:
        return vars(self) | {"broken": [list(pair) for pair in self.broken], "altered": list(self.altered)}


def verify_kb(kb: KnowledgeBase, *, around: int = 0, ontology: Ontology | None = None) -> Verification:
    """Check every exported claim's quotes and hash, and the ledger's chain.

    Args:
        ontology: its relations define what a sentence must do with a claim. Without it, their names do, and hedges and
            findings of others pass, since an ontology may accept them.

    Raises:
        IntegrityError: the ledger's own history was altered.
    """
    versions = kb.ledger.verify(kb.target)
    known = _ledger_hashes(kb)
    known_relations = {} if ontology is None else {r.name: r.asserting for r in ontology.relations}
    checked = supported = curated = 0
    broken: list[tuple[str, str]] = []
    altered: list[str] = []
    for record, stored, document in _with_documents(kb):
        claim = record.claim
        if record.hash != stored or (claim.id, stored) not in known:
            altered.append(claim.id)
        if record.by_person:
            curated += 1
            if claim.status == "accepted" and document is None:
                broken.append((claim.id, "its paper is not stored"))
        elif claim.status == "supported":
            checked += 1
            wanted = known_relations.get(claim.predicate) or _by_name(claim.predicate)
            reason = "its paper is not stored" if document is None else _problem(record, document, around, wanted)
            supported += not reason
            if reason:
                broken.append((claim.id, reason))
    return Verification(
        checked=checked,
        supported=supported,
        curated=curated,
        broken=tuple(broken),
        altered=tuple(altered),
        versions=versions,
    )


def _by_name(predicate: str) -> Asserting:
    return Asserting(polarity=polarity_named(predicate), accepts=frozenset({"hedge", "cited"}))


def _problem(record: Record, document: Document, around: int, asserting: Asserting) -> str:
    verdict = verify(record.claim, document, record.names, around=around, asserting=asserting)
    return "" if verdict.supported else verdict.reason


def _with_documents(kb: KnowledgeBase) -> Iterator[tuple[Record, str, Document | None]]:
    """All current claims with their stored hashes, paper by paper, so that each text is read once."""
    query = kb._valid(KbClaimRow, None).order_by(KbClaimRow.document, KbClaimRow.id)
    document: Document | None = None
    last = ""
    with kb.store.read() as connection:
        for row in connection.execute(query.execution_options(yield_per=1000)).mappings():
            if row["document"] != last:
                last = row["document"]
                document = kb.document(last)
            yield Record.from_row(dict(row)), row["hash"], document


def _ledger_hashes(kb: KnowledgeBase) -> set[tuple[str, str]]:
    """All (claim, hash) pairs that the ledger put or decided."""
    return {
        (operation["id"], operation["hash"])
        for change in kb.ledger.applied(kb.target)
        for operation in change.operations
        if operation["op"] in ("claim", "review")
    }
