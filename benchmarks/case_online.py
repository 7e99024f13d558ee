"""The growing memory (protocol D): four cases shown, one reward for the set, three passes."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentkit.memory import Case, Filters, load_policy
from agentkit.memory.exposures import Considered, Recall
from agentkit.memory.policy_store import take_in
from agentkit.memory.query import Query
from agentkit.memory.recaller import SPARE, choose
from agentkit.memory.value import EffectModel, ValueSettings
from benchmarks._results import Results, mean, paired
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
            ranked = rankings(arriving, embedder, name)
            curves.setdefault(name, []).append(_shown_as_ranked(arriving, ranked, related, place))
        curves.setdefault("fused, learned", []).append(learned(arriving, ranked, related, place, seed))
        curves.setdefault("similarity + scalar Q", []).append(_scalar_q(arriving, related, place, embedder, seed))
        print(
            f"seed {seed}",
            {name: round(float(found[-1][-1].mean()), 4) for name, found in curves.items()},
            file=sys.stderr,
            flush=True,
        )
    for name, found in curves.items():
        for number in range(PASSES):
            each = [float(passes[number].mean()) for passes in found]
            target = "> 0.508" if "learned" in name and number == PASSES - 1 else ""
            results.add(arm=name, metric=f"mean relevance, pass {number + 1}", **mean(each), target=target)
    last = [[float(passes[-1].mean()) for passes in curves[name]] for name in ("fused, learned", "fused")]
    results.add(arm="fused, learned", metric="gain over fused, pass 3", **paired(*last))
    results.note(f"intervals over {seeds} orders of arrival and draws of the rewards; rewards are one coin for the set")


def _gain(related: Array, place: dict[str, int], case: Case, ids: list[str]) -> float:
    return float(related[place[case.id], [place[id] for id in ids]].mean()) if ids else 0.0


def rankings(cases: list[Case], embedder: Any, name: str) -> list[list[list[Considered]]]:
    """What a policy ranks first for each query of each pass; rewards change no ranking, so passes 2 and 3 are the
    same."""
    memory, policy = memory_of([], embedder), load_policy(name)
    passes = []
    for number in range(2):
        found = []
        for case in cases:
            query = Query(case.state, memory.vectors, seed=f"{number}{case.id}")
            bank = memory.bank(Filters(exclude_state=case.state))
            ranking = policy.rank(query, bank, SPARE * K)
            cosine = np.clip(bank.vectors("state", ranking.positions) @ query.state, 0, 1)
            rows = zip(bank.ids(ranking.positions), ranking.scores, cosine, strict=True)
            found.append(
                [
                    Considered(case_id=id, shown=True, probability=1.0, score=float(score), features=(1.0, float(c)))
                    for id, score, c in rows
                ]
            )
            if number == 0:
                memory.add(case)
        passes.append(found)
    return [*passes, passes[-1]]


def _shown_as_ranked(
    cases: list[Case], ranked: list[list[list[Considered]]], related: Array, place: dict[str, int]
) -> list[Array]:
    return [
        np.array(
            [
                _gain(related, place, case, [item.case_id for item in found[:K]])
                for case, found in zip(cases, every, strict=True)
            ]
        )
        for every in ranked
    ]


def learned(
    cases: list[Case],
    ranked: list[list[list[Considered]]],
    related: Array,
    place: dict[str, int],
    seed: int,
    settings: ValueSettings | None = None,
) -> list[Array]:
    """The shipped judgement on top of a ranking: it chooses, withholds and learns as the recaller does."""
    value, rng, passes = EffectModel(settings=settings or ValueSettings()), np.random.default_rng(seed), []
    for number, every in enumerate(ranked):
        gains = []
        for case, found in zip(cases, every, strict=True):
            offers = tuple(replace(o, shown=bool(rng.random() < o.probability)) for o in choose(found, K, value))
            gains.append(_gain(related, place, case, [offer.case_id for offer in offers if offer.shown]))
            recall = Recall(
                run_id=f"{number}-{case.id}", namespace="", policy="fused", version=0, state_hash="", offers=offers
            )
            take_in(value, recall, float(rng.random() < gains[-1]))
        passes.append(np.array(gains))
    return passes


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
