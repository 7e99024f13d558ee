"""The growing memory (protocol D): four cases shown, one reward for the set, three passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentkit.memory import Case, CaseMemory, Filters, MemoryRecaller, RecallSettings, load_policy
from agentkit.memory.query import Query
from benchmarks._results import Results, mean
from benchmarks.case_retrieval import K, memory_of

Array = NDArray[np.float64]
PASSES = 3


def run(cases: list[Case], related: Array, embedder: Any, results: Results, *, seeds: int) -> None:
    """Every arm answers all queries in three passes; a query never sees its own case, nor a map fitted on it."""
    place = {case.id: i for i, case in enumerate(cases)}
    curves: dict[str, list[list[Array]]] = {}
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(cases))
        arriving = [cases[i] for i in order]
        for name in ("random", "dense", "masked-terms", "fused"):
            curves.setdefault(name, []).append(_fixed(arriving, related, place, embedder, name))
        curves.setdefault("similarity + scalar Q", []).append(_scalar_q(arriving, related, place, embedder, seed))
        curves.setdefault("learned", []).append(_learned(arriving, related, place, embedder, seed))
    for name, found in curves.items():
        for number in range(PASSES):
            each = [float(passes[number].mean()) for passes in found]
            target = "> 0.508" if name == "learned" and number == PASSES - 1 else ""
            results.add(arm=name, metric=f"mean relevance, pass {number + 1}", **mean(each), target=target)
    results.note(f"intervals over {seeds} orders of arrival and draws of the rewards; rewards are one coin for the set")


def _gain(related: Array, place: dict[str, int], case: Case, ids: list[str]) -> float:
    return float(related[place[case.id], [place[id] for id in ids]].mean()) if ids else 0.0


def _fixed(cases: list[Case], related: Array, place: dict[str, int], embedder: Any, name: str) -> list[Array]:
    """A policy that no reward changes: passes two and three are alike."""
    memory, policy = memory_of([], embedder), load_policy(name)
    passes = []
    for number in range(2):
        gains = []
        for case in cases:
            bank = memory.bank(Filters(exclude_state=case.state))
            ranking = policy.rank(Query(case.state, memory.vectors, seed=f"{number}{case.id}"), bank, K)
            gains.append(_gain(related, place, case, bank.ids(ranking.positions)))
            if number == 0:
                memory.add(case)
        passes.append(np.array(gains))
    return [*passes, passes[-1]]


def _scalar_q(cases: list[Case], related: Array, place: dict[str, int], embedder: Any, seed: int) -> list[Array]:
    """One scalar value a case, an even mix with similarity, ε = 0.1, the set's reward given to each shown (MemRL)."""
    memory, rng, q = memory_of([], embedder), np.random.default_rng(seed), dict[str, float]()
    passes = []
    for number in range(PASSES):
        gains = []
        for case in cases:
            bank = memory.bank(Filters(exclude_state=case.state))
            ranking = bank.nearest("state", Query(case.state, memory.vectors).state, bank.size)
            ids = bank.ids(ranking.positions)
            scores = 0.5 * ranking.scores + 0.5 * np.array([q.get(id, 0.0) for id in ids])
            best = rng.permutation(len(ids)) if rng.random() < 0.1 else np.argsort(-scores, kind="stable")
            chosen = [ids[i] for i in best[:K]]
            gains.append(_gain(related, place, case, chosen))
            reward = 2.0 * (rng.random() < gains[-1]) - 1
            q |= {id: q.get(id, 0.0) + 0.3 * (reward - q.get(id, 0.0)) for id in chosen}
            if number == 0:
                memory.add(case)
        passes.append(np.array(gains))
    return passes


def _learned(cases: list[Case], related: Array, place: dict[str, int], embedder: Any, seed: int) -> list[Array]:
    """The shipped recaller with its judgement, withholding and all; outcomes go through the ledger."""
    memory: CaseMemory = memory_of([], embedder)
    settings = RecallSettings(successes=K, failures=0, policy="fused", reuse_same=False)
    recaller, rng, passes = MemoryRecaller(memory, settings=settings), np.random.default_rng(seed), []
    for number in range(PASSES):
        gains = []
        for case in cases:
            run_id = f"{number}-{case.id}-{seed}"
            block = recaller.recall_now(case.state, run_id=run_id)
            shown = [offer.id for offer in block.offers if offer.shown] if block else []
            gains.append(_gain(related, place, case, shown))
            recaller.policies.learn(run_id, "default", float(rng.random() < gains[-1]))
            if number == 0:
                memory.add(replace(case, run_id=None))
        passes.append(np.array(gains))
    return passes
