"""The contents of a memory in numbers."""

from __future__ import annotations

from sqlalchemy import func, select

from agentkit.json_types import JsonObject
from agentkit.memory.memory import CaseMemory
from agentkit.memory.policy_store import PolicyStore
from agentkit.store.cases import CaseRecallRow, CaseRow


def summary(memory: CaseMemory) -> JsonObject:
    """Counts by namespace, status, outcome and source, and the state of the policy."""
    mine = CaseRow.memory == memory.name
    with memory.store.read() as connection:
        by = {
            name: dict(connection.execute(select(column, func.count()).where(mine).group_by(column)).all())
            for name, column in {"status": CaseRow.status, "source": CaseRow.source}.items()
        }
        known = select(func.count()).where(CaseRecallRow.memory == memory.name)
        recalls = connection.execute(known).scalar_one()
    policies = PolicyStore(memory.store, memory.name)
    value = policies.current()
    successes = memory.rows.count(CaseRow.reward >= 0.5)
    failures = memory.rows.count(CaseRow.reward < 0.5)
    total = memory.count()
    return {
        "cases": total,
        "successes": successes,
        "failures": failures,
        "unknown": total - successes - failures,
        "namespaces": memory.rows.namespaces(),
        "status": by["status"],
        "sources": by["source"],
        "embedder": memory.embedder.name,
        "dimension": memory.embedder.dimension,
        "recalls": recalls,
        "policy": {"version": policies.version(), "outcomes": value.count, "cases with an effect": len(value.effects)},
    }
