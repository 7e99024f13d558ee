"""Intervals and tests of the reports agree with their textbook values."""

from __future__ import annotations

import pytest

from agentkit.statistics import estimates as stats


def test_the_wilson_interval_has_its_known_values() -> None:
    estimate = stats.wilson(8, 10)
    assert (round(estimate.low, 4), round(estimate.high, 4)) == (0.4902, 0.9433)


def test_no_hits_still_leave_room_for_doubt() -> None:
    assert stats.wilson(0, 20).low == 0 and stats.wilson(0, 20).high > 0.1


@pytest.mark.parametrize(("wins", "losses", "p"), [(5, 0, 0.0625), (9, 1, 0.0215), (0, 0, 1.0), (4, 4, 1.0)])
def test_mcnemar_is_the_exact_sign_test_on_discordant_pairs(wins: int, losses: int, p: float) -> None:
    assert stats.mcnemar_exact(wins, losses) == pytest.approx(p, abs=5e-4)


def test_a_paired_comparison_counts_wins_losses_and_ties() -> None:
    found = stats.paired([1, 1, 0, 1], [0, 1, 1, 0])
    assert (found.wins, found.losses, found.ties) == (2, 1, 1)
    assert found.difference.value == pytest.approx(0.25)
    assert found.difference.low <= 0.25 <= found.difference.high


def test_arms_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError):
        stats.paired([1.0], [1.0, 0.0])


def test_the_same_seed_gives_the_same_interval() -> None:
    assert stats.bootstrap_mean([0.1, 0.9, 0.4]) == stats.bootstrap_mean([0.1, 0.9, 0.4])


def test_the_bootstrap_interval_of_a_mean_is_about_two_standard_errors_to_each_side() -> None:
    found = stats.bootstrap_mean([0.0, 1.0] * 50)
    assert (found.low, found.high) == (pytest.approx(0.4, abs=0.015), pytest.approx(0.6, abs=0.015))


def test_partial_scores_get_a_bootstrap_interval_and_right_or_wrong_a_wilson_one() -> None:
    assert stats.proportion([0.25, 0.5, 1.0]).value == pytest.approx(0.5833, abs=1e-4)
    assert stats.proportion([1.0, 0.0]) == stats.wilson(1, 2)


def test_a_rising_series_has_a_positive_slope_whose_interval_excludes_zero() -> None:
    estimate = stats.slope([float(index) for index in range(40)])
    assert estimate.value == pytest.approx(1.0) and estimate.low > 0
