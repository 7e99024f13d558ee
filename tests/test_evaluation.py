"""Evaluations: scored outside of the runs, failures counted, resumed where they stopped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from agentkit import Agent, AgentKitError, Budget, Task
from agentkit.errors import DataError, ModelError
from agentkit.evaluation import EvalReport, evaluate_tasks
from agentkit.store import Store
from agentkit.store.run_log import RunLog
from agentkit.testing import ScriptedModel

TASKS = [Task(id=str(n), input=f"What is {n}+{n}?", target=str(2 * n), checker="numeric") for n in range(1, 5)]


def solver(wrong: str = "", failing: str = "") -> Any:
    """Doubles the number in the question; one question gets a wrong answer, another an error."""

    def reply(messages: list[Any], tools: list[str]) -> Any:
        text = str(messages[-1].content)
        number = int(text.split("What is ")[1].split("+")[0])
        if str(number) == failing:
            return ModelError("the server is down")
        return {"reasoning": "", "answer": "wrong" if str(number) == wrong else str(2 * number)}

    return reply


@pytest.fixture
def build(store: Store) -> Iterator[Any]:
    opened: list[Agent] = []

    def make(replies: Any, **options: Any) -> tuple[Agent, ScriptedModel]:
        model = ScriptedModel(replies)
        opened.append(Agent(model, store=store, tools=(), evaluate=False, **options))
        return opened[-1], model

    yield make
    for agent in opened:
        agent.close()


def evaluate(agent: Agent, tasks: list[Task], **options: Any) -> EvalReport:
    return asyncio.run(evaluate_tasks(agent, tasks, **options))


def test_accuracy_has_its_wilson_interval(build: Any) -> None:
    report = evaluate(build(solver(wrong="3"))[0], TASKS)
    assert (report.n, report.accuracy, report.failed) == (4, 0.75, 0)
    assert report.ci95 == pytest.approx((0.3006, 0.9544), abs=1e-4)
    assert report.tokens > 0
    json.dumps(report.to_json())


def test_no_model_sees_a_target_and_no_target_guides_a_run(build: Any) -> None:
    secret = [task.model_copy(update={"target": "271828"}) for task in TASKS]
    seen: list[str] = []

    def reply(messages: list[Any], tools: list[str]) -> Any:
        seen.extend(str(message.content) for message in messages)
        return {"reasoning": "", "answer": "1"}

    report = evaluate(build(reply)[0], secret)
    assert report.accuracy == 0
    assert len(seen) == 4  # one call of one message a task: a wrong answer is not sent back
    assert not any("271828" in text for text in seen)


def test_a_failed_run_counts_as_wrong_and_is_tried_again(build: Any) -> None:
    agent, _ = build(solver(failing="2"))
    report = evaluate(agent, TASKS)
    assert (report.n, report.accuracy, report.failed) == (4, 0.75, 1)
    failed = next(item for item in report.results if item.status == "failed")
    assert failed.error is not None
    agent.explorer.replies = solver()
    again = evaluate(agent, TASKS)
    assert (again.n, again.accuracy, again.failed) == (4, 1.0, 0)


def test_an_error_that_ends_an_evaluation_leaves_no_run_as_running(build: Any, store: Store) -> None:
    class Endless(ScriptedModel):
        async def _agenerate(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            if "What is 1" in str(messages[-1].content):
                raise DataError("the recording holds no such request")
            await asyncio.Event().wait()

    agent = Agent(Endless([]), store=store, tools=(), evaluate=False)

    async def statuses() -> list[str]:
        with pytest.raises(DataError):
            await evaluate_tasks(agent, TASKS[::-1], concurrency=4)
        return [record.status for record in RunLog(store).runs()]

    assert sorted(asyncio.run(statuses())) == ["failed", "interrupted", "interrupted", "interrupted"]
    agent.close()


def test_started_again_it_repeats_nothing_that_is_finished(build: Any) -> None:
    agent, model = build(solver())
    first = evaluate(agent, TASKS[:2])
    calls = model.calls
    both = evaluate(agent, TASKS)
    assert model.calls == 2 * calls
    assert {item.run_id for item in first.results} <= {item.run_id for item in both.results}
    assert evaluate(agent, TASKS).accuracy == 1.0
    assert model.calls == 2 * calls


def test_an_evaluation_with_other_options_is_another_one(build: Any) -> None:
    ids = [
        {item.run_id for item in evaluate(agent, TASKS, **options).results}
        for agent, options in (
            (build(solver())[0], {}),
            (build(solver())[0], {"seed": 1}),
            (build(solver(), max_rounds=1)[0], {}),
        )
    ]
    assert len(set.union(*ids)) == 3 * len(TASKS)


def test_runs_go_at_once_up_to_the_limit(build: Any) -> None:
    agent, _ = build(solver())
    together, most = 0, 0
    model = agent.explorer
    original = type(model)._agenerate

    async def counted(self: Any, *args: Any, **options: Any) -> Any:
        nonlocal together, most
        together, most = together + 1, max(most, together + 1)
        for _ in range(50):
            await asyncio.sleep(0)
        together -= 1
        return await original(self, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model), "_agenerate", counted)
        evaluate(agent, TASKS, concurrency=2)
    assert most == 2


def test_a_run_over_its_budget_counts_as_failed(build: Any) -> None:
    report = evaluate(build(solver(), budget=Budget(seconds=1e-9))[0], TASKS[:2])
    assert (report.n, report.failed, report.accuracy) == (2, 2, 0.0)


def test_a_task_that_can_not_be_scored_is_refused_before_anything_runs(build: Any) -> None:
    agent, model = build(solver())
    with pytest.raises(DataError, match="neither a target nor a checker"):
        evaluate(agent, [*TASKS, Task(id="x", input="What is 1+1?")])
    with pytest.raises(AgentKitError, match="no target"):
        evaluate(agent, [Task(id="x", input="What is 1+1?", checker="numeric")])
    assert model.calls == 0
