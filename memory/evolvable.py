"""A case memory in the evolution loops: the cases of a batch, and what they teach the retrieval policy, are one
proposed change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from agentkit.errors import Conflict
from agentkit.json_types import JsonObject
from agentkit.ledger import Change, Ledger, Verdict
from agentkit.memory import CaseMemory, Filters, MemoryLearner, PolicyStore, RecallSettings
from agentkit.memory.case import case_id
from agentkit.memory.rendering import render
from agentkit.protocols import Block, CallModel, Episode, Learnt, Offer, Recaller
from agentkit.tasks import Task

RELEASE = "release"
"""The operation that activates the hidden cases of a batch."""


class GatedCases:
    """A `BatchLearner` for a case memory: the cases of a batch are stored at once, but stay hidden until there is a
    verdict.

    Args:
        memory: where they are stored.
        namespace: the part of it that they belong to.
    """

    name = "cases"

    def __init__(self, memory: CaseMemory, *, namespace: str = "default") -> None:
        self.memory, self.namespace = memory, namespace
        self.learner = MemoryLearner(memory, namespace=namespace)
        self.ledger = Ledger(memory.store)

    async def learn(self, episode: Episode, *, call: CallModel) -> Learnt:
        return await self.learn_batch([episode], key=episode.run_id, call=call)

    async def learn_batch(self, episodes: Sequence[Episode], *, key: str, call: CallModel) -> Learnt:
        """Propose the cases of the batch as one change; once per key."""
        known = self.ledger.find(f"{key}:{self.memory.target}")
        if known is None:
            known = await asyncio.to_thread(self._propose, episodes, key)
        return Learnt(status="waiting", changes=(known.id,))

    def _propose(self, episodes: Sequence[Episode], key: str) -> Change:
        cases = [self.learner.to_case(episode) for episode in episodes]
        self.memory.add_many(replace(case, status="quarantined") for case in cases)
        runs = [{"run": case.run_id, "case": case.id, "reward": case.earned, "trusted": case.trusted} for case in cases]
        operation = {"op": RELEASE, "namespace": self.namespace, "runs": runs}
        first = episodes[0]
        change = Change(
            key=f"{key}:{self.memory.target}",
            kind="policy",
            target=self.memory.target,
            base=self.ledger.version(self.memory.target),
            operations=(operation,),
            role="memory",
            model=first.model,
            run_id=first.run_id,
            note=f"{len(cases)} cases",
            signal=cases[0].channel,
        )
        return self.ledger.propose(change)


class Cases:
    """The cases of a memory as of one version, chosen by similarity alone and never withheld.

    Args:
        hidden: ids of cases to leave out.
        released: ids of hidden cases to show nevertheless.
    """

    def __init__(
        self,
        memory: CaseMemory,
        version: int,
        *,
        namespace: str,
        settings: RecallSettings,
        hidden: Iterable[str] = (),
        released: Iterable[str] = (),
    ) -> None:
        self.memory, self.version, self.namespace, self.settings = memory, version, namespace, settings
        self.hidden, self.released = tuple(hidden), frozenset(released)

    @property
    def name(self) -> str:
        return f"cases:{self.memory.name}"

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        return await asyncio.to_thread(self._recall, task.input)

    def _recall(self, state: str) -> Block | None:
        settings = self.settings
        hits = [
            hit
            for outcome, k in (("success", settings.successes), ("failure", settings.failures))
            if k
            for hit in self.memory.search(state, k, filters=self._filters(state, outcome), policy=settings.policy)
        ]
        if not hits:
            return None
        offers = tuple(Offer(id=hit.case.id, score=hit.score, position=place) for place, hit in enumerate(hits))
        text = render([hit.case for hit in hits])
        untrusted = any(not hit.case.trusted for hit in hits)
        return Block(
            kind="cases", target=self.memory.target, version=self.version, text=text, offers=offers, untrusted=untrusted
        )

    def _filters(self, state: str, outcome: str) -> Filters:
        settings = self.settings
        waiting = self.memory.list(namespace=self.namespace, status="quarantined", limit=None) if self.released else []
        return Filters(
            namespace=self.namespace,
            statuses=("active", "quarantined") if self.released else ("active",),
            trusted=True if settings.strict else None,
            outcomes=(outcome,),
            exclude=(*self.hidden, *(case.id for case in waiting if case.id not in self.released)),
            exclude_state=None if settings.reuse_same else state,
        )


class MemoryEvolvable:
    """A case memory that evolves: a change activates the cases of a batch and teaches the retrieval policy.

    Args:
        live: what training runs are given, for example a recaller that withholds cases at random to learn their value.
    """

    def __init__(
        self,
        memory: CaseMemory,
        *,
        namespace: str = "default",
        settings: RecallSettings | None = None,
        live: Recaller | None = None,
    ) -> None:
        self.memory, self.namespace, self.settings = memory, namespace, settings or RecallSettings()
        self.policies, self._live = PolicyStore(memory.store, memory.name), live

    @property
    def target(self) -> str:
        return self.memory.target

    def version(self) -> int:
        return self.policies.version()

    def at(self, version: int) -> Recaller:
        return self._cases(version, hidden=[id for change in self._after(version) for id in _cases_of(change)])

    def live(self, version: int) -> Recaller:
        return self._live or self.at(version)

    def with_changes(self, changes: Sequence[Change]) -> Recaller:
        if any(not _is_release(change) for change in changes):
            raise Conflict("a memory evolves only by the cases of a batch")
        return self._cases(self.version(), released=[id for change in changes for id in _trusted(change)])

    def without(self, change: Change) -> Recaller:
        return self._cases(self.version(), hidden=_cases_of(change))

    def scope(self, change: Change) -> frozenset[str]:
        return frozenset(_cases_of(change) or ["*"])

    def apply(self, change: Change, verdict: Verdict) -> Change:
        if not _is_release(change):
            raise Conflict("a memory evolves only by the cases of a batch")

        def effect(connection: Connection, applied: Change) -> None:
            found = self.memory.rows.existing(connection, self.namespace, ids=_trusted(change))
            self.memory.rows.update(connection, found, status="active")
            for run in _runs(change):
                if run["reward"] is not None:
                    version = applied.version or 0
                    self.policies.take_outcome(connection, run["run"], self.namespace, run["reward"], version)

        return self.policies.ledger.apply(change.id, effect, verdict=verdict)

    def withdraw(self, change: Change, *, reason: str) -> Change:
        done = self._hide([change], f"{change.id}:withdrawn", reason, version=None)
        self.policies.ledger.withdraw(change.id, reason=reason)
        return done

    def rollback(self, version: int, *, key: str, reason: str) -> Change:
        return self._hide(self._after(version), key, reason, version=version)

    def _cases(self, version: int, *, hidden: Iterable[str] = (), released: Iterable[str] = ()) -> Cases:
        return Cases(
            self.memory, version, namespace=self.namespace, settings=self.settings, hidden=hidden, released=released
        )

    def _after(self, version: int) -> list[Change]:
        return self.policies.ledger.applied(self.target, after=version)

    def _hide(self, changes: Sequence[Change], key: str, reason: str, *, version: int | None) -> Change:
        """Quarantine the cases of some changes, by one change; the cases stay stored."""
        known = self.policies.ledger.find(key)
        if known is not None and known.status == "applied":
            return known
        ids = [id for change in changes for id in _cases_of(change)]

        def effect(connection: Connection, applied: Change) -> None:
            found = self.memory.rows.existing(connection, self.namespace, ids=ids)
            self.memory.rows.update(connection, found, status="quarantined")
            if version is not None:
                self.policies.log.unlearn(connection, after=version)
                self.policies.rewrite(connection, applied.version or 0, upto=version)

        operation = {"op": "quarantine", "runs": ids, "to": version}
        return self.policies.change(operation, effect, key=key, role="gate", note=reason)


def _is_release(change: Change) -> bool:
    return any(operation.get("op") == RELEASE for operation in change.operations)


def _runs(change: Change) -> list[JsonObject]:
    return [run for operation in change.operations if operation.get("op") == RELEASE for run in operation["runs"]]


def _trusted(change: Change) -> list[str]:
    """The cases that a change activates; those that text from outside could have influenced stay hidden."""
    return [run["case"] for run in _runs(change) if run["trusted"]]


def _cases_of(change: Change) -> list[str]:
    """The cases of a change: those of a batch, or of the single run that a memory learnt from by itself."""
    if _is_release(change):
        return _trusted(change)
    alone = any(operation.get("op") == "outcome" for operation in change.operations)
    return [case_id(change.run_id)] if alone and change.run_id else []
