"""Several answers to a task: how they are voted on, when that ends, and what a crash leaves of it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from agentkit import faults
from agentkit.agent import Agent
from agentkit.calibrating import calibrate
from agentkit.errors import UserError
from agentkit.store import Store
from agentkit.tasks import Task
from agentkit.testing import ScriptedModel


class Asked(ScriptedModel):
    """Keeps the seed and the temperature of each call."""

    seen: list[tuple[Any, Any]] = []  # noqa: RUF012 - a pydantic field

    def _answer(self, messages: list[BaseMessage], **kwargs: Any) -> AIMessage:
        self.seen.append((kwargs.get("seed"), kwargs.get("temperature")))
        return super()._answer(messages, **kwargs)


@pytest.fixture
def build(store: Store) -> Iterator[Any]:
    opened: list[Agent] = []

    def make(replies: Sequence[Any], **options: Any) -> Agent:
        model = replies if isinstance(replies, ScriptedModel) else Asked(list(replies))
        opened.append(Agent(model, store=store, tools=[], **options))
        return opened[-1]

    yield make
    for agent in opened:
        agent.close()


def test_the_answer_that_most_give_wins_and_the_first_of_equals(build: Any) -> None:
    result = build(["Lyon", "Paris", "paris.", "Nice", "Paris"], samples=5).run("The capital of France?")
    assert (result.answer, result.usage.calls) == ("Paris", 5)
    assert result.effort["samples"] == {"drawn": 5, "agree": 3, "scope": "explore:0:sample:1"}
    assert build(["Lyon", "Paris"], samples=2).run("The capital of France?").answer == "Lyon"


def test_all_but_the_first_are_drawn_at_a_temperature_with_seeds_of_their_own(build: Any) -> None:
    model = Asked(["a", "b", "c"])
    build(model, samples=3).run("Choose", seed=7)
    assert model.seen == [(7, None), (8, 0.7), (9, 0.7)]


def test_numbers_are_the_same_by_value_and_units_are_looked_at(build: Any) -> None:
    result = build(["3 apples", "$1,200.00", "The answer is 1200", "1200 %", "$1200"], samples=5).run("How much?")
    assert (result.answer, result.effort["samples"]["agree"]) == ("$1,200.00", 3)


def test_a_form_decides_by_value_and_a_checker_by_its_own_rule(build: Any) -> None:
    typed = build(["4", "5.0", "5"], samples=3, output_type=float).run("2 + 3?")
    assert (typed.output, typed.effort["samples"]["agree"]) == (5.0, 2)
    close = {"name": "numeric", "rel": 0.01}
    task = Task(id="t", input="About how much?", target="700", checker=close)
    checked = build(["50", "100", "100.5"], samples=3).run(task)
    assert (checked.answer, checked.effort["samples"]["agree"]) == ("100", 2)


class Doubting(ScriptedModel):
    """Says "yes" or "no", as sure of its first word as the number in the task says."""

    tells_logprobs: bool = True

    def _answer(self, messages: list[BaseMessage], **kwargs: Any) -> AIMessage:
        message = super()._answer(messages, **kwargs)
        share = int(messages[-1].text.split()[-1]) / 100
        other = "no" if message.text == "yes" else "yes"
        told = [{"token": message.text, "logprob": math.log(share)}, {"token": other, "logprob": math.log(1 - share)}]
        message.response_metadata["logprobs"] = {"content": [told[0] | {"top_logprobs": told}]}
        return message


def test_auto_stops_at_once_where_the_model_is_sure_and_goes_on_where_answers_differ(build: Any) -> None:
    def drawn(replies: list[str], share: int) -> int:
        result = build(Doubting(replies), samples="auto", output_type={"enum": ["yes", "no"]}).run(f"Sure at {share}")
        assert result.usage.calls == result.effort["samples"]["drawn"]
        return int(result.usage.calls)

    assert drawn(["yes"], 98) == 1
    assert drawn(["yes"], 70) == 2
    assert 3 <= drawn(["yes", "no", "yes", "no", "yes", "no", "yes", "no"], 55) <= 8


def test_agreement_is_one_of_the_signals_that_confidence_is_read_off(build: Any) -> None:
    tasks = [
        Task(id=f"{n}", input=f"{'split' if n % 2 else 'sure'} {n} at 60", target="no" if n % 2 else "yes")
        for n in range(60)
    ]
    turns: dict[str, int] = {}

    def reply(messages: list[BaseMessage], tools: list[str]) -> str:
        said = messages[-1].text
        turns[said] = turns.get(said, 0) + 1
        return "no" if said.startswith("split") and turns[said] % 3 == 0 else "yes"

    agent = build(Doubting(reply), samples=3)
    found = asyncio.run(calibrate(agent, tasks, checker="exact"))
    assert found.risk.auroc == 1.0  # the words are equally likely in all: agreement alone tells them apart
    sure, split = agent.run("sure 100 at 60"), agent.run("split 101 at 60")
    assert sure.confidence is not None and split.confidence is not None and sure.confidence > split.confidence + 0.3
    strict = build(Doubting(reply), samples=3, decline_below=0.5)
    assert [strict.run(text).status for text in ("sure 102 at 60", "split 103 at 60")] == ["done", "declined"]


def test_a_crash_repeats_no_sample_that_was_answered(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Asked(["Paris", "Paris", "Lyon", "Paris", "Paris"])
    agent, real, passed = build(model, samples=4), faults.point, []

    def point(name: str) -> None:
        if name == "after:model.call":
            passed.append(name)
            if len(passed) == 3:
                raise RuntimeError("cut off")
        real(name)

    monkeypatch.setattr(faults, "point", point)
    with pytest.raises(RuntimeError, match="cut off"):
        agent.run("The capital of France?", run_id="cut")
    assert model.calls == 3
    result = agent.resume("cut")
    assert (model.calls, result.answer, result.effort["samples"]["agree"]) == (4, "Paris", 3)


@pytest.mark.parametrize("samples", [0, -1, 65, "many", "1.5", True])
def test_a_number_of_samples_that_is_none_is_one_line(build: Any, samples: Any) -> None:
    with pytest.raises(UserError, match="samples must be auto or a number from 1 to 64"):
        build(["x"], samples=samples)
