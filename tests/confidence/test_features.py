"""What is read off a run: signals that are larger where an answer is likelier right; nothing where nothing is known."""

from __future__ import annotations

import math

import pytest

from agentkit.confidence import Assessor, Calibration, Features, agreement_of, features_of, features_of_calls
from agentkit.json_types import JsonObject
from agentkit.models.logprobs import FieldLogprobs, Logprobs


def told(total: float = -1.0, **choices: float) -> Logprobs:
    field = FieldLogprobs(tokens=4, total=total, lowest=-0.7, entropy=0.3, forced=1)
    thoughts = FieldLogprobs(tokens=90, total=-50.0, lowest=-5.0, entropy=1.0, forced=0)
    return Logprobs(fields={"answer": field, "reasoning": thoughts}, choices=choices)


def call(role: str, logprobs: Logprobs | None, scope: str = "explore:0") -> JsonObject:
    response = {} if logprobs is None else {"logprobs": logprobs.to_json()}
    return {"role": role, "scope": scope, "response": response}


def test_an_answer_s_own_tokens_are_its_signals_and_not_its_thoughts() -> None:
    assert features_of(told()) == Features(total=-1.0, lowest=-0.7, entropy=-0.3, free=-0.25)
    assert features_of(None) is None
    assert features_of(Logprobs(fields={})) is None


def test_what_was_not_asked_says_neither_yes_nor_no() -> None:
    asked = features_of(told(), judge=0.9, agreement=0.25)
    assert asked is not None and (asked.judge, asked.agreement) == (pytest.approx(0.4), -0.25)
    silent = features_of(told())
    assert silent is not None and (silent.judge, silent.agreement, silent.margin) == (0.0, 0.0, 0.0)


def test_the_margin_is_that_of_the_chosen_one_and_finite_where_nothing_else_is_likely() -> None:
    near, sure = features_of(told(yes=0.75, no=0.25)), features_of(told(yes=1.0, no=0.0))
    assert near is not None and near.margin == pytest.approx(math.log(3))
    assert sure is not None and 9 < sure.margin < 10


def test_a_run_s_features_are_those_of_the_explorer_s_last_answer() -> None:
    calls = [call("explorer", told(-3.0)), call("explorer", told(-2.0)), call("evaluator", told(-1.0))]
    found = features_of_calls([*calls, call("explorer", None)])
    assert found is not None and found.total == -2.0
    assert features_of_calls([call("evaluator", told())]) is None


def test_of_several_samples_those_of_the_answer_that_won_count() -> None:
    calls = [call("explorer", told(-3.0), "explore:0/s0"), call("explorer", told(-2.0), "explore:0/s1")]
    found = features_of_calls(calls, samples={"scope": "explore:0/s0", "drawn": 5, "agree": 4})
    assert found is not None and (found.total, found.agreement) == (-3.0, 0.25)


def test_one_sample_agrees_with_nobody() -> None:
    assert agreement_of(None) is None
    assert agreement_of({"drawn": 1, "agree": 1}) is None
    assert agreement_of({"drawn": 5, "agree": 5}) == 1.0
    assert agreement_of({"drawn": 5, "agree": 1}) == 0.0


def test_what_is_not_known_is_never_declined() -> None:
    zeros = dict.fromkeys(Features.names(), 0.0)
    scales = dict.fromkeys(Features.names(), 1.0)
    even = Calibration(
        model="m", weights=zeros | {"total": 1.0}, intercept=0.0, means=zeros, scales=scales, outcomes=40, right=20
    )
    strict = Assessor(calibration=even, floor=0.5)
    assert strict.confidence(None) is None and not strict.declines(None)
    assert Assessor().confidence(features_of(told())) is None
    sure = strict.confidence(features_of(told(-1.0)))
    assert sure == pytest.approx(1 / (1 + math.e)) and strict.declines(sure)
    assert not strict.declines(0.5) and not Assessor(calibration=even).declines(0.0)
