"""PlaybookRecaller: the part of a playbook that a run sees."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from agentkit.embedding import Embedder, Vectors
from agentkit.playbooks.bullets import Bullet
from agentkit.playbooks.evidence import UsageLog
from agentkit.playbooks.playbook import Playbook
from agentkit.playbooks.rendering import HEADER, Rendered, Renderer
from agentkit.playbooks.selection import Economy, select
from agentkit.playbooks.similarity import Index
from agentkit.playbooks.storage import PlaybookStore
from agentkit.playbooks.stream_gate import StreamGate
from agentkit.playbooks.withholding import Withholding
from agentkit.protocols import Block, Offer
from agentkit.tasks import Task

ABOUT = 32
"""A bullet's effect is estimated on the tasks for which it is among this many most similar bullets."""


class PlaybookRecaller:
    """A `Recaller` for a playbook.

    Args:
        book: the playbook.
        renderer: the budget and the tokenizer.
        withholding: chooses the bullets that a run does without; with None everything is shown, and no credit is
            learnt.
        embedder: for retrieval, and for deciding which tasks a bullet is about; by default it hashes words.
        trials: gives edits on probation to runs at random; None tries none.
        retrieval: show the whole playbook ("never"), only the relevant part ("always"), or whichever pays off ("auto").
    """

    def __init__(
        self,
        book: PlaybookStore,
        *,
        renderer: Renderer | None = None,
        withholding: Withholding | None = None,
        embedder: Embedder | None = None,
        retrieval: Literal["auto", "never", "always"] = "auto",
        economy: Economy | None = None,
        trials: StreamGate | None = None,
    ) -> None:
        self.trials = trials
        self.book, self.renderer, self.withholding = book, renderer or Renderer(), withholding
        self.retrieval, self.economy = retrieval, economy or Economy()
        self.index = Index(embedder, book.store)
        self.evidence = UsageLog(book.store, book.target)

    @property
    def name(self) -> str:
        return self.book.target

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        """The block for a task. The version it is made from is pinned, so that a run always gets the same one."""
        return await asyncio.to_thread(self.recall_now, task.input, run_id=run_id)

    def recall_now(self, text: str, *, run_id: str) -> Block | None:
        """The synchronous version of `recall`."""
        newest = self.book.current().version
        version = self.evidence.pin(run_id, newest)
        if self.trials is None or version != newest:
            return self.block(self.book.at(version), text, run_id=run_id)
        base = self.book.at(version)
        tried, coins = self.trials.draw(base, run_id)
        block = self.block(tried, text, run_id=run_id)
        if block is None and not coins:
            return None
        made = block or Block(kind="playbook", target=base.target, version=version, text="", untrusted=False)
        known = tuple(offer for offer in made.offers if offer.id in base.bullets)
        return replace(made, version=version, offers=known, coins=coins)

    def block(self, book: Playbook, text: str, *, run_id: str) -> Block | None:
        """The block that a run gets from a playbook; None if the playbook is empty."""
        bullets = book.active
        if not bullets:
            return None
        similarity = self.index.similarities(text, bullets)
        chosen = self._choose(book, similarity)
        withheld = self.withholding.withheld(run_id, chosen) if self.withholding else frozenset()
        rendered = self.renderer.exact([bullet for bullet in chosen if bullet.id not in withheld])
        offers = self._offers(bullets, similarity, withheld, rendered)
        return Block(
            kind="playbook",
            target=book.target,
            version=book.version,
            text=rendered.text,
            offers=offers,
            untrusted=False,
        )

    def _choose(self, book: Playbook, similarity: Vectors) -> Sequence[Bullet]:
        """The bullets considered for a task, whether or not this run then does without some of them."""
        bullets = book.active
        costs = {bullet.id: self.renderer.cost(bullet) for bullet in bullets}
        budget = self.renderer.budget - self.renderer.count(HEADER) - 1
        total = sum(costs.values())
        if self.retrieval != "never":
            limit = budget if self.retrieval == "auto" else min(budget, total - 1)
            return select(bullets, similarity, costs, budget=limit, economy=self.economy).bullets
        votes = {} if total <= budget else self.book.votes(book.version)
        return self.renderer.fit(bullets, costs, lambda bullet: _worth(votes.get(bullet.id, (0, 0))))

    def _offers(
        self, bullets: Sequence[Bullet], similarity: Vectors, withheld: frozenset[str], rendered: Rendered
    ) -> tuple[Offer, ...]:
        """The data needed for credit and votes: every bullet shown, and the withheld ones that the task is about.

        A probability below one marks the runs that are informative about a bullet: it was considered, and chance
        decided whether it was shown.
        """
        places = {bullet.id: place for place, bullet in enumerate(rendered.bullets)}
        about = {bullets[int(place)].id for place in np.argsort(-similarity, kind="stable")[:ABOUT]}
        chance = self.withholding.probability if self.withholding else 1.0
        offers = []
        for bullet, score in zip(bullets, similarity, strict=True):
            place, close = places.get(bullet.id), bullet.id in about
            if place is not None or (close and bullet.id in withheld):
                probability = chance if close else 1.0
                offers.append(
                    Offer(
                        id=bullet.id,
                        shown=place is not None,
                        probability=probability,
                        score=round(float(score), 4),
                        position=place,
                    )
                )
        return tuple(offers)


def _worth(votes: tuple[int, int]) -> float:
    """Coarse on purpose: the choice of what to leave out should rarely change."""
    helpful, harmful = votes
    return (helpful > harmful) - (harmful > helpful)
