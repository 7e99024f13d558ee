"""Training on the log: the parametric head, and the online policy replayed from the start."""

from __future__ import annotations

import numpy as np
from sqlalchemy import Connection

from agentkit.json_types import JsonObject
from agentkit.ledger import Change
from agentkit.memory.case import Filters
from agentkit.memory.exposures import outcomes_by_case
from agentkit.memory.memory import CaseMemory
from agentkit.memory.policies.parametric import train as fit
from agentkit.memory.policy_store import PolicyStore


def train(memory: CaseMemory, *, namespace: str = "default", seed: int = 0) -> JsonObject:
    """Fit the parametric head to every shown case and its run's outcome, and replay the online policy.

    The new head and the snapshots are one change in the ledger: after a crash, the policy is the last complete one.

    Raises:
        UserError: fewer than 8 outcomes.
    """
    with memory.mirror.lock:
        bank = memory.bank(Filters(namespace=namespace, statuses=("active", "quarantined", "merged", "superseded")))
        rows = outcomes_by_case(bank)
        places = bank.mirror.positions([seq for seq, _, _ in rows])
        cases, own = bank.vectors("state", places), bank.rewards(places)
    empty = np.zeros((0, memory.embedder.dimension), dtype=np.float32)
    states = np.stack([vector for _, vector, _ in rows]) if rows else empty
    outcomes = np.array([outcome for _, _, outcome in rows])
    head = fit(states, cases, own, outcomes, seed=seed).to_bytes()
    policies = PolicyStore(memory.store, memory.name)

    def effect(connection: Connection, change: Change) -> None:
        policies.rewrite(connection, change.version or 0)
        policies.save_heavy(connection, head, change.version or 0)

    key = f"{policies.target}:train:{policies.version()}"
    change = policies.change({"op": "train", "outcomes": len(rows)}, effect, key=key, role="trainer")
    return {"outcomes": len(rows), "version": change.version}
