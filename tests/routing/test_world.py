"""A world without a model: tasks of four kinds, of which each mode's chance and cost is known, and what routing makes
of it beside the best single mode and beside chance."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from agentkit.graph.effort import Decision, Mode, Situation
from agentkit.routing import EffortOutcome, EffortRecord, LearnedRouter, levels_of
from agentkit.routing.outcomes import kind_in
from agentkit.store import Store
from agentkit.tasks import Task


class Cell(NamedTuple):
    """What a mode is to a kind of task."""

    right: float
    tokens: float
    seconds: float


WORLD: dict[str, dict[Mode, Cell]] = {
    "sort": {"instant": Cell(0.8, 400, 1), "reasoning": Cell(0.76, 600, 6), "agentic": Cell(0.74, 900, 4)},
    "formula": {"instant": Cell(0.35, 300, 1), "reasoning": Cell(0.7, 700, 8), "agentic": Cell(0.6, 1500, 9)},
    "look up": {"instant": Cell(0.15, 300, 1), "reasoning": Cell(0.2, 500, 6), "agentic": Cell(0.8, 1200, 6)},
    "code": {"instant": Cell(0.5, 500, 4), "reasoning": Cell(0.48, 900, 9), "agentic": Cell(0.5, 1200, 8)},
}
WITH_TOOLS = ("formula", "look up")
MODES: tuple[Mode, ...] = ("instant", "reasoning", "agentic")
TASKS = 360


def situation(kind: str, run_id: str, *, explores: bool = True) -> Situation:
    return Situation(
        run_id=run_id,
        task=Task(id=run_id, input="…", instructions=kind),
        tools=("calculator",) if kind in WITH_TOOLS else (),
        planning=False,
        model="m",
        explores=explores,
        evaluator="m",
    )


def taught(record: EffortRecord, asked: Situation, mode: str, score: float, cell: Cell, **more: object) -> None:
    outcome = EffortOutcome(
        run=asked.run_id,
        kind=kind_in(asked.task, asked.tools),
        model="m",
        mode=mode,
        score=score,
        tokens=cell.tokens,
        seconds=cell.seconds,
    )
    record.learn(EffortOutcome(**{**outcome.to_json(), **more}), key=asked.run_id)


@pytest.fixture
def router(store: Store) -> LearnedRouter:
    return LearnedRouter(store)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LearnedRouter, list[tuple[str, Decision]]]]:
    """A router after all tasks, and what it decided about each."""
    store = Store.open(tmp_path_factory.mktemp("world") / "agentkit.db")
    router = LearnedRouter(store)
    yield router, list(walk(router, 1))
    store.close()


def walk(router: LearnedRouter, seed: int) -> Iterator[tuple[str, Decision]]:
    """Tasks one after the other, each run's outcome learnt before the next begins."""
    rng, log = random.Random(seed), router.log
    for number in range(TASKS):
        kind = rng.choice(list(WORLD))
        asked = situation(kind, f"w{seed}-{number}")
        log.start(asked.run_id, asked.task, model="m", options={})
        decision = router.choose(asked)
        cell = WORLD[kind][decision.mode]
        taught(router.record, asked, decision.mode, float(rng.random() < cell.right), cell)
        yield kind, decision


Walked = tuple[LearnedRouter, list[tuple[str, Decision]]]


