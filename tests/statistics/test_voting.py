"""A vote ends when those still to come would hardly change it."""

from __future__ import annotations

import random

import pytest

from agentkit.statistics.voting import keeps_lead, worth_another


def test_a_lead_that_nobody_can_catch_up_with_is_certain() -> None:
    assert keeps_lead([4], 8) == 1.0  # four that are left could only draw level, and a tie is the leader's
    assert keeps_lead([3, 1], 6) == 1.0
    assert keeps_lead([1, 1], 2) == 1.0


def test_the_chance_is_that_of_the_beta_binomial() -> None:
    # one vote of eight: with a flat prior another is for it with chance (k + 1) / 36 for k of seven
    assert keeps_lead([1], 8) == pytest.approx(sum(k + 1 for k in range(3, 8)) / 36)
    assert keeps_lead([2], 8) == pytest.approx(80 / 84)


def test_a_share_that_is_known_before_counts() -> None:
    assert not worth_another([1], 8, share=0.97)
    assert worth_another([1], 8, share=0.5)
    assert keeps_lead([2], 8, share=0.2) < keeps_lead([2], 8) < keeps_lead([2], 8, share=0.9)


def test_more_agreement_and_fewer_left_make_it_surer() -> None:
    assert keeps_lead([3], 8) > keeps_lead([2], 8) > keeps_lead([1], 8)
    assert keeps_lead([3, 2], 6) > keeps_lead([3, 2], 8)
    assert worth_another([2, 2], 8)


def test_in_a_recorded_world_it_finds_the_majority_of_eight_with_far_fewer_than_random_stopping() -> None:
    """Items with a most frequent answer of some share, which is often the right one, and comes first."""
    rng = random.Random(5)
    auto, full, chance, drawn = [], [], [], []
    for _ in range(3000):
        share, right = rng.choices([(0.97, 0.95), (0.75, 0.75), (0.4, 0.4)], [6, 2, 2])[0]
        modal_right = rng.random() < right
        answers = ["modal"] + [_answer(rng, share) for _ in range(7)]
        taken = next((n for n in range(1, 8) if not worth_another(_votes(answers[:n]), 8, share=share)), 8)
        random_stop = min(8, 1 + _geometric(rng, 0.5))
        drawn.append(taken)
        for scores, n in ((auto, taken), (full, 8), (chance, random_stop)):
            scores.append(_score(_winner(answers[:n]), modal_right))
    mean = sum(drawn) / len(drawn)
    accuracy, most, control = (sum(scores) / len(scores) for scores in (auto, full, chance))
    agree = [sum(a == b for a, b in zip(one, full, strict=True)) for one in (auto, chance)]
    assert mean <= 2.5
    assert abs(accuracy - most) <= 0.01
    assert agree[0] > agree[1], (accuracy, most, control)


def _answer(rng: random.Random, share: float) -> str:
    return "modal" if rng.random() < share else rng.choice("abc")


def _geometric(rng: random.Random, stop: float) -> int:
    n = 0
    while rng.random() > stop:
        n += 1
    return n


def _votes(answers: list[str]) -> list[int]:
    return [answers.count(answer) for answer in dict.fromkeys(answers)]


def _winner(answers: list[str]) -> str:
    return max(dict.fromkeys(answers), key=answers.count)


def _score(winner: str, modal_right: bool) -> float:
    """The right answer is the most frequent one, else `a`."""
    return float(winner == ("modal" if modal_right else "a"))
