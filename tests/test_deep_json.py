"""Text that begins as JSON and is nested too deeply for any reader is text, wherever it comes from."""

from __future__ import annotations

import pytest

from agentkit.answer_type import AnswerType
from agentkit.cli.agent_options import read_options
from agentkit.evolution.trials import _answer_in
from agentkit.memory.text import plan_steps
from agentkit.models.union import Union, read_union

DEEP = "[" * 100_000


def test_a_plan_of_a_case_is_taken_as_its_text() -> None:
    assert plan_steps(DEEP) == (DEEP,)


def test_a_models_call_is_no_call() -> None:
    message = read_union(DEEP, Union((), frozenset(), text=False))
    assert not message.tool_calls
    assert message.invalid_tool_calls[0]["error"] == "not JSON"


def test_an_answer_is_none_of_its_type() -> None:
    with pytest.raises(ValueError, match="is not JSON"):
        AnswerType.of(list[int]).read(DEEP)


def test_an_option_of_a_model_is_text() -> None:
    assert read_options([f"stop={DEEP}"]) == {"stop": DEEP}


def test_an_answer_in_a_trial_is_text() -> None:
    assert _answer_in(DEEP) == DEEP
