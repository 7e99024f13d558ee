"""Export and import of a memory as JSON lines, and verification against its rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sqlalchemy import select

from agentkit.errors import DataError
from agentkit.json_types import JsonObject
from agentkit.ledger import Ledger
from agentkit.memory import index_file
from agentkit.memory.case import Case, case_from_json
from agentkit.memory.memory import CaseMemory
from agentkit.memory.policy_store import PolicyStore
from agentkit.memory.upkeep import embedder_drift
from agentkit.store.cases import CaseRow, CaseVectorRow
from agentkit.tasks import read_jsonl

IMPORTED = "import"
"""A source added to every case of an untrusted file."""
DRIFT = 0.01
"""If stored and fresh vectors of a text differ by more than this cosine distance, the embedder is assumed to have
changed."""


def export_cases(memory: CaseMemory, *, namespace: str = "default") -> Iterator[str]:
    """One line of JSON per case, oldest first."""
    for case in memory.rows.where(CaseRow.namespace == namespace):
        yield json.dumps(case.to_json(), ensure_ascii=False)


def read_cases(path: str | Path, *, namespace: str | None = None) -> list[Case]:
    """Read the cases of a JSON-lines file; one bad line rejects the file.

    Raises:
        DataError: a line that is not a valid case, or a duplicate id or run; with file and line.
    """
    cases: list[Case] = []
    seen: dict[tuple[str, str, str], int] = {}
    for number, row in read_jsonl(path):
        try:
            case = case_from_json(row, namespace=namespace)
        except DataError as error:
            raise DataError(str(error), path=path, line=number) from None
        keys = [(case.namespace, "id", case.id)] + ([(case.namespace, "run", case.run_id)] if case.run_id else [])
        for key in keys:
            if key in seen:
                message = f"the {key[1]} {key[2]!r} occurs twice, first in line {seen[key]}"
                raise DataError(message, path=path, line=number)
            seen[key] = number
        cases.append(case)
    if not cases:
        raise DataError("holds no cases", path=path)
    return cases


def import_cases(memory: CaseMemory, path: str | Path, *, namespace: str | None = None, trust: bool = False) -> int:
    """Store a file's cases, skipping those that exist already. Returns how many were new.

    Args:
        trust: accept what the file says about itself. Otherwise its cases count as text from outside: searches find
            them, but runs are not shown them until a person vouches for them (`release`).
    """
    before, cases = memory.count(), read_cases(path, namespace=namespace)
    memory.add_many(cases if trust else map(_doubted, cases))
    return memory.count() - before


def _doubted(case: Case) -> Case:
    sources = case.source.split()
    source = " ".join(sources if IMPORTED in sources else [*sources, IMPORTED])[-400:]
    return replace(case, trusted=False, pinned=False, source=source)


def verify(memory: CaseMemory) -> JsonObject:
    """Check vectors, cached files, the embedder, the policy's snapshots and the ledger.

    Returns:
        counts, and a list of `problems`, which is empty if there are none.
    """
    problems: list[str] = []
    memory.mirror.refresh()
    with memory.store.read() as connection:
        for view in memory.views:
            memory.mirror.view(view)
            if bad := memory.mirror.compare(connection, view):
                problems.append(f"{bad} vectors of view {view!r} differ from the rows: run  agentkit memory rebuild")
        width = memory.embedder.dimension * 4
        query = select(CaseVectorRow.vector).where(CaseVectorRow.embedder == memory.embedder.name)
        short = sum(len(row[0]) != width for row in connection.execute(query))
    if short:
        problems.append(f"{short} stored vectors are not of {memory.embedder.dimension} dimensions")
    for view in memory.views:
        path = memory.mirror.path(view)
        if path is not None and path.exists() and index_file.load(path) is None:
            problems.append(f"{path.name} is corrupted: it is not used; run  agentkit memory rebuild")
    if (drift := embedder_drift(memory)) > DRIFT:
        problems.append(
            f"{memory.embedder.name} gives other vectors than it did (cosine off by up to {drift:.3f}):"
            f" run  agentkit memory rebuild --embedder {memory.embedder.name}"
        )
    versions = Ledger(memory.store).verify(memory.target)
    PolicyStore(memory.store, memory.name).current()
    return {"cases": memory.count(), "versions": versions, "problems": problems}
