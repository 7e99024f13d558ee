"""What the router goes by: outcomes of the same kind and model, enough of them, and help that is not chance."""

from __future__ import annotations

import pytest

from agentkit.graph.effort import Asking, Decision, Situation
from agentkit.routing import EffortOutcome, EffortRecord, LearnedRouter, Levels, levels_of
from agentkit.routing.router import LEAST
from agentkit.routing.worth import LEAST_ASKED
from agentkit.store import Store
from agentkit.tasks import Task


@pytest.fixture
def router(store: Store) -> LearnedRouter:
    return LearnedRouter(store)


def situation(router: LearnedRouter, run_id: str, *, model: str = "m", explores: bool = False) -> Situation:
    """A plain task in a run that has begun."""
    task = Task(id=run_id, input="…")
    router.log.start(run_id, task, model=model, options={})
    return Situation(run_id=run_id, task=task, tools=(), planning=False, model=model, explores=explores, evaluator="e")


def seen(record: EffortRecord, mode: str, right: int, wrong: int, **more: object) -> None:
    for place in range(right + wrong):
        outcome = EffortOutcome(
            run=f"{mode}-{place}", kind="plain", model="m", mode=mode, score=float(place < right), tokens=9, seconds=1
        )
        record.learn(EffortOutcome(**{**outcome.to_json(), **more}), key=f"{mode}-{place}")


def heard(kept: int, spoilt: int, mended: int, missed: int) -> list[EffortOutcome]:
    """Outcomes of runs whose evaluator was asked, by what became of right answers and of wrong ones."""
    pairs = [(1.0, 1.0)] * kept + [(1.0, 0.0)] * spoilt + [(0.0, 1.0)] * mended + [(0.0, 0.0)] * missed
    return [
        EffortOutcome(
            run=f"r{n}",
            kind="plain",
            model="m",
            mode="instant",
            score=second,
            evaluator="e",
            first=first,
            second=second,
        )
        for n, (first, second) in enumerate(pairs)
    ]


def asks(router: LearnedRouter, outcomes: list[EffortOutcome], confidence: float | None = 0.3) -> Asking:
    for outcome in outcomes:
        router.record.learn(outcome, key=outcome.run)
    found = router.asks(situation(router, "asking"), confidence)
    assert found is not None
    return found


def test_what_another_model_came_to_says_nothing_about_this_one(router: LearnedRouter) -> None:
    seen(router.record, "instant", 1, 29)
    seen(router.record, "reasoning", 30, 0)
    own, other = situation(router, "own"), situation(router, "other", model="another")
    assert router.choose(own).mode == "reasoning" and router.may_change(own)
    assert router.choose(other) == Decision(mode="instant", why="no tool can matter")
    assert not router.may_change(other)


@pytest.mark.parametrize(("used", "word"), [(True, "drawn with"), (False, "the best by that")])
def test_modes_are_tried_only_where_it_becomes_known_in_use_how_runs_went(
    router: LearnedRouter, used: bool, word: str
) -> None:
    seen(router.record, "instant", 5, 25, used=used)
    seen(router.record, "reasoning", 25, 5, used=used)
    assert word in router.choose(situation(router, "r", explores=True)).why


def test_a_few_outcomes_leave_the_rules_in_force(router: LearnedRouter) -> None:
    seen(router.record, "reasoning", LEAST - 1, 0)
    assert router.choose(situation(router, "early")).why == "no tool can matter"


def test_a_mode_that_was_tried_too_seldom_is_not_taken_for_the_better_one(router: LearnedRouter) -> None:
    seen(router.record, "instant", 2, 28)
    seen(router.record, "reasoning", 3, 0)
    assert router.choose(situation(router, "r")).mode == "instant"
    assert router.higher(situation(router, "up"), 0.1) is None


def test_an_evaluator_that_mends_wrong_answers_is_asked_about_unsure_ones(router: LearnedRouter) -> None:
    outcomes = heard(kept=12, spoilt=1, mended=8, missed=1)
    assert asks(router, outcomes).asked
    assert "this answer is sure enough" in router.asks(situation(router, "sure"), 0.99).why  # type: ignore[union-attr]
    assert "is not known" in router.asks(situation(router, "blind"), None).why  # type: ignore[union-attr]


def test_an_evaluator_whose_help_may_be_chance_is_not_asked(router: LearnedRouter) -> None:
    found = asks(router, heard(kept=15, spoilt=1, mended=2, missed=6))
    assert not found.asked and "+0.04, at least -0.09: that it helps is not shown" in found.why


def test_an_evaluator_that_was_heard_on_few_answers_is_not_asked(router: LearnedRouter) -> None:
    found = asks(router, heard(kept=0, spoilt=0, mended=LEAST_ASKED - 1, missed=0))
    assert not found.asked and f"on {LEAST_ASKED - 1} answers only; {LEAST_ASKED} are needed" in found.why


def levels(kept: int, spoilt: int, mended: int, missed: int) -> Levels:
    found = levels_of(heard(kept, spoilt, mended, missed))
    assert found is not None
    return found


def test_levels_are_those_of_the_paper() -> None:
    """Confidence v. Critique: of 8 right answers 6 stay so, of 4 wrong ones 3 are mended."""
    found = levels(kept=6, spoilt=2, mended=3, missed=1)
    assert (found.n, found.before, found.after) == (12, pytest.approx(8 / 12), pytest.approx(9 / 12))
    assert (found.confidence, found.critique, found.effect) == (0.75, 0.75, pytest.approx(1 / 12))
    assert found.relative == pytest.approx((9 / 12 - (8 / 12) ** 2) / (2 * (8 / 12) * (4 / 12)))
    assert levels_of([]) is None


def test_few_answers_say_little_about_how_sure_an_answer_must_be() -> None:
    """By Laplace's rule: 10 of 10 kept count as 11 in 12, and no wrong answer at all as one in two mended."""
    assert levels(kept=10, spoilt=0, mended=0, missed=0).limit == pytest.approx(0.5 / (0.5 + 1 / 12))
    assert levels(kept=1000, spoilt=0, mended=500, missed=500).limit > 0.99