def test_it_reaches_the_best_mode_at_fewer_tokens_and_chance_does_not(walked: Walked) -> None:
    decisions = walked[1]
    assert {decision.mode for _, decision in decisions[:4]} <= {"instant", "agentic"}  # as rules have it
    late = decisions[TASKS // 2 :]
    kinds = [kind for kind, _ in late]

    def accuracy(modes: list[Mode]) -> float:
        return sum(WORLD[kind][mode].right for kind, mode in zip(kinds, modes, strict=True)) / len(kinds)

    def tokens(modes: list[Mode]) -> float:
        return sum(WORLD[kind][mode].tokens for kind, mode in zip(kinds, modes, strict=True)) / len(kinds)

    own = [decision.mode for _, decision in late]
    single: list[list[Mode]] = [[mode] * len(kinds) for mode in MODES]
    best = max(single, key=accuracy)
    rng = random.Random(2)
    mixed = rng.sample(own, len(own))  # the same modes as often, for other tasks
    assert accuracy(own) >= 0.95 * accuracy(best)
    assert tokens(own) <= 0.75 * tokens(best)
    assert accuracy(mixed) < 0.95 * accuracy(best) and accuracy(mixed) < accuracy(own) - 0.05
    assert all(0 < decision.probability <= 1 for _, decision in decisions)


def test_runs_that_teach_nothing_take_a_good_mode_and_leave_nothing_to_chance(walked: Walked) -> None:
    router = walked[0]
    log = router.log
    good = {"sort": ["instant"], "formula": ["reasoning", "agentic"], "look up": ["agentic"]}
    for kind, best in good.items():
        for number in range(5):
            asked = situation(kind, f"e{kind}{number}", explores=False)
            log.start(asked.run_id, asked.task, model="m", options={})
            decision = router.choose(asked)
            assert decision.mode in best and decision.probability == 1.0, kind


def test_going_up_pays_where_it_was_measured_to_and_more_than_at_random(router: LearnedRouter) -> None:
    """Instant answers are as often right as they are sure; thinking is right in .7, whatever the task."""
    rng, log = random.Random(4), router.log
    for number in range(30):
        asked = situation("formula", f"d{number}")
        taught(router.record, asked, "reasoning", float(number % 10 < 7), WORLD["formula"]["reasoning"])
    gained, sure, up = [], [], []
    for number in range(200):
        asked, confidence = situation("formula", f"u{number}"), rng.choice((0.1, 0.3, 0.5, 0.8, 0.95))
        log.start(asked.run_id, asked.task, model="m", options={})
        decision = router.higher(asked, confidence)
        assert decision is not None
        went = decision.mode != "instant"
        right = 0.7 if went else confidence
        mode = decision.mode if went else "instant"
        score = float(rng.random() < right)
        taught(router.record, asked, mode, score, WORLD["formula"][mode], sure=confidence, up=went)
        gained.append(right), sure.append(confidence), up.append(went)
    rate = sum(up) / len(up)
    never, at_random = sum(sure) / len(sure), sum(c + rate * (0.7 - c) for c in sure) / len(sure)
    mean = sum(gained) / len(gained)
    assert mean > at_random + 0.05 and mean > never + 0.05
    assert sum(u for u, c in zip(up, sure, strict=True) if c < 0.4) > 4 * sum(
        u for u, c in zip(up, sure, strict=True) if c > 0.9
    )


@pytest.mark.parametrize(("keeps", "mends", "asks"), [(0.75, 0.15, False), (0.98, 0.5, True)])
def test_the_evaluator_is_asked_where_it_was_measured_to_help_and_never_costs_accuracy(
    router: LearnedRouter, keeps: float, mends: float, asks: bool
) -> None:
    rng, log = random.Random(6), router.log

    def second(first: float) -> float:
        return float(rng.random() < (keeps if first else mends))

    for number in range(80):
        asked, first = situation("sort", f"m{number}"), float(rng.random() < 0.6)
        last = second(first)
        taught(router.record, asked, "instant", last, WORLD["sort"]["instant"], first=first, second=last, evaluator="m")
    levels = levels_of(router.record.outcomes())
    assert levels is not None and levels.n == 80 and (levels.effect > 0) == asks
    off, always, shipped, heard = 0.0, 0.0, 0.0, 0
    for number in range(400):
        asked, confidence = situation("sort", f"n{number}"), rng.choice((0.1, 0.3, 0.5, 0.7, 0.9, 0.99))
        log.start(asked.run_id, asked.task, model="m", options={})
        decision = router.asks(asked, confidence)
        assert decision is not None
        after = confidence * keeps + (1 - confidence) * mends
        off, always, heard = off + confidence, always + after, heard + decision.asked
        shipped += after if decision.asked else confidence
    assert shipped >= off
    assert shipped >= always
    assert (heard > 0) == asks and heard < 400
