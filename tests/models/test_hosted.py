"""Hosted models, over the bare protocol and through LiteLLM, against a server that speaks it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from langchain_core.messages import HumanMessage
from pydantic import BaseModel

from agentkit.errors import ContextOverflow, InvalidOutput, MissingKey, ModelError, ModelNotFound
from agentkit.models import Budget, Caller, Limits, Retry, load_embedder, load_model
from agentkit.models.pricing import load_litellm, price
from tests.models.stub import answer, failure, serving
from tests.support.stub_server import StubServer, stub_server

ASK = [HumanMessage("hi")]
QUICK = Retry(attempts=3, base=0.001, cap=0.002)


class City(BaseModel):
    name: str
    people: int


@pytest.fixture(params=["openai", "hosted_vllm"])
def model(request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """Makes a model of a server's address: over the bare protocol, and through LiteLLM."""
    return lambda base: load_model(f"{request.param}/gpt-test", api_base=base)


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


def test_an_unknown_provider_is_named_before_any_request() -> None:
    with pytest.raises(ModelNotFound, match="nosuchprovider/x"):
        load_model("nosuchprovider/x")


def test_a_missing_key_is_named_before_any_request() -> None:
    with pytest.raises(MissingKey, match="OPENAI_API_KEY"):
        load_model("openai/gpt-5-mini")


def test_a_name_without_a_provider_says_what_names_look_like() -> None:
    with pytest.raises(ModelNotFound, match="provider/model"):
        load_model("gpt")


def test_a_model_that_is_given_is_returned_as_it_is() -> None:
    given = load_model("openai/x", api_base="http://127.0.0.1:9")
    assert load_model(given) is given


async def test_usage_counts_cached_tokens(model: Any) -> None:
    with serving(answer("hello", cached=7)) as (base, _):
        reply = await Caller(model(base), retry=QUICK).call(ASK)
    assert (reply.text, reply.usage.input_tokens, reply.usage.cached_tokens) == ("hello", 10, 7)


async def test_tools_reach_the_server_and_calls_come_back(model: Any) -> None:
    with serving(answer(tool=("add", '{"a": 1, "b": 2}'))) as (base, stub):
        message = await model(base).bind_tools([add], tool_choice="any").ainvoke(ASK)
    assert message.tool_calls[0]["args"] == {"a": 1, "b": 2}
    assert stub.requests[0]["tools"][0]["function"]["name"] == "add"
    assert stub.requests[0]["tool_choice"] == "required"


def test_the_synchronous_twin_works_more_than_once_and_inside_no_loop(model: Any) -> None:
    with serving(answer("a"), answer("b")) as (base, _):
        chat = model(base)
        assert [chat.invoke(ASK).text, chat.invoke(ASK).text] == ["a", "b"]


async def test_a_stream_gives_pieces_usage_and_the_whole(model: Any) -> None:
    def chunk(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": more.pop("finish", None)}
        return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}

    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    events = [
        chunk({"role": "assistant", "content": "he"}),
        chunk({"content": "llo"}),
        chunk({}, finish="stop"),
        {**chunk({}), "choices": [], "usage": usage},
    ]
    pieces: list[str] = []
    with serving((200, {}, events)) as (base, _):
        reply = await Caller(model(base)).call(ASK, on_token=pieces.append)
    assert (pieces, reply.text, reply.usage.output_tokens) == (["he", "llo"], "hello", 2)


async def test_calls_made_together_are_in_flight_together(model: Any) -> None:
    with serving(answer("ok"), together=8) as (base, stub):
        caller = Caller(model(base), limits=Limits(concurrency=8))
        replies = await asyncio.gather(*[caller.call(ASK, scope=str(number)) for number in range(8)])
    assert [reply.text for reply in replies] == ["ok"] * 8 and len(stub.requests) == 8


async def test_the_benchmarks_server_gives_each_of_many_calls_at_once_a_valid_answer(model: Any) -> None:
    server = StubServer(latency=0)
    caller = Caller(model(await server.start()), limits=Limits(concurrency=8))
    texts, structured = [caller.call(ASK, scope=str(place)) for place in range(4)], caller.call(ASK, schema=City)
    with_tools = [caller.call(ASK, tools=[add], schema=City, scope=str(place)) for place in range(3)]
    replies = await asyncio.gather(*texts, structured, *with_tools)
    await server.stop()
    assert server.served == 8
    assert [reply.text for reply in replies[:4]] == ["42"] * 4
    assert all(reply.parsed == City(name="42", people=0) for reply in replies[4:])


