"""Runs whose outcome becomes known teach routing, as changes in the ledger; without outcomes nothing is other than it
was."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from agentkit.agent import Agent
from agentkit.calibrating import calibrate, teach
from agentkit.changes import rollback
from agentkit.evaluation import evaluate_tasks
from agentkit.ledger import Ledger
from agentkit.routing import EffortOutcome, EffortRecord
from agentkit.routing.router import LEAST
from agentkit.store import Store
from agentkit.store.run_log import RunLog
from agentkit.tasks import Task
from agentkit.testing import ScriptedModel

TARGET = "effort:default"


@pytest.fixture
def build(store: Store) -> Iterator[Any]:
    opened: list[Agent] = []

    def make(model: Any, **options: Any) -> Agent:
        scripted = model if isinstance(model, ScriptedModel) else ScriptedModel(model)
        opened.append(Agent(scripted, store=store, tools=[], **options))
        return opened[-1]

    yield make
    for agent in opened:
        agent.close()


def seen(store: Store, mode: str, right: int, wrong: int, **more: Any) -> None:
    """Outcomes of plain tasks, answered by a scripted model."""
    record = EffortRecord(store)
    for place in range(right + wrong):
        run = f"{mode}-{more}-{place}"
        more_ = {"tokens": 100.0, "seconds": 1.0, **more}
        outcome = EffortOutcome(
            run=run, kind="plain", model="test/ScriptedModel", mode=mode, score=float(place < right), **more_
        )
        record.learn(outcome, key=run)


def test_without_outcomes_nothing_is_recorded_and_nothing_is_other_than_by_the_rules(build: Any, store: Store) -> None:
    result = build(["hello"]).run("hi")
    assert result.effort == {"mode": "instant", "why": "no tool can matter", "probability": 1.0}
    assert Ledger(store).targets() == []


def test_feedback_teaches_a_run_s_mode_and_can_be_taken_back(build: Any, store: Store) -> None:
    agent = build(["a"])
    runs = [agent.run(f"question {n}").run_id for n in range(LEAST)]
    taught = [agent.feedback(run, score=n % 2) for n, run in enumerate(runs)]
    assert all(set(item.changes) == {TARGET} for item in taught)
    [first, *_] = record = EffortRecord(store).outcomes()
    assert len(record) == LEAST and (first.mode, first.kind, first.score) == ("instant", "plain", 0.0)
    assert first.tokens > 0
    agent.feedback(runs[0], score=0)
    assert EffortRecord(store).version == LEAST  # the same word again teaches nothing
    agent.feedback(runs[0], score=1)
    assert [item.score for item in EffortRecord(store).outcomes() if item.run == runs[0]] == [1.0]
    change = rollback(store, TARGET, 2, reason="a test")
    assert (change.kind, change.version, len(EffortRecord(store).outcomes())) == ("effort", LEAST + 2, 2)
    rollback(store, TARGET, LEAST)
    assert len(EffortRecord(store).outcomes()) == LEAST
    assert Ledger(store).verify(TARGET) == LEAST + 3


def test_a_run_takes_the_mode_that_was_right_and_says_why(build: Any, store: Store) -> None:
    seen(store, "instant", 2, 28)
    seen(store, "reasoning", 29, 1)
    agent = build(["Some thoughts.\nAnswer: 4"])
    result = agent.run("two and two", run_id="r", learn=False)
    assert (result.answer, result.effort["mode"], result.effort["probability"]) == ("4", "reasoning", 1.0)
    assert result.effort["why"] == "instant right in 0.07 of 30, reasoning right in 0.97 of 30; the best by that"
    drawn = agent.run("two and two")
    assert drawn.effort["mode"] == "reasoning" and 0.9 < drawn.effort["probability"] <= 1


def test_outcomes_of_another_kind_or_model_say_nothing(build: Any, store: Store) -> None:
    seen(store, "instant", 2, 28)
    seen(store, "reasoning", 29, 1)
    other = build(["4"], instructions="Add.").run("two and two")
    assert (other.effort["mode"], other.effort["why"]) == ("instant", "no tool can matter")


def test_a_decision_outlives_a_crash_and_what_was_learnt_meanwhile(build: Any, store: Store) -> None:
    seen(store, "instant", 2, 28)
    seen(store, "reasoning", 29, 1)
    broken = build([RuntimeError("gone"), "Answer: 4"])
    with pytest.raises(RuntimeError):
        broken.run("two and two", run_id="r", learn=False)
    assert RunLog(store).get("r").effort["mode"] == "reasoning"
    seen(store, "reasoning", 0, 60, seconds=2.0)
    seen(store, "instant", 100, 0, seconds=2.0)
    assert broken.resume("r").effort["mode"] == "reasoning"
    assert build(["4"]).run("two and two", learn=False).effort["mode"] == "instant"


def test_a_check_within_the_run_teaches_by_the_first_answer(build: Any, store: Store) -> None:
    agent = build(["no", "yes"], checker={"name": "regex", "pattern": "yes"})
    result = agent.run("Say it")
    assert (result.answer, result.rounds) == ("yes", 2)
    [outcome] = EffortRecord(store).outcomes()
    assert (outcome.score, outcome.mode, outcome.run) == (0.0, "instant", result.run_id)
    assert len(Ledger(store).applied(TARGET)) == 1
    agent.run("Say it once more", learn=False)
    assert len(EffortRecord(store).outcomes()) == 1


class Doubting(ScriptedModel):
    """As sure of its one word as the number in the task says; it thinks the other way round where it thinks."""

    tells_logprobs: bool = True

    def _answer(self, messages: list[BaseMessage], **kwargs: Any) -> AIMessage:
        message = super()._answer(messages, **kwargs)
        numbers = [word for word in messages[-1].text.split() if word.isdigit()]
        if message.text in ("yes", "no") and numbers:
            share = int(numbers[-1]) / 100
            told = [{"token": message.text, "logprob": math.log(share)}, {"token": "x", "logprob": math.log(1 - share)}]
            message.response_metadata["logprobs"] = {"content": [told[0] | {"top_logprobs": told}]}
        return message


TASKS = [
    Task(id=f"{share}-{n}", input=f"Item {n} sure at {share}", target="yes" if n % 100 < share else "no")
    for share in (15, 35, 55, 75, 95)
    for n in range(0, 100, 10)
]


def test_an_instant_answer_of_low_confidence_goes_up_where_that_was_measured_to_pay(build: Any, store: Store) -> None:
    def reply(messages: list[BaseMessage], tools: list[str]) -> str:
        return "I see.\nAnswer: no" if "Think first" in messages[0].text else "yes"

    agent = build(Doubting(reply))
    asyncio.run(calibrate(agent, TASKS, checker="exact"))
    unsure = agent.run("Item 1 sure at 12", learn=False)
    assert unsure.effort["mode"] == "instant" and unsure.confidence is not None and unsure.confidence < 0.4
    seen_by = EffortRecord(store)
    for n in range(12):
        outcome = EffortOutcome(
            run=f"r{n}", kind="plain", model="test/Doubting", mode="reasoning", score=float(n != 0), up=True
        )
        seen_by.learn(EffortOutcome(**{**outcome.to_json(), "sure": 0.2}), key=f"r{n}")
    result = agent.run("Item 2 sure at 12", learn=False)
    assert (result.answer, result.effort["mode"], result.usage.calls) == ("no", "reasoning", 2)
    assert result.effort["before"]["answer"] == "yes" and result.effort["before"]["confidence"] < 0.4
    assert result.effort["why"].startswith("goes up from an instant answer of confidence 0.")
    sure = agent.run("Item 3 sure at 96", learn=False)
    assert (sure.answer, sure.effort["mode"], sure.usage.calls) == ("yes", "instant", 1)
    assert sure.effort["stayed"]["why"].startswith("stays with an instant answer")
    agent.feedback(result.run_id, score=1)
    newest = seen_by.outcomes()[-1]
    assert (newest.mode, newest.up, newest.score) == ("reasoning", True, 1.0)
    assert newest.sure == pytest.approx(result.effort["before"]["confidence"])
    forced = build(Doubting(reply), effort="instant").run("Item 4 sure at 12", learn=False)
    assert (forced.answer, forced.usage.calls) == ("yes", 1)  # who asks for a mode gets it


def judged(messages: list[BaseMessage], tools: list[str]) -> Any:
    """Answers "yes", or "no" once that was objected to; the judge objects where the item is even."""
    system, last = messages[0].text, messages[-1].text
    if "You check answers" in system:
        number = int(last.split("Item ")[1].split()[0])
        verdict = "accept" if number % 20 else "revise"
        return {"reason": "so it is", "verdict": verdict, "confidence": 0.8}
    return "no" if "objection" in last else "yes"


def test_the_evaluator_is_asked_where_its_calls_were_shown_to_help(build: Any, store: Store) -> None:
    tasks = [
        Task(id=f"{n}-{share}", input=f"Item {n} sure at {share}", target="yes" if n % 20 else "no")
        for share in (20, 80)
        for n in (*range(0, 200, 20), *range(5, 305, 20))
    ]
    agent = build(Doubting(judged), evaluate=True)
    assert build(Doubting(judged)).run("Item 20 sure at 20").answer == "yes"  # not measured, not asked
    asyncio.run(calibrate(build(Doubting(judged)), tasks, checker="exact"))
    levels = asyncio.run(teach(agent, tasks, asyncio.run(evaluate_tasks(agent, tasks))))
    assert levels is not None and levels.n == len(tasks) and levels.effect > 0.3 and levels.bound > 0
    assert (levels.confidence, levels.critique) == (1.0, 1.0)
    shipped = build(Doubting(judged))
    low = shipped.run("Item 40 sure at 20", learn=False)
    assert low.effort["evaluator"]["asked"], low.effort
    assert (low.answer, low.usage.calls, low.rounds, low.status) == ("no", 3, 2, "done")
    assert "on 50 answers it changed what is right by +0.40" in low.effort["evaluator"]["why"]
    assert build(Doubting(judged), evaluate=False).run("Item 40 sure at 21", learn=False).usage.calls == 1


def test_an_evaluator_that_spoils_answers_is_not_asked_and_the_record_says_so(build: Any, store: Store) -> None:
    def spoiling(messages: list[BaseMessage], tools: list[str]) -> Any:
        if "You check answers" in messages[0].text:
            return {"reason": "no", "verdict": "revise", "confidence": 0.9}
        return "no" if "objection" in messages[-1].text else "yes"

    tasks = [Task(id=f"{n}", input=f"Item {n} sure at 50", target="yes") for n in range(20)]
    agent = build(Doubting(spoiling), evaluate=True, max_rounds=2)
    report = asyncio.run(evaluate_tasks(agent, tasks))
    levels = asyncio.run(teach(agent, tasks, report))
    assert levels is not None and (levels.confidence, levels.critique, levels.effect) == (0.0, None, -1.0)
    assert asyncio.run(teach(agent, tasks, report)) == levels
    assert EffortRecord(store).version == len(tasks)
    result = build(Doubting(spoiling)).run("Item 50 sure at 50", learn=False)
    assert (result.answer, result.usage.calls) == ("yes", 1)
    assert result.effort["evaluator"] == {
        "asked": False,
        "why": "on 20 answers it changed what is right by -1.00, at least -1.00: that it helps is not shown",
    }
