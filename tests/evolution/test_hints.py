"""A hinted attempt counts only where its work leads to the answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentkit.evolution.hints import earned, hinted, without_hint
from agentkit.protocols import Episode
from agentkit.tasks import Feedback, Task


def attempt(task: Task, *plan: str, answer: str | None = None) -> Episode:
    return Episode(run_id="r", task=task, labels="gold", answer=answer, plan=plan)


RATIO = Task(id="1", input="Return 14 %, risk-free 2.2 %, deviation 20 %: the Sharpe ratio?", target="0.59")


@pytest.mark.parametrize(
    ("plan", "right"),
    [
        (("calculator(expression=(14 - 2.2) / 20)",), True),
        (("calculator(expression=0.59)",), False),
        (("calculator(expression=(14 - 2.2) / 20)", "calculator(expression=0.590 * 1)"), False),
        ((), False),
    ],
)
def test_an_answer_must_be_worked_out(plan: tuple[str, ...], right: bool) -> None:
    assert earned(attempt(RATIO, *plan, answer="0.59"), RATIO) is right


def test_a_number_that_the_task_names_may_be_used() -> None:
    task = Task(id="1", input="9 apples for 3 children?", target="3")
    assert earned(attempt(task, "calculator(expression=9 / 3)"), task)


def test_large_numbers_are_found_however_they_are_written() -> None:
    task = Task(id="1", input="230 billion in dollars?", target="230000000000.0")
    assert not earned(attempt(task, "calculator(expression=230,000,000,000)"), task)
    assert not earned(attempt(task, "calculator(expression=2.3e11)"), task)
    assert earned(attempt(task, "calculator(expression=230 * 10**9)"), task)


def test_words_are_compared_without_regard_to_case() -> None:
    task = Task(id="1", input="The capital of France?", target="Paris")
    assert not earned(attempt(task, "search(query=paris capital)"), task)
    assert earned(attempt(task, "search(query=capital of France)"), task)


def test_the_hint_names_the_answer_and_the_slip_but_not_the_wrong_work() -> None:
    said = Feedback(channel="label", score=0.0, text="0.03 is wrong")
    wrong = replace(attempt(RATIO, "calculator(expression=14% - 2.2% / 20%)", answer="0.03"), feedback=(said,))
    text = hinted(RATIO, wrong).input
    assert text.startswith(RATIO.input) and "it is 0.59. 0.03 is wrong." in text and "20%)" not in text


def test_no_trace_of_the_hint_is_left_in_the_episode() -> None:
    asked = hinted(RATIO, attempt(RATIO, answer="0.03"))
    assert without_hint(attempt(asked, "x(y=1)"), RATIO).task == RATIO
