"""The sequential test decides early, errs no more often than it says, and may be watched all the time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.statistics.eprocess import Betting, PairedTest, mean_interval


def outcome_of(wins: float, losses: float, seed: int, pairs: int = 200) -> PairedTest:
    test, rng = PairedTest(), random.Random(seed)
    for _ in range(pairs):
        luck = rng.random()
        if test.add(1.0 if luck < wins else -1.0 if luck < wins + losses else 0.0) != "open":
            break
    return test


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_a_change_without_effect_is_called_better_in_at_most_five_percent_of_tests(rate: float) -> None:
    hits = sum(outcome_of(rate, rate, seed).outcome == "better" for seed in range(600))
    assert hits / 600 <= 0.05


def test_a_five_point_gain_is_found_in_two_hundred_pairs_with_power_above_eighty_percent() -> None:
    found = sum(outcome_of(0.05, 0.0, seed).outcome == "better" for seed in range(400))
    assert found / 400 >= 0.8


def test_six_wins_in_a_row_decide() -> None:
    test = PairedTest()
    assert [test.add(1.0) for _ in range(6)] == ["open"] * 5 + ["better"]


def test_losses_in_a_row_are_called_harm_and_not_merely_useless() -> None:
    whole, half = PairedTest(), PairedTest()
    assert [whole.add(-1.0) for _ in range(5)] == ["open"] * 4 + ["worse"]
    assert [half.add(-0.5) for _ in range(8)] == ["open"] * 7 + ["worse"]


def test_harm_ends_a_test_long_before_its_pairs_run_out() -> None:
    test = outcome_of(0.02, 0.4, 1)
    assert test.outcome in ("worse", "useless") and len(test.differences) < 40


def test_pairs_that_never_differ_end_as_useless() -> None:
    test = outcome_of(0.0, 0.0, 1)
    assert test.outcome == "useless" and len(test.differences) < 120


def test_an_outcome_once_reached_stays() -> None:
    test = PairedTest.of([1.0] * 8)
    for _ in range(50):
        test.add(-1.0)
    assert test.outcome == "better"


def test_a_test_is_hopeless_when_wins_on_all_that_remains_could_not_decide() -> None:
    test = PairedTest.of([-1.0, -1.0])
    assert test.hopeless(3) and not test.hopeless(60) and test.hopeless(0)


def test_evidence_carried_over_equals_evidence_taken_at_once() -> None:
    values = [1.0, 0.0, -1.0, 1.0, 0.5, 1.0]
    resumed = PairedTest.of(values[:3])
    for value in values[3:]:
        resumed.add(value)
    assert resumed.to_json() == PairedTest.of(values).to_json()


@given(st.lists(st.floats(-1, 1), max_size=60), st.floats(-0.9, 0.9))
def test_capital_is_never_negative(values: list[float], mean: float) -> None:
    bet = Betting(mean)
    assert all(bet.add(value) >= 0 for value in values)


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0]), min_size=1, max_size=40))
def test_the_interval_holds_the_mean_and_stays_in_range(values: list[float]) -> None:
    low, high = mean_interval(values)
    assert -1 <= low <= high <= 1
    assert low - 0.01 <= sum(values) / len(values) <= high + 0.01


def test_the_interval_misses_the_true_mean_no_more_often_than_it_says_at_whatever_moment_one_stops() -> None:
    missed = 0
    for seed in range(120):
        rng = random.Random(seed)
        values: list[float] = []
        for _ in range(60):
            values.append(1.0 if rng.random() < 0.3 else 0.0)
            if len(values) % 20 == 0:
                low, high = mean_interval(values)
                if not low <= 0.3 <= high:
                    missed += 1
                    break
    assert missed / 120 <= 0.05
