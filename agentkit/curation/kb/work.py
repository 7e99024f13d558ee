"""The work log: every question about every paper, identified by its content, with its state.

Failed work is never recorded as an empty result. A call may be made twice if a process dies in the middle of it, but
effects happen once, because claims are written in the transaction that marks the work as done.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypedDict, Unpack

from sqlalchemy import Connection, func, select, update

from agentkit.curation.claims import digest
from agentkit.json_types import JsonObject
from agentkit.store import Store
from agentkit.store.base import now
from agentkit.store.curation import WorkRow
from agentkit.store.owner import is_gone, this_process

State = Literal["pending", "leased", "done", "done_empty", "failed_retryable", "failed_final", "over_budget"]
DONE = ("done", "done_empty")
LEASE = dt.timedelta(minutes=30)


@dataclass(frozen=True, kw_only=True)
class Work:
    """One question about one paper.

    Attributes:
        key: the content hash of everything that determines the answer.
        findings: what later questions build on, as JSON.
        claims: the ids of claims that this work put into the knowledge base.
        run_id: the run of the paper.
        recalled: the blocks of learnt context that it was asked with, as JSON.
        called: the keys of its model calls.
        question: its key without recalled context.
    """

    key: str
    document: str
    element: str
    subject: str = ""
    state: State = "pending"
    attempts: int = 0
    findings: Sequence[Mapping[str, Any]] = ()
    claims: Sequence[str] = ()
    rounds: int = 0
    calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    error: str = ""
    run_id: str | None = None
    recalled: Sequence[Mapping[str, Any]] | None = None
    called: Sequence[str] | None = None
    question: str | None = None

    @property
    def finished(self) -> bool:
        return self.state in DONE


@dataclass(frozen=True, kw_only=True)
class WorkKey:
    """The parts of a work key; equal parts mean equal work, in any order and on any machine."""

    document: str
    parser: str
    element: str
    prompt: str
    models: tuple[str, ...]
    playbook: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        content = [self.document, self.parser, self.element, self.prompt, self.models, self.playbook]
        return digest(*content, dict(self.params), length=40)


class WorkValues(TypedDict, total=False):
    """The outcome of a piece of work: findings and ids of claims, as JSON; its usage, in calls, tokens and US dollars;
    and its origin: the run, the recalled context, and its model calls."""

    findings: list[JsonObject]
    claims: list[str]
    rounds: int
    calls: int
    tokens: int
    cost: float
    run_id: str
    recalled: list[JsonObject]
    called: list[str]


class WorkLog:
    """The work log of one knowledge base. Several processes may share it; leases keep them from doing the same work."""

    def __init__(self, store: Store, kb: str, *, owner: str = "") -> None:
        self.store, self.kb = store, kb
        self.owner = owner or f"{this_process()}:{uuid.uuid4().hex[:8]}"

    def get(self, key: str) -> Work | None:
        """The work with this key; None if there is none."""
        query = select(WorkRow.__table__).where(WorkRow.kb == self.kb, WorkRow.key == key)
        with self.store.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else _work(dict(row))

    def lease(self, work: Work, *, again: bool = False) -> Work | None:
        """Lease a piece of work: returns it as stored, with state `leased` if it is now ours to do.

        Returns None if another living process holds it. Finished work, and work that failed for good (unless `again`),
        is returned as it is.
        """
        row: JsonObject = {"kb": self.kb, "key": work.key, "document": work.document, "element": work.element}
        row |= {"subject": work.subject, "findings": [], "claims": [], "updated_at": now(), "question": work.question}
        lease = {"state": "leased", "owner": self.owner, "lease_until": now() + LEASE, "live": True}

        def take(connection: Connection) -> Work | None:
            if self.store.insert_new(connection, WorkRow, [row | lease | {"attempts": 1}]):
                return replace(work, state="leased", attempts=1)
            query = select(WorkRow.__table__).where(WorkRow.kb == self.kb, WorkRow.key == work.key)
            stored = connection.execute(query.with_for_update()).mappings().one()
            over = (*DONE, *(() if again else ("failed_final",)))
            if stored["live"] and stored["state"] in over:
                return _work(dict(stored))
            if stored["state"] == "leased" and self._held(dict(stored)):
                return None
            cut_off = stored["state"] in ("leased", "pending", "over_budget")  # nothing was written: the same attempt
            taken = lease | {"attempts": stored["attempts"] + (not cut_off)}
            connection.execute(self._at(work.key).values(**taken))
            return _work({**stored, "state": "leased", "attempts": taken["attempts"]})

        return self.store.transaction(take)

    def answered(self, document: str, question: str) -> Work | None:
        """Finished work on a question, whatever was recalled for it; None if there is none."""
        asked = (WorkRow.key == question) | (WorkRow.question == question)
        query = select(WorkRow.__table__).where(
            WorkRow.kb == self.kb, WorkRow.document == document, WorkRow.live, asked
        )
        with self.store.read() as connection:
            rows = connection.execute(query.where(WorkRow.state.in_(DONE)).order_by(WorkRow.key)).mappings().all()
        return _work(dict(rows[0])) if rows else None

    def behind(self, claim: str, document: str) -> Work | None:
        """The work that put a claim into the knowledge base, preferably that of the current plan."""
        query = select(WorkRow.__table__).where(WorkRow.kb == self.kb, WorkRow.document == document)
        with self.store.read() as connection:
            rows = connection.execute(query.order_by(WorkRow.live.desc(), WorkRow.updated_at.desc())).mappings().all()
        return next((_work(dict(row)) for row in rows if claim in row["claims"]), None)

    def of_run(self, run_id: str, document: str) -> list[Work]:
        """The questions of a paper's run, in the order in which they were answered."""
        query = select(WorkRow.__table__).where(WorkRow.kb == self.kb, WorkRow.document == document)
        query = query.where(WorkRow.run_id == run_id).order_by(WorkRow.updated_at)
        with self.store.read() as connection:
            return [_work(dict(row)) for row in connection.execute(query).mappings()]

    def _held(self, row: Mapping[str, Any]) -> bool:
        """Whether a living process other than this one holds the lease."""
        if row["owner"] == self.owner or row["lease_until"] is None or row["lease_until"] < now():
            return False
        return not is_gone(row["owner"])

    def free(self) -> None:
        """Release the leases of processes on this machine that have ended, which other machines can't know."""
        query = select(WorkRow.key, WorkRow.owner).where(WorkRow.kb == self.kb, WorkRow.state == "leased")
        with self.store.read() as connection:
            leased = connection.execute(query).all()
        for key, owner in leased:
            if is_gone(owner):
                self.fail(key, "pending", "")

    def finish(
        self, connection: Connection, key: str, state: State, *, error: str = "", **values: Unpack[WorkValues]
    ) -> None:
        """Mark work as done (or failed), inside the transaction that writes its results."""
        stamp = {"state": state, "owner": "", "lease_until": None, "updated_at": now()}
        connection.execute(self._at(key).values(**stamp, error=error, **values))

    def fail(self, key: str, state: State, error: str, **values: Unpack[WorkValues]) -> None:
        """Mark work as failed, or pending again, with its usage so far."""
        self.store.transaction(lambda connection: self.finish(connection, key, state, error=error, **values))

    def live(self, document: str | None = None) -> Iterator[Work]:
        """Work that the current plan asks for, by key."""
        query = select(WorkRow.__table__).where(WorkRow.kb == self.kb, WorkRow.live)
        if document is not None:
            query = query.where(WorkRow.document == document)
        with self.store.read() as connection:
            for row in connection.execute(query.order_by(WorkRow.key)).mappings():
                yield _work(dict(row))

    def supersede(self, connection: Connection, keys: Sequence[str]) -> None:
        """Mark work as no longer asked for by the plan. If asked again, it is redone from the journal of calls."""
        for key in keys:
            connection.execute(self._at(key).values(live=False))

    def any_superseded(self) -> bool:
        """Whether there is work that the plan no longer asks for."""
        query = select(WorkRow.key).where(WorkRow.kb == self.kb, ~WorkRow.live).limit(1)
        with self.store.read() as connection:
            return connection.execute(query).scalar() is not None

    def counts(self) -> dict[str, int]:
        """Live work by state."""
        query = select(WorkRow.state, func.count()).where(WorkRow.kb == self.kb, WorkRow.live)
        with self.store.read() as connection:
            return {state: count for state, count in connection.execute(query.group_by(WorkRow.state)).all()}

    def usage(self) -> dict[str, float]:
        """Calls, tokens and cost of all work, whether the plan still asks for it or not."""
        sums = [func.coalesce(func.sum(getattr(WorkRow, name)), 0) for name in ("calls", "tokens", "cost")]
        with self.store.read() as connection:
            row = connection.execute(select(*sums).where(WorkRow.kb == self.kb)).one()
        return dict(zip(("calls", "tokens", "cost"), row, strict=True))

    def failures(self) -> list[Work]:
        """Live work that failed, or that a budget cut off."""
        failed = ("failed_retryable", "failed_final", "over_budget")
        return [work for work in self.live() if work.state in failed]

    def _at(self, key: str) -> Any:
        return update(WorkRow).where(WorkRow.kb == self.kb, WorkRow.key == key)


def _work(row: Mapping[str, Any]) -> Work:
    return Work(**{name: row[name] for name in Work.__dataclass_fields__})
