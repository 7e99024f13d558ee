"""The history of a claim, with the ledger changes that made it."""

from __future__ import annotations

from sqlalchemy import select

from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.json_types import JsonObject
from agentkit.store.curation import OPEN, KbClaimRow


def history(kb: KnowledgeBase, claim: str) -> list[JsonObject]:
    """The states of a claim, oldest first: the first and last version, the status, and the role, model, run, source,
    note and time of the change."""
    query = select(KbClaimRow.__table__).where(KbClaimRow.kb == kb.name, KbClaimRow.id == claim)
    with kb.store.read() as connection:
        rows = connection.execute(query.order_by(KbClaimRow.since)).mappings().all()
    return [_state(kb, dict(row)) for row in rows]


def _state(kb: KnowledgeBase, row: JsonObject) -> JsonObject:
    change = kb.ledger.at(kb.target, row["since"])
    until = None if row["until"] == OPEN else row["until"] - 1
    made = {name: getattr(change, name) for name in ("role", "model", "run_id", "source", "note")}
    return {
        "since": row["since"],
        "until": until,
        "status": row["status"],
        "reason": row["reason"],
        **made,
        "created_at": change.created_at,
    }
