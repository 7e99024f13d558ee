"""A playbook as an `Evolvable`, for the gate and the loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentkit.ledger import Change, Verdict
from agentkit.playbooks.operations import read_operations, touched
from agentkit.playbooks.playbook import Playbook
from agentkit.playbooks.rendering import Renderer
from agentkit.playbooks.storage import PlaybookStore
from agentkit.protocols import Block, Offer, Recaller
from agentkit.tasks import Task


@dataclass(frozen=True)
class Page:
    """A whole playbook in one state, within its token budget, with nothing withheld."""

    book: Playbook
    renderer: Renderer
    name: str = "playbook"

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        rendered = self.renderer.render(self.book.active)
        if not rendered.text:
            return None
        offers = tuple(Offer(id=bullet.id, position=place) for place, bullet in enumerate(rendered.bullets))
        return Block(
            kind="playbook",
            target=self.book.target,
            version=self.book.version,
            text=rendered.text,
            offers=offers,
            untrusted=False,
        )


class PlaybookEvolvable:
    """A playbook that evolves by deltas.

    Args:
        book: its store.
        renderer: limits how much of it a prompt may contain.
        live: what training runs are given instead of the plain page, for example a recaller that withholds bullets at
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
        return Page(self.book.preview([self.book.undoing(change).to_change(self.target)]), self.renderer)

    def scope(self, change: Change) -> frozenset[str]:
        return frozenset(touched(read_operations(list(change.operations))))

    def apply(self, change: Change, verdict: Verdict) -> Change:
        return self.book.release(change.id, verdict)

    def withdraw(self, change: Change, *, reason: str) -> Change:
        return self.book.withdraw(change, reason=reason, role="gate")

    def rollback(self, version: int, *, key: str, reason: str) -> Change:
        return self.book.rollback(version, reason=reason, role="gate", key=key)
