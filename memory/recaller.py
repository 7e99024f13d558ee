"""MemoryRecaller: chooses the cases for a run and withholds some at random; it may show none at all."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, replace

import numpy as np

from agentkit.embedding import text_hash
from agentkit.memory.bank import Bank
from agentkit.memory.case import Case, Filters
from agentkit.memory.exposures import Considered, Recall
from agentkit.memory.memory import CaseMemory
from agentkit.memory.policies import Policy, load_policy
from agentkit.memory.policy_store import PolicyStore
from agentkit.memory.query import Query
from agentkit.memory.rendering import render
from agentkit.memory.value import EffectModel
from agentkit.protocols import Block, Offer
from agentkit.tasks import Task

SPARE = 3
"""How many cases are ranked for each one that may be shown, for the effect model to choose from."""
_RANK = 0.02
"""The reward that one place in the ranking is assumed to be worth."""


@dataclass(frozen=True, kw_only=True)
class RecallSettings:
    """How cases are chosen.

    Attributes:
        successes, failures: how many of each a prompt may contain.
        policy: ranks the cases.
        learn: choose among the ranked cases by what showing them did before, and withhold at random; False shows all.
        strict: never show quarantined or untrusted cases. False shows untrusted ones that are not quarantined.
        min_relevance: cases with a lower cosine are not considered at all.
        reuse_same: whether the case of exactly the same task may be shown.
    """

    successes: int = 3
    failures: int = 1
    policy: str | Policy = "fused"
    learn: bool = True
    strict: bool = True
    min_relevance: float = 0.0
    reuse_same: bool = True


class MemoryRecaller:
    """A `Recaller` for one namespace of a memory. It shows nothing if nothing seems to help.

    Args:
        namespace: cases from other namespaces are never considered.
        settings: how they are chosen.
    """

    def __init__(
        self, memory: CaseMemory, *, namespace: str = "default", settings: RecallSettings | None = None
    ) -> None:
        self.memory, self.namespace, self.settings = memory, namespace, settings or RecallSettings()
        self.policies = PolicyStore(memory.store, memory.name)
        self.policy = load_policy(self.settings.policy)

    @property
    def name(self) -> str:
        return f"cases:{self.memory.name}"

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        """The block for this task, or None to abstain; the same run always gets the same block."""
        return await asyncio.to_thread(self.recall_now, task.input, run_id=run_id)

    def recall_now(self, state: str, *, run_id: str) -> Block | None:
        """The synchronous version of `recall`."""
        recall = self.policies.log.find(run_id, self.namespace)
        if recall is None:
            recall = self.policies.log.save(self._consider(state, run_id))
        return self._block(recall)

    def _filters(self, state: str) -> Filters:
        settings = self.settings
        only = True if settings.strict else None
        return Filters(namespace=self.namespace, trusted=only, exclude_state=None if settings.reuse_same else state)

    def _consider(self, state: str, run_id: str) -> Recall:
        query = Query(state, self.memory.vectors, seed=run_id)
        _ = query.state, query.structure  # embed before taking the lock: it is slow
        settings, log = self.settings, self.policies
        with self.memory.mirror.lock:
            bank = self.memory.bank(self._filters(state))
            good = self._found(query, bank, ("success",), settings.successes)
            bad = self._found(query, bank, ("failure",), settings.failures)
        version, value = log.version(), log.current([item.case_id for item in (*good, *bad)])
        chosen = [*self._chosen(good, settings.successes, value), *self._chosen(bad, settings.failures, value)]
        self._remember_state(state)
        rng = np.random.default_rng(run_seed(run_id, self.memory.name))
        offers = tuple(replace(offer, shown=bool(rng.random() < offer.probability)) for offer in chosen)
        return Recall(
            run_id=run_id,
            namespace=self.namespace,
            policy=self.policy.name,
            version=version,
            state_hash=text_hash(state),
            offers=offers,
        )

    def _found(self, query: Query, bank: Bank, kinds: tuple[str, ...], k: int) -> list[Considered]:
        """The best cases of a kind by the ranking, with the features that the effect model uses."""
        part = bank.only(kinds)
        if not part.size or k < 1:
            return []
        ranking = self.policy.rank(query, part, SPARE * k if self.settings.learn else k)
        cosine = np.clip(part.vectors("state", ranking.positions) @ query.state, 0, 1)
        near = cosine >= self.settings.min_relevance
        ids = part.ids(ranking.positions[near])
        rows = zip(ids, ranking.scores[near], cosine[near], strict=True)
        return [
            Considered(case_id=id, shown=True, probability=1.0, score=float(score), features=(1.0, float(c)))
            for id, score, c in rows
        ]

    def _chosen(self, found: list[Considered], k: int, value: EffectModel) -> list[Considered]:
        return choose(found, k, value) if self.settings.learn else found[:k]

    def _remember_state(self, state: str) -> None:
        """Store the vector of a state that outcomes will refer to."""
        vector = self.memory.vectors.vectors([state])
        with self.memory.store.write() as connection:
            self.memory.vectors.store_vectors(connection, [text_hash(state)], vector)

    def _block(self, recall: Recall) -> Block | None:
        shown = [offer.case_id for offer in recall.offers if offer.shown]
        with self.memory.store.read() as connection:
            found = {c.id: c for c in self.memory.rows.existing(connection, self.namespace, ids=shown)}
        cases = [found[id] for id in shown if id in found and self._showable(found[id])]
        if not cases:
            return None
        places = {case.id: place for place, case in enumerate(cases)}
        offers = tuple(
            Offer(
                id=o.case_id,
                shown=o.case_id in places,
                probability=o.probability,
                score=o.score,
                position=places.get(o.case_id),
            )
            for o in recall.offers
        )
        return Block(
            kind="cases",
            target=self.policies.target,
            version=recall.version,
            text=render(cases),
            offers=offers,
            untrusted=any(not case.trusted for case in cases),
        )

    def _showable(self, case: Case) -> bool:
        """Checked again on the row itself, since the case may have been quarantined after it was chosen."""
        return case.status == "active" and (case.trusted or not self.settings.strict)


def choose(found: list[Considered], k: int, value: EffectModel) -> list[Considered]:
    """The k cases of a ranking to offer, each with the probability of showing it.

    The ranking decides between cases about which nothing is known; the known effect of a case moves it up or down.
    """
    if not found:
        return []
    mean, deviation = value.judge([item.case_id for item in found], np.array([item.features for item in found]))
    chance = value.probabilities(mean, deviation)
    order = np.argsort(-(mean - _RANK * np.arange(len(found))), kind="stable")[:k]
    return [replace(found[i], probability=float(chance[i])) for i in order]


def run_seed(run_id: str, memory: str) -> int:
    """A seed that belongs to the run, so that repeated calls draw the same."""
    return int.from_bytes(hashlib.blake2b(f"{memory}:{run_id}".encode(), digest_size=8).digest(), "little")
