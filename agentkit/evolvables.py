"""Playbooks and case memories as `Evolvable`s: what the gate and the loops see of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from agentkit.errors import Conflict
from agentkit.learning.ledger import Change, Verdict
from agentkit.memory import CaseMemory, Filters, PolicyStore, RecallSettings
from agentkit.memory.rendering import render
from agentkit.playbooks.operations import Delta, read_operations, touched
from agentkit.playbooks.playbook import Playbook, diff
from agentkit.playbooks.rendering import Renderer
from agentkit.playbooks.storage import PlaybookStore, _inverse
from agentkit.recall import Block, Offer, Recaller
from agentkit.tasks import Task


@dataclass(frozen=True)
class Page:
    """A whole playbook in one state, within its token budget, nothing withheld."""

    book: Playbook
    renderer: Renderer
    name: str = "playbook"

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        rendered = self.renderer.render(self.book.active)
        if not rendered.text:
            return None
        offers = tuple(Offer(id=bullet.id, position=place) for place, bullet in enumerate(rendered.bullets))
        return Block(
            kind="playbook", target=self.book.target, version=self.book.version, text=rendered.text, offers=offers
        )


class PlaybookEvolvable:
    """A playbook that evolves by deltas.

    Args:
        book: its store.
        renderer: how much of it a prompt may hold.
        live: what training runs are given instead of the plain page, such as a recaller that withholds bullets at
            random to learn their credit.
    """

    def __init__(self, book: PlaybookStore, *, renderer: Renderer | None = None, live: Recaller | None = None) -> None:
        self.book, self.renderer, self._live = book, renderer or Renderer(), live

    @property
    def target(self) -> str:
        return self.book.target

    def version(self) -> int:
        return self.book.version()

    def at(self, version: int) -> Recaller:
        return Page(self.book.at(version), self.renderer)

    def live(self, version: int) -> Recaller:
        return self._live or self.at(version)

    def with_changes(self, changes: Sequence[Change]) -> Recaller:
        return Page(self.book.preview(changes), self.renderer)

    def without(self, change: Change) -> Recaller:
        if change.version is None:
            return self.at(self.version())
        return Page(self.book.preview([_undo(self.book, change)]), self.renderer)

    def scope(self, change: Change) -> frozenset[str]:
        return frozenset(touched(read_operations(list(change.operations))))

    def apply(self, change: Change, verdict: Verdict) -> Change:
        return self.book.release(change.id, verdict)

    def withdraw(self, change: Change, *, reason: str) -> Change:
        return self.book.withdraw(change, reason=reason, role="gate")

    def rollback(self, version: int, *, key: str, reason: str) -> Change:
        return self.book.rollback(version, reason=reason, role="gate", key=key)


def _undo(book: PlaybookStore, change: Change) -> Change:
    """The change that would take an applied one back, not stored."""
    assert change.version is not None
    before, after = book.at(change.version - 1), book.at(change.version)
    operations = tuple(_inverse(edit) for edit in diff(before, after))
    delta = Delta(key=f"{change.id}:preview", base=change.version, operations=operations, role="gate")
    return delta.to_change(book.target)


class Cases:
    """The cases of a memory as they were at one version, chosen by similarity alone and never withheld."""

    def __init__(
        self, memory: CaseMemory, version: int, *, namespace: str, settings: RecallSettings, later: tuple[str, ...]
    ) -> None:
        self.memory, self.version, self.namespace, self.settings = memory, version, namespace, settings
        self.later = later

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
        return Block(kind="cases", target=self.memory.target, version=self.version, text=text, offers=offers)

    def _filters(self, state: str, outcome: str) -> Filters:
        settings = self.settings
        return Filters(
            namespace=self.namespace,
            trusted=True if settings.strict else None,
            outcomes=(outcome,),
            exclude=self.later,
            exclude_state=None if settings.reuse_same else state,
        )


class MemoryEvolvable:
    """A case memory: every learned run is a version of it.

    Cases are episodes, written by the memory's own learner and not proposals, so nothing of them waits at the gate;
    whether they help is decided when a version is chosen on validation.

    Args:
        live: what training runs are given, such as a recaller that withholds cases at random to learn their value.
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
        later = tuple(change.run_id[:64] for change in self._after(version) if change.run_id)
        return Cases(self.memory, version, namespace=self.namespace, settings=self.settings, later=later)

    def live(self, version: int) -> Recaller:
        return self._live or self.at(version)

    def _after(self, version: int) -> list[Change]:
        return self.policies.ledger.applied(self.target, after=version)

    def with_changes(self, changes: Sequence[Change]) -> Recaller:
        raise Conflict("a memory changes by cases, which are not proposals")

    def without(self, change: Change) -> Recaller:
        later = (change.run_id[:64],) if change.run_id else ()
        return Cases(self.memory, self.version(), namespace=self.namespace, settings=self.settings, later=later)

    def scope(self, change: Change) -> frozenset[str]:
        return frozenset({"*"})

    def apply(self, change: Change, verdict: Verdict) -> Change:
        raise Conflict("a memory changes by cases, which are not proposals")

    def withdraw(self, change: Change, *, reason: str) -> Change:
        return self._hide([change], f"{change.id}:withdrawn", reason, version=None)

    def rollback(self, version: int, *, key: str, reason: str) -> Change:
        return self._hide(self._after(version), key, reason, version=version)

    def _hide(self, changes: Sequence[Change], key: str, reason: str, *, version: int | None) -> Change:
        """Put the cases of some runs into quarantine by one change; they stay on record."""
        known = self.policies.ledger.find(key)
        if known is not None and known.status == "applied":
            return known
        ids = [change.run_id[:64] for change in changes if change.run_id]

        def effect(connection: Connection, applied: Change) -> None:
            found = self.memory.rows.existing(connection, self.namespace, ids=ids)
            self.memory.rows.update(connection, found, status="quarantined")
            if version is not None:
                self.policies.log.unlearn(connection, after=version)
                self.policies.rewrite(connection, applied.version or 0, upto=version)

        operation = {"op": "quarantine", "runs": ids, "to": version}
        return self.policies.change(operation, effect, key=key, role="gate", note=reason)
