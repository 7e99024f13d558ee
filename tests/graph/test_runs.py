"""Runs on the state machine, with scripted models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from agentkit.agent import Agent
from agentkit.errors import BudgetExceeded, InvalidOutput, UserError
from agentkit.graph.events import Answered, Evaluated, ModelEnded, RunEnded, ToolEnded
from agentkit.models import Budget
from agentkit.protocols import Block
from agentkit.result import Result
from agentkit.store import Store
from agentkit.tasks import Task
from agentkit.testing import ScriptedModel

SUM = {"tool": "calculator", "arguments": {"expression": "1234*5678"}}
ANSWER = {"reasoning": "the calculator says so", "answer": "7006652"}
ACCEPT = {"reason": "it follows from the tool", "verdict": "accept", "confidence": 0.9}
REVISE = {"reason": "the sign is wrong", "verdict": "revise", "confidence": 0.8}


@pytest.fixture
def build(store: Store) -> Iterator[Any]:
    opened: list[Agent] = []

    def make(replies: Any, **options: Any) -> Agent:
        agent = Agent(ScriptedModel(replies), store=store, **{"evaluate": True, **options})
        opened.append(agent)
        return agent

    yield make
    for agent in opened:
        agent.close()


def test_a_tool_is_used_and_the_answer_accepted(build: Any) -> None:
    result: Result = build([SUM, ANSWER, ACCEPT]).run("What is 1234*5678?")
    assert (result.status, result.answer, result.rounds) == ("done", "7006652", 1)
    tool = next(step for step in result.trace if step["type"] == "tool")
    assert (tool["tool"], tool["result"], tool["ok"]) == ("calculator", "7006652", True)
    assert result.usage.calls == 3
    assert [item.channel for item in result.feedback] == ["judge"]


def test_the_result_of_a_direct_tool_is_the_answer_and_saves_a_turn(build: Any) -> None:
    direct = {"tool": "calculate_answer", "arguments": {"expression": "2/3", "decimals": 2}}
    result = build([direct, ACCEPT], tools=["calculate_answer"]).run("What is 2/3, with two decimals?")
    assert (result.status, result.answer, result.usage.calls) == ("done", "0.67", 2)


def test_an_error_of_a_direct_tool_goes_back_to_the_explorer(build: Any) -> None:
    broken = {"tool": "calculate_answer", "arguments": {"expression": "2/0", "decimals": 2}}
    result = build([broken, ANSWER, ACCEPT], tools=["calculate_answer"]).run("What is 1234*5678?")
    assert (result.answer, result.usage.calls) == ("7006652", 3)


def test_events_arrive_in_order_while_the_run_goes_on(build: Any) -> None:
    kinds = [type(event) for event in build([SUM, ANSWER, ACCEPT]).stream("What is 1234*5678?")]
    order = [kinds.index(kind) for kind in (ToolEnded, Answered, Evaluated, RunEnded)]
    assert order == sorted(order)
    assert kinds.count(ModelEnded) == 3


def test_an_objection_sends_the_explorer_back(build: Any) -> None:
    wrong = {"reasoning": "guess", "answer": "-7"}
    result = build([wrong, REVISE, ANSWER, ACCEPT]).run("What is 1234*5678?")
    assert (result.status, result.answer, result.rounds) == ("done", "7006652", 2)


def test_an_answer_never_accepted_is_returned_as_abstained(build: Any) -> None:
    result = build([ANSWER, REVISE, ANSWER, REVISE], max_rounds=2).run("What is 1234*5678?")
    assert (result.status, result.answer, result.accepted) == ("abstained", "7006652", False)


def test_a_real_checker_goes_before_the_evaluator(build: Any) -> None:
    task = Task(id="t", input="Give a number.", checker={"name": "regex", "pattern": r"\d+"})
    result = build([{"reasoning": "", "answer": "none"}, ANSWER]).run(task)
    assert (result.answer, result.rounds, result.usage.calls) == ("7006652", 2, 2)
    assert {item.channel for item in result.feedback} == {"check"}


def test_a_label_is_used_only_where_labels_allow_it(build: Any) -> None:
    task = Task(id="t", input="2*2?", target="4", checker="numeric")
    unlabelled = build([{"reasoning": "", "answer": "5"}, ACCEPT]).run(task)
    assert [item.channel for item in unlabelled.feedback] == ["judge"]
    labelled = build([{"reasoning": "", "answer": "5"}, {"reasoning": "", "answer": "4"}]).run(task, labels="check")
    assert (labelled.status, labelled.rounds) == ("done", 2)


def test_prompts_do_not_change_when_the_target_is_noise(build: Any) -> None:
    def prompts(target: str) -> list[str]:
        seen: list[str] = []

        def reply(messages: list[Any], tools: list[str]) -> Any:
            seen.append(repr([(message.type, message.content) for message in messages]))
            return ACCEPT if "check answers" in str(messages[0].content) else {"reasoning": "r", "answer": "5"}

        build(reply).run(Task(id="t", input="2*2?", target=target, checker="numeric"))
        return seen

    assert prompts("4") == prompts("noise 8311")


def test_a_plan_is_carried_out_sub_task_by_sub_task(build: Any) -> None:
    plan = {"tool": "Plan", "arguments": {"subtasks": ["multiply", "add one"]}}
    found = [{"reasoning": "", "answer": "6"}, {"reasoning": "", "answer": "7"}]
    model = [plan, *found, {"reasoning": "both are done", "answer": "7"}, ACCEPT]
    result = build(model, planning=True).run("What is 2*3+1?")
    assert (result.status, result.answer) == ("done", "7")


def test_the_last_step_must_answer(build: Any) -> None:
    def reply(messages: list[Any], tools: list[str]) -> Any:
        if "check answers" in str(messages[0].content):
            return ACCEPT
        return SUM if "calculator" in tools else ANSWER

    result = build(reply, max_steps=3, effort="agentic").run("loop")
    assert result.answer == "7006652"
    assert sum(step["type"] == "tool" for step in result.trace) == 2


def test_a_tool_that_fails_is_told_to_the_model(build: Any) -> None:
    bad = {"tool": "calculator", "arguments": {"expression": "1/0"}}
    result = build([bad, SUM, ANSWER, ACCEPT]).run("What is 1234*5678?")
    assert [step["ok"] for step in result.trace if step["type"] == "tool"] == [False, True]
    assert result.status == "done"


def test_a_budget_stops_the_run_before_the_next_call(build: Any) -> None:
    agent = build([SUM, ANSWER, ACCEPT], budget=Budget(calls=1))
    with pytest.raises(BudgetExceeded, match="budget of 1 calls"):
        agent.run("What is 1234*5678?", run_id="r1")
    assert agent.result("r1").status == "failed"
    assert agent.result("r1").usage.calls == 1


def test_a_failed_run_goes_on_where_it_stopped(build: Any, store: Store) -> None:
    with pytest.raises(BudgetExceeded):
        build([SUM, ANSWER, ACCEPT], budget=Budget(calls=1)).run("What is 1234*5678?", run_id="r1")
    later = build([ANSWER, ACCEPT])
    assert later.resume("r1").answer == "7006652"
    assert later.result("r1").usage.calls == 3


def test_a_finished_run_is_not_run_again(build: Any) -> None:
    agent = build([SUM, ANSWER, ACCEPT])
    first = agent.run("What is 1234*5678?", run_id="r1")
    again = agent.run("What is 1234*5678?", run_id="r1")
    assert again.answer == first.answer and again.usage.calls == 3


def test_an_id_that_belongs_to_another_task_is_refused(build: Any) -> None:
    agent = build([ANSWER, ACCEPT])
    agent.run("one", run_id="r1")
    build([SUM], budget=Budget(calls=1))
    with pytest.raises(UserError, match="another task"):
        agent.log.finish("r1", "failed")
        agent.run("two", run_id="r1")


def test_invalid_output_three_times_is_one_clear_line(build: Any) -> None:
    with pytest.raises(InvalidOutput, match=r"no valid answer in 3 tries: 'not json' is not JSON") as caught:
        build(["not json"]).run("x", output_type=int)
    assert "\n" not in str(caught.value)


def test_a_person_can_confirm_the_answer(build: Any) -> None:
    agent = build([ANSWER, ACCEPT, {"reasoning": "", "answer": "8"}, ACCEPT], approve=["answer"])
    waiting = agent.run("x", run_id="r1")
    assert waiting.status == "waiting" and (waiting.question or {})["answer"] == "7006652"
    again = agent.resume("r1", {"accept": False, "text": "too large"})
    assert again.status == "waiting"
    done = agent.resume("r1", True)
    assert (done.status, done.answer) == ("done", "8")
    assert [item.channel for item in done.feedback].count("user") == 2


def test_a_refused_tool_call_is_not_made(build: Any) -> None:
    agent = build([SUM, ANSWER, ACCEPT], approve=["calculator"])
    assert agent.run("Use the calculator.", run_id="r1").status == "waiting"
    done = agent.resume("r1", False)
    assert done.status == "done"
    assert not [step for step in done.trace if step["type"] == "tool"]


def test_a_waiting_run_is_not_resumed_without_a_reply(build: Any) -> None:
    agent = build([ANSWER, ACCEPT], approve=["answer"])
    agent.run("x", run_id="r1")
    with pytest.raises(UserError, match="waits for a person"):
        agent.resume("r1")


def test_beside_checkpoints_only_what_a_person_is_asked_is_written(build: Any, store: Store) -> None:
    build([SUM, ANSWER, ACCEPT]).run("What is 1234*5678?", run_id="alone")
    asked = build([SUM, ANSWER, ACCEPT], approve=("answer",)).run("What is 1234*5678?", run_id="asked")
    with store.read() as connection:
        rows = connection.exec_driver_sql("SELECT thread_id, channel FROM writes").all()
    assert asked.status == "waiting"
    assert {tuple(row) for row in rows} == {("asked", "__interrupt__")}


def test_an_answer_that_learnt_context_gives_is_evaluated_and_no_explorer_is_asked(build: Any) -> None:
    class Knows:
        name = "knows"

        async def recall(self, task: Task, *, run_id: str) -> Block | None:
            return Block(kind="cases", target="policy:m", version=1, text="", answer="7006652", untrusted=False)

    result = build([ACCEPT], recallers=[Knows()]).run("What is 1234*5678?")
    assert (result.status, result.answer, result.usage.calls) == ("done", "7006652", 1)
    revised = build([REVISE, ANSWER, ACCEPT], recallers=[Knows()]).run("What is 1234*5678?")
    assert (revised.answer, revised.rounds, revised.usage.calls) == ("7006652", 2, 3)


def test_learnt_context_can_narrow_the_choices_until_an_answer_is_not_accepted(build: Any) -> None:
    class Narrows:
        name = "narrows"

        async def recall(self, task: Task, *, run_id: str) -> Block:
            return Block(kind="cases", target="policy:m", version=1, text="", choices=("b", "c"), untrusted=False)

    task = Task(id="t", input="which letter", choices=("a", "b", "c"))
    result = build([{"answer": "a"}, {"answer": "c"}, ACCEPT], recallers=[Narrows()]).run(task)
    assert (result.answer, result.usage.calls) == ("c", 3)
    revised = build([{"answer": "c"}, REVISE, {"answer": "a"}, ACCEPT], recallers=[Narrows()]).run(task)
    assert (revised.answer, revised.usage.calls) == ("a", 4)
