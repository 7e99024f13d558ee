"""Caller on scripted models: journal, budget, limits, structured answers."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import BaseModel

from agentkit.errors import BudgetExceeded, InvalidOutput, ModelError
from agentkit.models import Budget, Caller, Limits, MemoryJournal, Retry, Usage, request_hash
from agentkit.testing import ScriptedModel

ASK = [HumanMessage("hi")]
QUICK = Retry(attempts=3, base=0, cap=0)


class Answer(BaseModel):
    value: int


async def test_a_journal_answers_the_same_call_again_for_nothing() -> None:
    journal, model, meter = MemoryJournal(), ScriptedModel(["one", "two"]), Budget(calls=2).start()
    first = await Caller(model, journal=journal, budget=meter).call(ASK, scope="explore")
    again = await Caller(model, journal=journal, budget=meter).call(ASK, scope="explore")
    assert (first.text, again.text, again.replayed, model.calls, meter.calls) == ("one", "one", True, 1, 1)


async def test_the_same_question_twice_in_one_run_is_two_calls_and_replays_in_order() -> None:
    journal, model = MemoryJournal(), ScriptedModel(["one", "two"])
    caller = Caller(model, journal=journal)
    assert [(await caller.call(ASK)).text for _ in range(2)] == ["one", "two"]
    replay = Caller(model, journal=journal)
    assert [(await replay.call(ASK)).text for _ in range(2)] == ["one", "two"]
    assert model.calls == 2


async def test_two_scopes_do_not_share_answers() -> None:
    model = ScriptedModel(["one", "two"])
    caller = Caller(model)
    assert [(await caller.call(ASK, scope=scope)).text for scope in "ab"] == ["one", "two"]


async def test_each_try_for_a_valid_answer_is_journalled() -> None:
    journal, model = MemoryJournal(), ScriptedModel([{"value": "no"}, {"value": 3}])
    assert (await Caller(model, journal=journal).call(ASK, schema=Answer)).parsed == Answer(value=3)
    replayed = await Caller(model, journal=journal).call(ASK, schema=Answer)
    assert (replayed.parsed, model.calls) == (Answer(value=3), 2)


async def test_a_text_with_json_in_it_counts_as_a_structured_answer() -> None:
    reply = await Caller(ScriptedModel(['Sure: ```json\n{"value": 4}\n```'])).call(ASK, schema=Answer)
    assert reply.parsed == Answer(value=4)


async def test_three_invalid_answers_end_in_one_line() -> None:
    model = ScriptedModel(["no json here"])
    with pytest.raises(InvalidOutput, match=r"Answer in 3 tries: there is no JSON"):
        await Caller(model).call(ASK, schema=Answer)
    assert model.calls == 3


async def test_a_tool_call_is_a_reply_without_a_structured_answer() -> None:
    def look(what: str) -> str:
        """Look."""
        return what

    model = ScriptedModel([{"tool": "look", "arguments": {"what": "x"}}])
    reply = await Caller(model).call(ASK, tools=[look], schema=Answer)
    assert (reply.parsed, reply.message.tool_calls[0]["name"]) == (None, "look")


async def test_usage_adds_up_over_the_tries() -> None:
    def usage(tokens: int) -> AIMessage:
        counts = {"input_tokens": tokens, "output_tokens": 1, "total_tokens": tokens + 1}
        return AIMessage("x" if tokens == 1 else '{"value": 1}', usage_metadata=counts)

    reply = await Caller(ScriptedModel([usage(1), usage(10)])).call(ASK, schema=Answer)
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (11, 2)


@pytest.mark.parametrize(
    ("budget", "name"),
    [
        (Budget(calls=1), "calls"),
        (Budget(tokens=1), "tokens"),
        (Budget(cost=0.5), "cost"),
        (Budget(seconds=1e-9), "seconds"),
    ],
)
async def test_each_limit_of_a_budget_is_checked_before_a_call(budget: Budget, name: str) -> None:
    meter = budget.start()
    meter.charge(Usage(input_tokens=1, cost=0.5))
    model = ScriptedModel(["x"])
    with pytest.raises(BudgetExceeded, match=name):
        await Caller(model, budget=meter).call(ASK)
    assert model.calls == 0


async def test_an_error_that_is_not_retryable_is_raised_at_once() -> None:
    model = ScriptedModel([ModelError("broken"), "fine"])
    with pytest.raises(ModelError, match="broken"):
        await Caller(model, retry=QUICK).call(ASK)
    assert model.calls == 1


async def test_a_fallback_is_asked_after_the_tries_of_the_first_model() -> None:
    down = ScriptedModel([ModelError("down", retryable=True)])
    reply = await Caller([down, ScriptedModel(["up"])], retry=QUICK).call(ASK)
    assert (reply.text, down.calls) == ("up", 3)


async def test_somebody_elses_model_is_retried_by_its_status() -> None:
    class TooMany(Exception):
        status_code = 429

    model = ScriptedModel([TooMany("slow down"), "fine"])
    assert (await Caller(model, retry=QUICK).call(ASK)).text == "fine"


async def test_a_mistake_in_a_program_stays_what_it_is() -> None:
    with pytest.raises(KeyError):
        await Caller(ScriptedModel([KeyError("oops")]), retry=QUICK).call(ASK)


async def test_a_model_that_hangs_is_given_up() -> None:
    model = ScriptedModel(["late"], latency=3600)
    with pytest.raises(ModelError, match="did not answer"):
        await Caller(model, retry=Retry(attempts=1), timeout=0.01).call(ASK)


async def test_no_more_calls_are_in_flight_than_allowed() -> None:
    inside, most, release = 0, 0, asyncio.Event()

    class Counting(ScriptedModel):
        async def _agenerate(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            if inside == 2:
                release.set()
            await release.wait()
            inside -= 1
            return await super()._agenerate(*args, **kwargs)

    caller = Caller(Counting(["x"]), limits=Limits(concurrency=2))
    await asyncio.gather(*[caller.call(ASK, scope=str(number)) for number in range(6)])
    assert most == 2


async def test_answers_that_come_together_are_worked_on_one_by_one() -> None:
    order: list[str] = []
    limits = Limits(concurrency=3)
    together = asyncio.Barrier(3)

    async def caller(name: str) -> None:
        async with limits.slot():
            await together.wait()
        order.append(f"{name} works")
        async with limits.slot():
            order.append(f"{name} asks again")

    await asyncio.gather(*(caller(name) for name in "abc"))
    assert [step.split()[0] for step in order[::2]] == [step.split()[0] for step in order[1::2]]


async def test_a_rate_spreads_the_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        if seconds:  # 0 lets the others go on
            waits.append(seconds)

    monkeypatch.setattr("agentkit.models.limits.asyncio.sleep", sleep)
    limits = Limits(per_minute=60)
    for _ in range(3):
        async with limits.slot():
            pass
    assert waits[-2:] == [pytest.approx(1, abs=0.5), pytest.approx(2, abs=0.5)]
    assert sum(waits[:-2]) == pytest.approx(0, abs=0.5)


def test_a_request_is_known_by_all_that_decides_its_answer() -> None:
    base = request_hash("m", ASK)
    assert base == request_hash("m", [HumanMessage("hi", id="another")])
    others = [
        request_hash("n", ASK),
        request_hash("m", [HumanMessage("ho")]),
        request_hash("m", ASK, schema=Answer),
        request_hash("m", ASK, params={"seed": 1}),
    ]
    assert len({base, *others}) == 5
