"""The share of machine-made claims that people accept, before anything was recalled for the questions and after."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.json_types import JsonObject
from agentkit.statistics.estimates import difference, wilson
from agentkit.store.curation import WorkRow


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """Decisions about machine-made claims; a corrected claim counts as not accepted.

    Attributes:
        before: the numbers accepted and decided, for questions that were asked without learnt context.
        after: the same for questions with recalled context.
    """

    before: tuple[int, int]
    after: tuple[int, int]

    def to_json(self) -> JsonObject:
        """Shares with their 95 % intervals (Wilson), and the difference with its own (Newcombe)."""
        parts = {name: _part(*getattr(self, name)) for name in ("before", "after")}
        both = self.before[1] and self.after[1]
        gain = difference(self.after, self.before) if both else None
        return {**parts, "gain": None if gain is None else [gain.value, gain.low, gain.high]}


def acceptance(kb: KnowledgeBase) -> Acceptance:
    """Count people's decisions about machine-made claims so far."""
    recalled = _recalled(kb)
    counted = {False: [0, 0], True: [0, 0]}
    for record in kb.decided():
        if not record.by_hand:
            tally = counted[recalled.get(record.claim.id, False)]
            tally[0] += record.claim.status == "accepted"
            tally[1] += 1
    return Acceptance(before=(counted[False][0], counted[False][1]), after=(counted[True][0], counted[True][1]))


def _recalled(kb: KnowledgeBase) -> dict[str, bool]:
    """For each claim, whether its question was asked with recalled context; the latest time counts."""
    query = select(WorkRow.claims, WorkRow.recalled).where(WorkRow.kb == kb.name).order_by(WorkRow.updated_at)
    with kb.store.read() as connection:
        return {claim: bool(recalled) for claims, recalled in connection.execute(query) for claim in claims}


def _part(accepted: int, decided: int) -> JsonObject:
    if not decided:
        return {"accepted": 0, "decided": 0, "share": None, "low": None, "high": None}
    found = wilson(accepted, decided)
    return {"accepted": accepted, "decided": decided, "share": found.value, "low": found.low, "high": found.high}
