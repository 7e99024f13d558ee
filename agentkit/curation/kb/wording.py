"""The differences between two versions of a knowledge base, in words."""

from __future__ import annotations

from agentkit.curation.kb.episodes import statement
from agentkit.curation.kb.knowledge_base import Difference, KnowledgeBase
from agentkit.curation.kb.records import Record


def diff_in_words(kb: KnowledgeBase, found: Difference) -> list[str]:
    """A line for each claim and entity that was added (+), removed (-) or changed (~), claims first."""
    old, new = found.old, found.new
    labels = {e.id: e.label for version in (old, new) for e in kb.entities(at=version)}
    before = kb.at([*found.claims.removed, *found.claims.changed], old)
    after = kb.at([*found.claims.added, *found.claims.changed], new)
    lines = [f"+ {_claim(after[id_], labels)}" for id_ in found.claims.added]
    lines += [f"- {_claim(before[id_], labels)}" for id_ in found.claims.removed]
    lines += [f"~ {statement(after[id_], labels)}: {_change(before[id_], after[id_])}" for id_ in found.claims.changed]
    for sign, ids in (("+", found.entities.added), ("-", found.entities.removed), ("~", found.entities.changed)):
        lines += [f"{sign} entity {labels.get(id_, id_)} ({id_})" for id_ in ids]
    return lines


def _claim(record: Record, labels: dict[str, str]) -> str:
    return f"{statement(record, labels)} [{record.claim.status}] {record.claim.id[:8]}"


def _change(before: Record, after: Record) -> str:
    """The differences between two states of a claim."""
    old, new = before.claim, after.claim
    told = []
    if old.status != new.status:
        told.append(f"{old.status} → {new.status}" + (f" ({new.reason})" if new.reason else ""))
    elif old.reason != new.reason:
        told.append(f"reason: {new.reason or 'none'}")
    if old.evidence != new.evidence:
        told.append(f"{len(old.evidence)} → {len(new.evidence)} quotes")
    if old.confidence != new.confidence:
        told.append(f"confidence {old.confidence} → {new.confidence}")
    return "; ".join(told) or "names of its ends, or how far it is disputed"
