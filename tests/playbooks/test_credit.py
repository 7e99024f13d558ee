"""Credit: effects from randomised runs tell helpful, neutral and harmful bullets apart where votes can't."""

from __future__ import annotations

import random

import pytest

from agentkit.playbooks import PlaybookLearner, PlaybookRecaller, PlaybookStore, Withholding
from agentkit.playbooks.credit import Cell, Effect, auroc, estimate_effects
from agentkit.playbooks.evidence import UsageLog
from agentkit.protocols import Offer
from agentkit.store import Store
from tests.support.playbook_world import PlantedWorld, Roles, UnevenWorld, credit_and_votes, plant


def cell(shown: bool, runs: int, total: float, probability: float) -> Cell:
    return Cell(bullet_id="b", shown=shown, probability=probability, runs=runs, mass=runs, squares=runs, total=total)


def cells(shown: tuple[int, float], withheld: tuple[int, float], probability: float = 0.5) -> list[Cell]:
    return [cell(True, *shown, probability), cell(False, *withheld, probability)]


def test_nothing_known_is_no_effect_with_the_widest_interval() -> None:
    assert estimate_effects([]) == {}
    only_shown = estimate_effects([cell(True, 50, 50, 0.9)])["b"]
    assert only_shown.mean == 0 and only_shown.interval()[0] < -0.9 and not only_shown.harmful()


def test_runs_that_could_not_have_gone_the_other_way_say_nothing() -> None:
    assert estimate_effects([cell(True, 50, 50, 1.0)]) == {}


def test_a_harmful_bullet_is_known_by_its_upper_bound() -> None:
    effect = estimate_effects(cells((40, 4), (40, 36)))["b"]
    assert effect.mean < -0.6 and effect.harmful()
    assert not estimate_effects(cells((40, 18), (40, 20)))["b"].harmful()


def test_ninety_percent_intervals_hold_the_truth_about_nine_times_in_ten() -> None:
    rng, held, rounds = random.Random(0), 0, 600
    for _ in range(rounds):
        base, effect = rng.uniform(0.2, 0.6), rng.uniform(-0.2, 0.3)
        sides = {True: [0, 0.0], False: [0, 0.0]}
        for _ in range(200):
            shown = rng.random() < 0.75
            sides[shown][0] += 1
            sides[shown][1] += rng.random() < base + effect * shown
        made = [cell(shown, int(n), total, 0.75) for shown, (n, total) in sides.items()]
        low, high = estimate_effects(made)["b"].interval(0.9)
        held += low <= effect <= high
    assert 0.86 <= held / rounds <= 0.95


def test_exposures_count_once_a_run(store: Store) -> None:
    evidence = UsageLog(store, "playbook:x")
    offers = [Offer(id="a", probability=0.8), Offer(id="b", shown=False, probability=0.8), Offer(id="c")]
    for _ in range(3):
        evidence.expose("run", offers, 1.0)
    assert sorted((found.bullet_id, found.shown, found.runs) for found in evidence.cells()) == [
        ("a", True, 1),
        ("b", False, 1),
    ]


async def test_effects_tell_bullets_apart_where_votes_by_outcome_mislead(store: Store) -> None:
    credit, votes = await credit_and_votes(PlaybookStore.open(store, "credit"), UnevenWorld(seed=1), runs=400)
    assert credit >= 0.95 and votes < 0.8


async def test_a_bullet_whose_effect_is_surely_negative_is_retired(store: Store) -> None:
    world = PlantedWorld(1, guess=0.9)
    book = PlaybookStore.open(store, "retire")
    plant(book, [world.harmful("amber"), world.neutral("amber")])
    recaller = PlaybookRecaller(book, withholding=Withholding(share=0.8, masks=4, depth=2))
    learner = PlaybookLearner(book)
    for n in range(120):
        block = recaller.recall_now(world.task(n).input, run_id=f"r{n}")
        await learner.learn(world.episode(world.task(n), block, run_id=f"r{n}"), call=Roles(lambda prompt: []))
    assert [bullet.content for bullet in book.current().retired] == [world.harmful("amber")]
    retired = book.blame(book.current().retired[0].id)[-1]
    assert retired.operation == "retire" and retired.role == "learner"


def test_auroc_counts_ties_half() -> None:
    assert auroc({"a": 1.0, "b": 0.0}, ["a"], ["b"]) == 1
    assert auroc({}, ["a"], ["b"]) == 0.5
    assert Effect(mean=0.1, deviation=0.01).interval()[0] > 0
    with pytest.raises(ZeroDivisionError):
        auroc({}, [], ["b"])
