"""Feedback on a past run: updates its case, and updates the policy as if it had learnt this from the start."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from agentkit.ledger import Change
from agentkit.memory.case import Case
from agentkit.memory.memory import CaseMemory
from agentkit.memory.policy_store import PolicyStore
from agentkit.memory.rows import CaseValues
from agentkit.opinions import Settled

Judge = Callable[[Connection], Settled | None]
"""Gives the verdict of all opinions on the run, within the transaction that teaches it."""


def teach(memory: CaseMemory, case: Case, judge: Judge, *, key: str, by: str, note: str = "") -> Change:
    """Apply feedback on a run as one change in the ledger; once per key.

    Args:
        case: the run as a case, in case the memory does not have one for it.
        judge: stores the opinion and settles it with the others.
        key: identifies the opinion.
        by: its author.
    """
    policies = PolicyStore(memory.store, memory.name)
    write = memory.writer([case]) if _missing(memory, case) else None

    def effect(connection: Connection, change: Change) -> None:
        settled = judge(connection)
        if write is not None:
            write(connection)
        if settled is None:
            return
        found = memory.rows.existing(connection, case.namespace, run_ids=[str(case.run_id)])
        memory.rows.update(connection, found, **_known(settled))
        policies.retake_outcome(connection, str(case.run_id), case.namespace, settled.score, change.version or 0)

    change = Change(
        key=f"{key}:{memory.target}:{case.namespace}",
        kind="policy",
        target=memory.target,
        base=policies.version(),
        operations=({"op": "feedback", "run": case.run_id, "namespace": case.namespace, "opinion": key},),
        role=by[:40],
        run_id=case.run_id,
        signal="user",
        note=note[:200],
    )
    return policies.ledger.commit(change, effect)


def _missing(memory: CaseMemory, case: Case) -> bool:
    with memory.store.read() as connection:
        return not memory.rows.existing(connection, case.namespace, run_ids=[str(case.run_id)])


def _known(settled: Settled) -> CaseValues:
    """The columns of a case that feedback determines: a corrected failure teaches the right answer."""
    corrected = settled.correction is not None
    return {
        "correction": settled.correction,
        "corrected_by": settled.by if corrected else "",
        "reward": 1.0 if corrected else settled.score,
        "channel": settled.channel,
    }
