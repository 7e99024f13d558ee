"""The log of cases offered to runs, with probabilities, and of the runs' outcomes; credit assignment is based on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, delete, select, update

from agentkit.embedding import Vectors
from agentkit.memory.bank import Bank
from agentkit.store import Store
from agentkit.store.base import now
from agentkit.store.cases import CaseOfferRow, CaseRecallRow, CaseRow, CaseVectorRow


@dataclass(frozen=True, kw_only=True)
class Considered:
    """One case that a policy chose for a run, whether it was then shown, and with what probability."""

    case_id: str
    shown: bool
    probability: float
    score: float
    features: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Recall:
    """One recall for a run with everything that was considered, and its outcome once known."""

    run_id: str
    namespace: str
    policy: str
    version: int
    state_hash: str
    offers: tuple[Considered, ...]
    outcome: float | None = None
    learnt: int | None = None


class ExposureLog:
    """Recalls and outcomes of one memory; every write is idempotent by run."""

    def __init__(self, store: Store, memory: str) -> None:
        self.store, self.memory = store, memory

    def save(self, recall: Recall) -> Recall:
        """Store a recall; only the first one of a run is stored, and it is returned."""

        def work(connection: Connection) -> Recall:
            known = self._find(connection, recall.run_id, recall.namespace)
            if known is not None:
                return known
            key = {"memory": self.memory, "namespace": recall.namespace, "run_id": recall.run_id}
            row = {**key, "policy": recall.policy, "version": recall.version, "state_hash": recall.state_hash}
            connection.execute(self.store.insert(CaseRecallRow), row | {"created_at": now()})
            offers = [{**key, "place": place, **vars(offer)} for place, offer in enumerate(recall.offers)]
            self.store.insert_new(connection, CaseOfferRow, [{**o, "features": list(o["features"])} for o in offers])
            return recall

        return self.store.transaction(work)

    def find(self, run_id: str, namespace: str) -> Recall | None:
        with self.store.read() as connection:
            return self._find(connection, run_id, namespace)

    def _find(self, connection: Connection, run_id: str, namespace: str) -> Recall | None:
        return next(
            self._recalls(connection, CaseRecallRow.run_id == run_id, CaseRecallRow.namespace == namespace), None
        )

    def record(self, connection: Connection, run_id: str, namespace: str, outcome: float, version: int) -> None:
        """Record a run's outcome and the policy version that learnt from it."""
        mine = (CaseRecallRow.memory == self.memory, CaseRecallRow.namespace == namespace)
        changed = update(CaseRecallRow).where(*mine, CaseRecallRow.run_id == run_id)
        connection.execute(changed.values(outcome=outcome, learnt=version))

    def learnt(self, connection: Connection, *, upto: int | None = None) -> Iterator[Recall]:
        """Recalls whose outcomes the policy has learnt from, in that order."""
        conditions: list[Any] = [CaseRecallRow.learnt.is_not(None)]
        if upto is not None:
            conditions.append(CaseRecallRow.learnt <= upto)
        return self._recalls(connection, *conditions)

    def _recalls(self, connection: Connection, *conditions: Any) -> Iterator[Recall]:
        table = CaseRecallRow
        query = select(table.__table__).where(table.memory == self.memory, *conditions)
        rows = connection.execute(query.order_by(table.learnt, table.created_at, table.run_id)).all()
        offers = self._offers(connection, [row.run_id for row in rows] if len(rows) < 200 else None)
        for row in rows:
            mine = tuple(offers.get((row.namespace, row.run_id), ()))
            values = {name: getattr(row, name) for name in Recall.__dataclass_fields__ if name != "offers"}
            yield Recall(**values, offers=mine)

    def _offers(self, connection: Connection, runs: Sequence[str] | None) -> dict[tuple[str, str], list[Considered]]:
        query = select(CaseOfferRow.__table__).where(CaseOfferRow.memory == self.memory)
        if runs is not None:
            query = query.where(CaseOfferRow.run_id.in_(runs))
        found: dict[tuple[str, str], list[Considered]] = {}
        for row in connection.execute(query.order_by(CaseOfferRow.place)):
            values = {name: getattr(row, name) for name in Considered.__dataclass_fields__}
            offer = Considered(**{**values, "features": tuple(row.features)})
            found.setdefault((row.namespace, row.run_id), []).append(offer)
        return found

    def unlearn(self, connection: Connection, *, after: int) -> None:
        """Mark the outcomes learnt after a version as not learnt; the outcomes themselves stay."""
        mine = update(CaseRecallRow).where(CaseRecallRow.memory == self.memory, CaseRecallRow.learnt > after)
        connection.execute(mine.values(learnt=None))

    def forget(self, connection: Connection, namespace: str, case_ids: Sequence[str], run_ids: Sequence[str]) -> int:
        """Remove every recall that offered one of these cases or belongs to one of these runs; returns how many."""
        runs = set(run_ids)
        for start in range(0, len(case_ids), 500):
            query = select(CaseOfferRow.run_id).where(CaseOfferRow.memory == self.memory)
            query = query.where(CaseOfferRow.namespace == namespace)
            part = list(case_ids[start : start + 500])
            runs |= set(connection.execute(query.where(CaseOfferRow.case_id.in_(part))).scalars())
        gone, count = sorted(runs), 0
        for start in range(0, len(gone), 500):
            part = gone[start : start + 500]
            for table in (CaseOfferRow, CaseRecallRow):
                mine = (table.memory == self.memory, table.namespace == namespace, table.run_id.in_(part))
                count += connection.execute(delete(table).where(*mine)).rowcount * (table is CaseRecallRow)
        return count


def outcomes_by_case(bank: Bank) -> list[tuple[int, Vectors, float]]:
    """(seq of a shown case, vector of the state it was shown in, outcome) in the bank's namespace, the newest 5,000."""
    key = ("outcomes", *bank.key)
    fits = bank.mirror.fits
    if key not in fits:
        for old in [known for known in fits if known[0] == "outcomes"]:
            del fits[old]
        fits[key] = _outcomes(bank)
    found: list[tuple[int, Vectors, float]] = fits[key]
    return found


def _outcomes(bank: Bank) -> list[tuple[int, Vectors, float]]:
    offers, recalls = CaseOfferRow.__table__, CaseRecallRow.__table__
    names = ("memory", "namespace", "run_id")
    joined = offers.join(recalls, _all(offers.c[n] == recalls.c[n] for n in names))
    joined = joined.join(
        CaseRow.__table__,
        _all(
            [CaseRow.memory == offers.c.memory, CaseRow.namespace == offers.c.namespace, CaseRow.id == offers.c.case_id]
        ),
    )
    embedder = bank.mirror.vectors.embedder.name
    joined = joined.join(
        CaseVectorRow.__table__, _all([CaseVectorRow.embedder == embedder, CaseVectorRow.hash == recalls.c.state_hash])
    )
    query = select(CaseRow.seq, CaseVectorRow.vector, recalls.c.outcome).select_from(joined)
    query = query.where(offers.c.memory == bank.rows.memory, offers.c.namespace == bank.filters.namespace)
    query = query.where(offers.c.shown.is_(True), recalls.c.outcome.is_not(None))
    query = query.order_by(recalls.c.learnt.desc()).limit(5000)
    with bank.store.read() as connection:
        rows = connection.execute(query).all()
    return [(row[0], np.frombuffer(row[1], dtype="<f4"), float(row[2])) for row in rows]


def _all(conditions: Any) -> Any:
    from sqlalchemy import and_

    return and_(*conditions)
