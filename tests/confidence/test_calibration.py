"""Confidence: calibrated on outcomes, honest about how many it needs, kept in the ledger."""

from __future__ import annotations

import random

import pytest

from agentkit.confidence import (
    CalibrationStore,
    Features,
    assessor_for,
    auroc,
    cross_fitted,
    fit,
    risk_coverage,
    threshold_for,
)
from agentkit.errors import DataError, UserError
from agentkit.ledger import Ledger
from agentkit.store import Store


def outcomes(n: int, *, seed: int = 0, useful: bool = True) -> tuple[list[Features], list[float]]:
    """Answers that are right with the probability that their tokens have, or whatever they have."""
    rng = random.Random(seed)
    features, scores = [], []
    for _ in range(n):
        share = rng.uniform(0.05, 0.99)
        total = rng.uniform(-3, 0) if not useful else -2 * (1 - share) * 1.5
        features.append(Features(total=total, lowest=total, entropy=-0.1, free=0.0))
        scores.append(float(rng.random() < share))
    return features, scores


def test_a_calibration_tells_right_answers_from_wrong_ones_that_it_did_not_see() -> None:
    features, scores = outcomes(400)
    table = risk_coverage(cross_fitted(features, scores), scores)
    assert table.auroc is not None
    assert table.auroc > 0.75
    assert table.half > table.points[0].accuracy + 0.1


def test_signals_that_tell_nothing_tell_nothing_of_answers_that_were_not_seen() -> None:
    rng, areas = random.Random(3), list[float]()
    for _ in range(20):
        noise = [[rng.gauss(0, 1) for _ in Features.names()] for _ in range(60)]
        features = [Features(**dict(zip(Features.names(), row, strict=True))) for row in noise]
        scores = [float(rng.random() < 0.5) for _ in features]
        area = auroc(cross_fitted(features, scores), scores)
        assert area is not None
        areas.append(area)
    assert sum(areas) / len(areas) < 0.55


def test_its_probabilities_are_those_of_the_outcomes() -> None:
    features, scores = outcomes(2000)
    found = fit(features, scores, model="m")
    sure = [score for item, score in zip(features, scores, strict=True) if found.probability(item) > 0.8]
    assert sum(sure) / len(sure) == pytest.approx(0.9, abs=0.07)


def test_signals_that_tell_nothing_give_the_share_of_right_answers() -> None:
    features, scores = outcomes(2000, useful=False)
    found = fit(features, scores, model="m")
    assert found.probability(features[0]) == pytest.approx(sum(scores) / len(scores), abs=0.08)


@pytest.mark.parametrize(("right", "wrong"), [(20, 19), (40, 4), (3, 60)])
def test_too_few_outcomes_are_refused_with_the_number_that_is_needed(right: int, wrong: int) -> None:
    features, _ = outcomes(right + wrong)
    with pytest.raises(DataError, match=f"{right} right and {wrong} wrong; 40 are needed, at least 5 of each kind"):
        fit(features, [1.0] * right + [0.0] * wrong, model="m")


def test_an_error_that_was_asked_for_is_kept_on_new_answers_in_most_draws() -> None:
    broken = 0
    for seed in range(40):
        features, scores = outcomes(300, seed=seed)
        confidences = cross_fitted(features, scores)
        threshold = threshold_for(confidences, scores, max_error=0.25)
        if threshold is None:
            continue
        found = fit(features, scores, model="m")
        fresh, truth = outcomes(2000, seed=1000 + seed)
        kept = [score for item, score in zip(fresh, truth, strict=True) if found.probability(item) >= threshold]
        broken += 1 - sum(kept) / len(kept) > 0.25
    assert broken <= 8  # one in ten may break it


def test_an_error_that_can_t_be_shown_has_no_threshold() -> None:
    assert threshold_for([0.9] * 10, [1.0] * 10, max_error=0.05) is None
    assert threshold_for([0.9] * 60, [1.0] * 60, max_error=0.05) == 0.9


def test_thresholds_are_tried_from_the_highest_down_until_one_can_t_be_shown() -> None:
    """Errors among the most confident answers are not outweighed by right answers further down."""
    falling = [1 - place / 1000 for place in range(300)]
    assert threshold_for(falling, [0.0] * 5 + [1.0] * 295, max_error=0.25) is None
    assert threshold_for(falling, [1.0] * 100 + [0.0] * 200, max_error=0.25) == pytest.approx(falling[124], abs=0.02)


def test_answers_of_one_confidence_are_given_or_declined_together() -> None:
    confidences, scores = [0.9] * 30 + [0.5] * 40, [1.0] * 50 + [0.0] * 20
    assert threshold_for(confidences, scores, max_error=0.1) == 0.9


def test_the_threshold_is_that_of_the_largest_error_below_the_wanted_one(store: Store) -> None:
    kept = CalibrationStore(store, "default")
    kept.save(fit(*outcomes(100), model="m"), {"0.05": 0.9, "0.1": 0.7, "0.2": 0.5}, source="eval")
    floors = [assessor_for(kept, "m", max_error=error).floor for error in (0.05, 0.15, 0.2, 0.4)]
    assert floors == [0.9, 0.7, 0.5, 0.5]
    assert assessor_for(kept, "m", max_error=0.2, decline_below=0.8).floor == 0.8
    assert assessor_for(kept, "m").floor is None
    with pytest.raises(UserError, match=r"under 0\.01 \(the lowest possible is 0\.05\)"):
        assessor_for(kept, "m", max_error=0.01)


def test_auroc_is_one_half_for_one_confidence_and_unknown_for_one_kind_of_outcome() -> None:
    assert auroc([0.5, 0.5], [1.0, 0.0]) == 0.5
    assert auroc([0.5, 0.6], [1.0, 1.0]) is None


def test_calibrations_are_changes_that_can_be_taken_back(store: Store) -> None:
    kept = CalibrationStore(store, "default")
    assert kept.current() is None
    first = fit(*outcomes(100), model="m")
    second = fit(*outcomes(100, seed=7), model="m")
    assert kept.save(first, {"0.1": 0.8}, source="eval-1") == 1
    assert kept.save(first, {"0.1": 0.8}, source="eval-1") == 1  # the same again changes nothing
    assert kept.save(second, {}, source="eval-2") == 2
    assert kept.rollback(1) == 3
    current = kept.current()
    assert current is not None
    assert (current.calibration, current.thresholds, current.version) == (first, {"0.1": 0.8}, 3)
    assert Ledger(store).verify("calibration:default") == 3
    with pytest.raises(UserError, match="no version 9"):
        kept.at(9)