def test_the_benchmarks_server_ends_with_an_error_of_its_client() -> None:
    with pytest.raises(KeyError), stub_server(0) as base:
        raise KeyError
    with pytest.raises(httpx.ConnectError):
        httpx.get(base)


async def test_a_rate_limit_is_waited_out_as_the_server_asks(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(Retry, "pause", lambda self, attempt, error: pauses.append(error.retry_after) or 0.0)
    with serving(failure(429, retry_after="7"), answer("at last")) as (base, stub):
        reply = await Caller(model(base), retry=QUICK).call(ASK)
    assert (reply.text, pauses, len(stub.requests)) == ("at last", [7.0], 2)


def test_retry_after_goes_before_backoff() -> None:
    assert Retry().pause(0, ModelError("x", retry_after=3.0)) == 3.0
    assert 0 <= Retry(base=1, cap=4).pause(9, ModelError("x")) <= 4


async def test_one_retry_layer_makes_exactly_the_allowed_tries(model: Any) -> None:
    with serving(failure(503)) as (base, stub), pytest.raises(ModelError) as caught:
        await Caller(model(base), retry=QUICK).call(ASK)
    assert (len(stub.requests), caught.value.status, caught.value.retryable) == (3, 503, True)


async def test_a_refused_request_is_not_repeated(model: Any) -> None:
    with serving(failure(401, "bad key")) as (base, stub), pytest.raises(ModelError):
        await Caller(model(base), retry=QUICK).call(ASK)
    assert len(stub.requests) == 1


async def test_the_fallback_answers_when_the_first_model_is_down(model: Any) -> None:
    with serving(failure(500)) as (first, down), serving(answer("from the second")) as (second, _):
        reply = await Caller([model(first), model(second)], retry=QUICK).call(ASK)
    assert (reply.text, len(down.requests)) == ("from the second", 3)


async def test_a_context_overflow_says_so_and_is_not_repeated(model: Any) -> None:
    text = "This model's maximum context length is 10 tokens. However, your messages resulted in 99 tokens."
    with serving(failure(400, text, "context_length_exceeded")) as (base, stub), pytest.raises(ContextOverflow):
        await Caller(model(base), retry=QUICK).call(ASK)
    assert len(stub.requests) == 1


async def test_invalid_json_is_sent_back_with_what_is_wrong_and_given_up_after_three(model: Any) -> None:
    with serving(answer(tool=("answer", '{"name": "Bern"}'))) as (base, stub), pytest.raises(InvalidOutput) as caught:
        await Caller(model(base), retry=QUICK).call(ASK, schema=City)
    assert len(stub.requests) == 3
    assert "people" in stub.requests[1]["messages"][-1]["content"]
    assert "City" in str(caught.value) and "\n" not in str(caught.value)


async def test_arguments_that_are_not_json_are_sent_back_too(model: Any) -> None:
    good = answer(tool=("answer", '{"name": "Bern", "people": 3}'))
    with serving(answer(tool=("answer", '{"name": "Be')), good) as (base, stub):
        reply = await Caller(model(base), retry=QUICK).call(ASK, schema=City)
    assert (reply.parsed, len(stub.requests)) == (City(name="Bern", people=3), 2)


async def test_a_server_that_is_not_there_is_a_retryable_error_of_one_line(model: Any) -> None:
    with pytest.raises(ModelError) as caught:
        await Caller(model("http://127.0.0.1:9/v1"), retry=Retry(attempts=1)).call(ASK)
    assert caught.value.retryable and "\n" not in str(caught.value)


async def test_a_spent_budget_stops_the_call_before_it_is_made(model: Any) -> None:
    from agentkit.errors import BudgetExceeded

    with serving(answer()) as (base, stub):
        caller = Caller(model(base), budget=Budget(calls=1).start())
        await caller.call(ASK, scope="first")
        with pytest.raises(BudgetExceeded, match="calls"):
            await caller.call(ASK, scope="second")
    assert len(stub.requests) == 1


def test_a_hosted_embedder_batches_and_normalises() -> None:
    row = {"object": "embedding", "index": 0, "embedding": [3.0, 4.0]}
    body = {
        "object": "list",
        "model": "e",
        "data": [row, {**row, "index": 1}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }
    with serving((200, {}, body)) as (base, stub):
        embedder = load_embedder("openai/e", dimension=2, batch_size=2, api_base=base, api_key="none")
        vectors = embedder.embed_documents(["a", "b", "c", "d"])
    assert len(stub.requests) == 2 and vectors[0] == pytest.approx([0.6, 0.8])


async def test_a_model_gets_only_the_parameters_it_takes_by_their_names() -> None:
    with serving(answer("ok")) as (base, stub):
        chat = load_model("openai/gpt-5-mini", api_base=base, max_tokens=7, temperature=0.0, seed=3)
        await chat.ainvoke(ASK)
        await load_model("openai/my-own", api_base=base, max_tokens=7, temperature=0.0).ainvoke(ASK)
    reasoning, own = stub.requests
    assert reasoning["max_completion_tokens"] == 7 and not {"max_tokens", "temperature"} & reasoning.keys()
    assert (reasoning["model"], own["model"]) == ("gpt-5-mini", "my-own")
    assert (own["max_tokens"], own["temperature"]) == (7, 0.0)


async def test_an_answer_has_its_price_with_cached_tokens_at_theirs() -> None:
    with serving(answer("ok"), answer("ok", cached=10)) as (base, _):
        chat = load_model("openai/gpt-4.1-mini", api_base=base)
        full, cached = [(await chat.ainvoke(ASK)).response_metadata["cost"] for _ in range(2)]
    assert full == pytest.approx(10 * 4e-7 + 5 * 16e-7) and cached == pytest.approx(10 * 1e-7 + 5 * 16e-7)


@pytest.mark.parametrize("name", ["openai/gpt-4.1-mini", "openai/gpt-5.4", "anthropic/claude-sonnet-4-5"])
@pytest.mark.parametrize("read", [1_000, 300_000])
def test_prices_are_those_of_litellm(name: str, read: int) -> None:
    litellm = load_litellm()
    usage = {
        "prompt_tokens": read,
        "completion_tokens": 50,
        "total_tokens": read + 50,
        "prompt_tokens_details": {"cached_tokens": read // 2},
    }
    wanted = sum(litellm.cost_per_token(model=name, usage_object=litellm.Usage(**usage)))
    assert wanted > 0 and price(name, usage) == pytest.approx(wanted)
    assert price("openai/nobody-knows", usage) == 0


@pytest.mark.parametrize("body", ["<html>busy</html>", {"error": {"message": "overloaded", "code": None}}, []])
async def test_an_answer_that_is_none_is_asked_for_again(body: Any) -> None:
    with serving((200, {}, body), answer("at last")) as (base, stub):
        reply = await Caller(load_model("openai/x", api_base=base), retry=QUICK).call(ASK)
    assert (reply.text, len(stub.requests)) == ("at last", 2)


async def test_an_error_in_the_middle_of_a_stream_is_not_taken_for_its_end() -> None:
    first = {"choices": [{"index": 0, "delta": {"content": "half"}}]}
    events = [first, {"error": {"message": "the server gave up"}}]
    with serving((200, {}, events)) as (base, _), pytest.raises(ModelError, match="the server gave up"):
        await Caller(load_model("openai/x", api_base=base), retry=Retry(attempts=1)).call(ASK, on_token=print)


async def test_no_answer_in_time_is_a_retryable_error() -> None:
    left = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    silent = await asyncio.start_server(listen, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/v1"
    chat = load_model("openai/x", api_base=base, request_timeout=0.05)
    with pytest.raises(ModelError, match=r"no answer in 0\.05 s") as caught:
        await Caller(chat, retry=Retry(attempts=1)).call(ASK)
    await left.wait()
    silent.close()
    assert caught.value.retryable


PROGRAM = """
import asyncio, sys
from agentkit.models import load_model
chat = load_model("openai/x", api_base=sys.argv[1])
for _ in range(2):
    print(asyncio.run(chat.ainvoke("hi")).text)
print(chat.invoke("hi").text)
"""


def test_connections_end_with_their_loop_and_with_the_process() -> None:
    with serving(answer("ok")) as (base, _):
        done = subprocess.run([sys.executable, "-X", "dev", "-c", PROGRAM, base], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("ok\nok\nok\n", 0)
    assert "nclosed" not in done.stderr and "Traceback" not in done.stderr, done.stderr
