"""Quarantine and forgetting: nothing from outside is shown without approval, and everything from a source can be
removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, select, text, update

from agentkit.errors import UserError
from agentkit.json_types import JsonObject
from agentkit.ledger import Change
from agentkit.memory.case import Case
from agentkit.memory.memory import CaseMemory
from agentkit.memory.policies.lexical import has_fts
from agentkit.memory.policy_store import PolicyStore
from agentkit.memory.rows import CaseValues
from agentkit.memory.text import ITEMS
from agentkit.store.cases import CaseRow


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What a `forget` removed."""

    source: str
    cases: int
    derived: int
    recalls: int
    policy_version: int

    def to_json(self) -> JsonObject:
        return asdict(self)


def release(
    memory: CaseMemory,
    ids: Sequence[str] = (),
    *,
    source: str | None = None,
    namespace: str = "default",
    reward: float | None = None,
) -> int:
    """A person vouches for cases that are quarantined or untrusted; from now on runs may be shown them.

    Args:
        source: also vouch for everything from this source.
        reward: the reward that the person gives them; None leaves the known one.

    Returns:
        how many.

    Raises:
        UserError: a blank source.
    """
    if source is not None and not source.strip():
        raise UserError("the source is empty: name the one whose cases are to be released")
    vouched: CaseValues = {"status": "active", "trusted": True}
    if reward is not None:
        vouched |= {"reward": reward, "channel": "user"}

    with memory.store.read() as connection:
        named = memory.rows.existing(connection, namespace, ids=ids)
    if source is not None:
        named += [case for case in memory.rows.from_source(source) if case.namespace == namespace]
    waiting = {case.seq: case for case in named if case.status == "quarantined" or _doubted(case)}
    found = list(waiting.values())

    def effect(connection: Connection, change: Change) -> None:
        memory.rows.update(connection, found, **vouched)

    PolicyStore(memory.store, memory.name).touch("vouch", found, effect, role="person")
    return len(found)


def _doubted(case: Case) -> bool:
    return case.status == "active" and not case.trusted


def quarantine(memory: CaseMemory, source: str) -> int:
    """Quarantine every case from a source; returns how many."""
    found = [case for case in memory.rows.from_source(source) if case.status == "active"]

    def effect(connection: Connection, change: Change) -> None:
        memory.rows.update(connection, found, status="quarantined")

    PolicyStore(memory.store, memory.name).touch("hold", found, effect, role="person")
    return len(found)


def forget(memory: CaseMemory, source: str) -> Receipt:
    """Remove everything from a source, in every namespace of this memory.

    This removes the cases, their vectors, anything merged from them, every recall that considered them, their part in
    the learnt policy (which is replayed without them), and their traces in the full-text index and index files. The
    ledger still records that something was learnt and forgotten, but it never contained the content.

    Raises:
        UserError: nothing came from that source, or it is blank.
    """
    if not source.strip():
        raise UserError("the source is empty: name the one whose cases are to go")
    found = [case for case in memory.rows.from_source(source) if case.weight < 2 or not case.parents]
    if not found:
        raise UserError(f"memory {memory.name!r} holds nothing from {source!r}; see  agentkit memory stats")
    derived = _derived(memory, found)
    gone = [*found, *derived]
    policies = PolicyStore(memory.store, memory.name)
    counted = {"recalls": 0}

    def effect(connection: Connection, change: Change) -> None:
        for space in sorted({case.namespace for case in gone}):
            mine = [case for case in gone if case.namespace == space]
            runs = [case.run_id for case in mine if case.run_id]
            counted["recalls"] += policies.log.forget(connection, space, [c.id for c in mine], runs)
        states = [case.seq for case in gone]
        memory.rows.delete(connection, states)
        _unmerge(memory, connection, {case.id for case in derived}, {case.seq for case in found})
        _drop_orphans(memory, connection)
        memory.rows.new_epoch(connection)
        policies.rewrite(connection, change.version or 0)

    operation = {"op": "forget", "cases": len(gone)}
    key = f"{memory.target}:forget:{max(case.seq for case in gone)}:{policies.version()}"
    change = policies.change(operation, effect, key=key, note="all that came from one source")
    _scrub(memory)
    return Receipt(
        source=source,
        cases=len(found),
        derived=len(derived),
        recalls=counted["recalls"],
        policy_version=change.version or 0,
    )


def _derived(memory: CaseMemory, found: list[Case]) -> list[Case]:
    """Prototypes merged from any of these cases, and prototypes of those."""
    gone = {case.id for case in found}
    derived: list[Case] = []
    made = memory.rows.where(CaseRow.weight > 1)
    while more := [case for case in made if case.id not in gone and gone & set(case.parents)]:
        derived += more
        gone |= {case.id for case in more}
    return derived


def _unmerge(memory: CaseMemory, connection: Connection, prototypes: set[str], gone: set[int]) -> None:
    """Make cases that were merged into a removed prototype active again."""
    if not prototypes:
        return
    query = select(CaseRow.seq, CaseRow.tags).where(CaseRow.memory == memory.name, CaseRow.status == "merged")
    for seq, tags in connection.execute(query).all():
        if seq not in gone and any(tag.removeprefix("merged:") in prototypes for tag in tags):
            kept = [tag for tag in tags if not tag.startswith("merged:")]
            row = update(CaseRow).where(CaseRow.seq == seq)
            connection.execute(row.values(status="active", tags=kept, rev=memory.rows.tick(connection)))


def _drop_orphans(memory: CaseMemory, connection: Connection) -> None:
    """Delete vectors that no case of any memory and no recall refers to."""
    used = "SELECT state_hash FROM cases UNION SELECT masked_hash FROM cases UNION SELECT plan_hash FROM cases"
    used += " UNION SELECT state_hash FROM case_recalls"
    orphan = text(f"DELETE FROM case_vectors WHERE embedder NOT LIKE :items AND hash NOT IN ({used})")
    connection.execute(orphan, {"items": f"{ITEMS}%"})


def _scrub(memory: CaseMemory) -> None:
    """Make sure that nothing removed survives in free pages, the write-ahead log, the full-text index or cached
    files."""
    memory.vectors.forget_recent()
    memory.mirror.rebuild()
    if memory.store.dialect != "sqlite":
        alone = memory.store.engine.execution_options(isolation_level="AUTOCOMMIT")
        with memory.store.guarded(), alone.connect() as connection:
            connection.exec_driver_sql(
                "VACUUM cases, case_vectors, case_offers, case_recalls, changes, policy_snapshots"
            )
        return
    with memory.store.write() as connection:
        if has_fts(connection):
            connection.exec_driver_sql("INSERT INTO cases_fts(cases_fts) VALUES ('rebuild')")
    with memory.store.guarded():
        raw = memory.store.engine.raw_connection()
        try:
            for statement in ("PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                raw.cursor().execute(statement).fetchall()
        finally:
            raw.close()
