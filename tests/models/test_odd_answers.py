"""What servers answer that is not as it should be: each shape is read, asked for again, or one clear error."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import BaseModel

from agentkit.errors import AgentKitError, BudgetExceeded, ContextOverflow, Declined, ModelError, QuotaUsedUp
from agentkit.graph.program import Solve
from agentkit.models import Budget, Caller, Retry, load_embedder, load_model
from agentkit.models.budget import Usage
from agentkit.models.caller import Reply
from agentkit.models.refusals import refusal
from agentkit.models.speech import wrapped_answer
from agentkit.roles.explorer import Approach
from agentkit.tasks import Task, load_tasks
from tests.models.stub import answer, failure, serving

ASK = [HumanMessage("hi")]
QUICK = Retry(attempts=2, base=0.001, cap=0.002)
GOOD = {"name": "Bern", "people": 3}


class City(BaseModel):
    name: str
    people: int


def lookup(city: str) -> str:
    """Look a city up."""
    return city


@pytest.fixture(params=["openai", "hosted_vllm"])
def model(request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """Makes a model of a server's address: over the bare protocol, and through LiteLLM."""
    return lambda base: load_model(f"{request.param}/gpt-test", api_base=base)


def said(message: object, finish: object = "stop", **more: Any) -> tuple[int, Any, Any]:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return 200, {}, {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], **more}


def called(arguments: object, name: object = "answer", **more: Any) -> tuple[int, Any, Any]:
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}, **more}
    return said({"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls")


def text(content: object) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


BODIES: dict[str, Any] = {
    **{f"body {body!r}": (200, {}, body) for body in (None, 7, "text", [1], {}, {"id": "1"}, [[]])},
    **{
        f"choices {given!r}": (200, {}, {"id": "1", "choices": given})
        for given in (
            None,
            [],
            {},
            "x",
            7,
            [None],
            [[]],
            ["x"],
            [{}],
            [{"message": None}],
            [{"message": []}],
            [{"message": "x"}],
            [{"finish_reason": "stop"}],
        )
    },
    **{
        f"content {given!r}": said(text(given))
        for given in (None, "", " ", 7, {}, {"text": 5}, [], [None], [7], [{"type": "image_url"}], True)
    },
    **{
        f"calls {given!r}": said({"role": "assistant", "content": None, "tool_calls": given}, "tool_calls")
        for given in (
            "x",
            7,
            {},
            [None],
            ["x"],
            [{}],
            [{"function": None}],
            [{"function": {}}],
            [{"function": "f"}],
            [{"function": {"name": None, "arguments": "{}"}}],
            [{"function": {"name": 7, "arguments": "{}"}}],
            [{"type": "custom", "custom": {"name": "f", "input": "x"}}],
        )
    },
    **{
        f"arguments {given!r}": called(given)
        for given in (None, "", "null", "7", '"x"', "[1]", "{", "{'a': 1}", [1], 7, True, "[" * 3000, '{"a": NaN}')
    },
    "ten thousand calls": said(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": str(n), "type": "function", "function": {"name": "lookup", "arguments": "{}"}}
                for n in range(10_000)
            ],
        }
    ),
}
"""Answers without an answer in them."""


@pytest.mark.parametrize("name", BODIES)
async def test_an_answer_without_an_answer_in_it_is_a_model_error(name: str) -> None:
    with serving(BODIES[name]) as (base, _), pytest.raises(ModelError) as caught:
        await Caller(load_model("openai/x", api_base=base), retry=QUICK).call(ASK, tools=[lookup], schema=City)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", list(BODIES)[::3])
async def test_the_same_holds_through_litellm(name: str) -> None:
    with serving(BODIES[name]) as (base, _), pytest.raises(ModelError) as caught:
        await Caller(load_model("hosted_vllm/x", api_base=base), retry=QUICK).call(ASK, tools=[lookup], schema=City)
    assert "\n" not in str(caught.value)


USAGES: list[Any] = [
    None,
    7,
    "x",
    [],
    {},
    {"prompt_tokens": None},
    {"prompt_tokens": "12", "completion_tokens": "3"},
    {"prompt_tokens": -5, "completion_tokens": -7},
    {"prompt_tokens": math.inf},
    {"prompt_tokens": 1e300},
    {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": "x"},
    {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": -3}},
    {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 99}},
    {"prompt_tokens": True, "completion_tokens": [1]},
    {"input_tokens": 3, "output_tokens": 4},
]


@pytest.mark.parametrize("usage", USAGES, ids=repr)
async def test_odd_usage_costs_no_answer_and_lowers_no_budget(usage: Any) -> None:
    with serving(said(text("ok"), usage=usage)) as (base, _):
        budget = Budget(tokens=10).start(tokens=5)
        reply = await Caller(load_model("openai/gpt-4.1-mini", api_base=base), budget=budget).call(ASK)
    assert reply.text == "ok" and budget.tokens >= 5
    assert min(reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.cost) >= 0


@pytest.mark.parametrize("arguments", [GOOD, json.dumps(GOOD), json.dumps(json.dumps(GOOD))])
async def test_arguments_are_read_as_an_object_as_its_text_and_encoded_twice(arguments: Any) -> None:
    with serving(called(arguments)) as (base, stub):
        reply = await Caller(load_model("openai/x", api_base=base)).call(ASK, schema=City)
    assert (reply.parsed, len(stub.requests)) == (City(**GOOD), 1)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": None, "function_call": {"name": "answer", "arguments": json.dumps(GOOD)}},
        {"role": "assistant", "content": None, "tool_calls": [{"name": "answer", "arguments": GOOD}]},
        text([{"type": "text", "text": json.dumps(GOOD)}]),
        text([{"type": "thinking", "thinking": "hm {}"}, {"type": "text", "text": json.dumps(GOOD)}]),
        {"role": "assistant", "content": None, "reasoning_content": json.dumps(GOOD)},
        text(f'<think>{{"name": "Rome", "people": 1}}</think>{json.dumps(GOOD)}'),
        text(f'It may be {{"name": "Rome"}}.\n</think>\n\n{json.dumps(GOOD)}'),
        text(f"[THINK]no {{}} yet[/THINK]{json.dumps(GOOD)}"),
        text(f"Sure:\n```json\n{json.dumps(GOOD, indent=1)}\n```\nIs {{that}} all?"),
        text(f"{json.dumps(GOOD)}\n{json.dumps(GOOD)}"),
        text(f'First {{"name": 1}} then {json.dumps(GOOD)}, and {{"x": 2}}'),
        text(json.dumps({"name": "answer", "arguments": GOOD})),
        text(f"<tool_call>{json.dumps({'name': 'answer', 'arguments': GOOD})}</tool_call>"),
        text(json.dumps([GOOD])),
        text(json.dumps({"answer": GOOD})),
    ],
    ids=lambda message: json.dumps(message)[:60],
)
async def test_an_answer_is_found_in_whatever_form_it_comes(message: Any) -> None:
    with serving(said(message)) as (base, stub):
        reply = await Caller(load_model("openai/x", api_base=base)).call(ASK, schema=City)
    assert (reply.parsed, len(stub.requests)) == (City(**GOOD), 1)


async def test_a_draft_among_the_thoughts_is_no_answer() -> None:
    draft = text(f"<think>{json.dumps(GOOD)}</think>I am not sure.")
    with serving(said(draft), called(json.dumps({"name": "Oslo", "people": 9}))) as (base, stub):
        reply = await Caller(load_model("openai/x", api_base=base)).call(ASK, schema=City)
    assert (reply.parsed.name, len(stub.requests)) == ("Oslo", 2)


async def test_a_text_is_read_without_the_thoughts_that_lead_it() -> None:
    with serving(said(text("<think>Six times seven.</think>\n\n42"))) as (base, _):
        assert (await Caller(load_model("openai/x", api_base=base)).call(ASK)).text == "42"


@pytest.mark.parametrize(
    "name", ["lookup<|channel|>commentary", "functions.lookup", "functions.lookup:0", "default_api:lookup", " lookup "]
)
async def test_a_name_with_a_namespace_or_control_tokens_is_the_tools(model: Any, name: str) -> None:
    with serving(called('{"city": "Bern"}', name)) as (base, _):
        reply = await Caller(model(base)).call(ASK, tools=[lookup], schema=City)
    assert [call["name"] for call in reply.message.tool_calls] == ["lookup"]


async def test_a_tool_that_is_not_there_is_answered_with_those_that_are(model: Any) -> None:
    with serving(called("{}", "web_search"), called(json.dumps(GOOD))) as (base, stub):
        reply = await Caller(model(base)).call(ASK, tools=[lookup], schema=City)
    mend = stub.requests[1]["messages"][-1]["content"]
    assert reply.parsed == City(**GOOD) and "web_search" in mend and "lookup, answer" in mend


async def test_calls_that_share_an_id_or_have_none_get_their_own(model: Any) -> None:
    calls = [
        {"id": None, "type": "function", "function": {"name": "lookup", "arguments": json.dumps({"city": city})}}
        for city in ("Bern", "Oslo")
    ]
    with serving(said({"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls")) as (base, _):
        reply = await Caller(model(base)).call(ASK, tools=[lookup], schema=City)
    assert [call["args"]["city"] for call in reply.message.tool_calls] == ["Bern", "Oslo"]
    assert len({call["id"] for call in reply.message.tool_calls}) == 2


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (said(text(""), "content_filter"), "filter"),
        (said(None, "content_filter"), "filter"),
        (said(text("half an ans"), "content_filter"), "filter"),
        (said({**text(None), "refusal": "I can't help with that."}), "I can't help"),
        (said(text(None), "refusal"), "refused"),
    ],
    ids=str,
)
async def test_a_refusal_and_a_filter_are_said_and_not_asked_for_again(reply: Any, words: str) -> None:
    with serving(reply) as (base, stub), pytest.raises(Declined, match=words):
        await Caller(load_model("openai/x", api_base=base), retry=QUICK).call(ASK, schema=City)
    assert len(stub.requests) == 1


async def test_an_answer_that_the_token_limit_cut_off_is_said_to_be_that(model: Any) -> None:
    half = {"id": "c", "type": "function", "function": {"name": "answer", "arguments": '{"name": "Be'}}
    cut = said({**text(None), "tool_calls": [half]}, "length")
    with serving(cut) as (base, _), pytest.raises(ModelError, match="cut off by the token limit"):
        await Caller(model(base), retry=QUICK).call(ASK, schema=City)
    with (
        serving(said(text(""), "length")) as (base, stub),
        pytest.raises(ModelError, match="cut off by the token limit"),
    ):
        await Caller(model(base), retry=QUICK).call(ASK)
    assert len(stub.requests) == 1


def event(part: Any = None, *, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": part or {}, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}


def piece(arguments: Any, name: str | None = "lookup", **more: Any) -> dict[str, Any]:
    return event({"tool_calls": [{"type": "function", "function": {"name": name, "arguments": arguments}, **more}]})


BERN, OSLO = '{"city": "Bern"}', '{"city": "Oslo"}'
STREAMS: dict[str, list[dict[str, Any]]] = {
    "ids and no index": [piece(BERN, id="a"), piece(OSLO, id="b")],
    "neither": [piece(BERN), piece(OSLO)],
    "one index for all": [piece(BERN, id="a", index=0), piece(OSLO, id="b", index=0)],
    "the name again": [
        piece(BERN[:5], id="a", index=0),
        piece(BERN[5:], id="a", index=0),
        piece(OSLO, id="b", index=1),
    ],
    "interleaved": [
        piece("", id="a", index=0),
        piece("", id="b", index=1),
        piece(BERN, None, index=0),
        piece(OSLO, None, index=1),
    ],
    "objects": [piece({"city": "Bern"}, id="a", index=0), piece({"city": "Oslo"}, id="b", index=1)],
    "index as text": [piece(BERN, id="a", index="0"), piece(OSLO, id="b", index="1")],
    "no id in later pieces": [piece(BERN[:4], id="a"), piece(BERN[4:], None), piece(OSLO, id="b")],
}


@pytest.mark.parametrize("name", STREAMS)
async def test_streamed_calls_are_told_apart(name: str) -> None:
    with serving((200, {}, [*STREAMS[name], event(finish="tool_calls")])) as (base, _):
        reply = await Caller(load_model("openai/x", api_base=base)).call(ASK, tools=[lookup], on_token=print)
    assert [(call["name"], call["args"]["city"]) for call in reply.message.tool_calls] == [
        ("lookup", "Bern"),
        ("lookup", "Oslo"),
    ]


async def test_streamed_arguments_that_are_cut_off_are_an_invalid_call_and_not_a_shorter_one(model: Any) -> None:
    events = [piece('{"city": "Be', id="a", index=0), event(finish="length")]
    with serving((200, {}, events)) as (base, stub), pytest.raises(ModelError, match="cut off"):
        await Caller(model(base), retry=QUICK).call(ASK, tools=[lookup], on_token=print)
    assert len(stub.requests) == 3


async def test_a_running_count_of_tokens_is_not_added_up() -> None:
    counts = [{"prompt_tokens": 100, "completion_tokens": n, "total_tokens": 100 + n} for n in (1, 2, 3)]
    events = [event({"content": sign}, usage=usage) for sign, usage in zip("abc", counts, strict=True)]
    with serving((200, {}, [*events, event(finish="stop")])) as (base, _):
        reply = await Caller(load_model("openai/x", api_base=base)).call(ASK, on_token=print)
    assert (reply.text, reply.usage.input_tokens, reply.usage.output_tokens) == ("abc", 100, 3)


@pytest.mark.parametrize("events", [[], [{"choices": []}], [event(usage={"prompt_tokens": 1})]], ids=str)
async def test_a_stream_of_nothing_is_a_retryable_error(events: list[Any]) -> None:
    with serving((200, {}, events)) as (base, _), pytest.raises(ModelError) as caught:
        await Caller(load_model("openai/x", api_base=base), retry=Retry(attempts=1)).call(ASK, on_token=print)
    assert caught.value.retryable


async def test_a_character_cut_in_two_by_the_stream_is_whole() -> None:
    events = [event({"content": "a\ud83d"}), event({"content": "\ude00b\ud83d"}), event(finish="stop")]
    pieces: list[str] = []
    with serving((200, {}, events)) as (base, _):
        reply = await Caller(load_model("openai/x", api_base=base)).call(ASK, on_token=pieces.append)
    assert reply.text == "a\U0001f600b\ufffd" == "".join(pieces)


async def test_a_server_that_does_not_stream_is_read_all_the_same() -> None:
    with serving(answer("whole")) as (base, _):
        reply = await Caller(load_model("openai/x", api_base=base)).call(ASK, on_token=print)
    assert reply.text == "whole"


SAYS = "API key not valid."
ERRORS: list[Any] = [
    {"error": {"message": SAYS}},
    {"error": SAYS},
    {"message": SAYS},
    {"detail": SAYS},
    {"Message": SAYS},
    [{"error": {"code": 400, "message": SAYS, "status": "INVALID_ARGUMENT"}}],
    {"detail": [{"loc": [1], "msg": SAYS}]},
    {"errors": [{"message": SAYS}]},
    {"type": "error", "error": {"type": "authentication_error", "message": SAYS}},
    {"error": {"message": json.dumps({"error": {"message": SAYS}})}},
    {"a": 1, "error": {"error": {"message": SAYS}}},
    {"error": {"message": "Provider returned error", "metadata": {"raw": json.dumps({"error": {"message": SAYS}})}}},
]


@pytest.mark.parametrize("body", ERRORS, ids=lambda body: json.dumps(body)[:70])
@pytest.mark.parametrize("indent", [None, 2])
async def test_a_providers_reason_is_the_line(model: Any, body: Any, indent: int | None) -> None:
    with (
        serving((400, {}, json.loads(json.dumps(body, indent=indent)))) as (base, _),
        pytest.raises(ModelError) as caught,
    ):
        await Caller(model(base), retry=QUICK).call(ASK)
    assert SAYS in str(caught.value) and "{" not in str(caught.value) and not caught.value.retryable
    assert SAYS in str(refusal("m", 400, json.dumps(body, indent=indent)))


def test_a_page_of_html_is_read_as_its_words() -> None:
    page = "<html><head><style>b{}</style><title>502 Bad Gateway</title></head><body>nginx</body></html>"
    error = refusal("m", 502, page)
    assert str(error) == "m: 502 Bad Gateway nginx" and error.retryable


OVERFLOWS = [
    "prompt is too long: 208310 tokens > 200000 maximum",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
    "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
    "The number of tokens to keep from the initial prompt is greater than the context length.",
    "Input is too long for requested model.",
    "Invalid request: Your request exceeded model token limit: 131072",
    "invalid params, context window exceeds limit",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193.",
    "`inputs` must have less than 4096 tokens. Given: 5000",
    "the request exceeds the available context size, try increasing it",
    "This endpoint's maximum context length is 131072 tokens. However, you requested about 200000 tokens",
    "too many tokens: size limit exceeded by 11326 tokens. Try using shorter or fewer inputs.",
    "Please reduce the length of the messages or completion.",
    "input length and `max_tokens` exceed context limit: 198000 + 20000 > 200000",
    "Range of input length should be [1, 6000]",
]


@pytest.mark.parametrize("message", OVERFLOWS)
def test_a_prompt_that_is_too_long_is_known_in_every_providers_words(message: str) -> None:
    assert isinstance(refusal("m", 400, {"error": {"message": message}}), ContextOverflow)


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is too large: 100000. This model supports at most 16384 completion tokens",
        "Rate limit reached on tokens per min (TPM): Limit 30000, Requested 40000.",
        "You exceeded your current quota",
        "temperature must be between 0 and 2",
    ],
)
def test_other_limits_are_no_overflow(message: str) -> None:
    assert not isinstance(
        refusal("m", 429 if "imit" in message else 400, {"error": {"message": message}}), ContextOverflow
    )


async def test_a_quota_that_is_used_up_is_asked_once_and_a_rate_limit_again(model: Any) -> None:
    used_up = failure(429, "You exceeded your current quota", "insufficient_quota")
    with serving(used_up) as (base, stub), pytest.raises(QuotaUsedUp, match="quota") as caught:
        await Caller(model(base), retry=QUICK).call(ASK)
    assert len(stub.requests) == 1 and caught.value.retryable
    with serving(failure(429, "Rate limit reached", "rate_limit_exceeded", retry_after="0"), answer("ok")) as (base, _):
        assert (await Caller(model(base), retry=QUICK).call(ASK)).text == "ok"


@pytest.mark.parametrize(
    ("status", "body", "wait"),
    [
        (429, [{"error": {"message": "You exceeded your current quota", "details": [{"retryDelay": "34s"}]}}], 34),
        (429, {"error": {"code": "429", "message": "Please retry after 20 seconds."}}, 20),
        (429, {"error": {"message": "tokens per min (TPM). Please try again in 6m0.5s."}}, 360.5),
        (429, {"error": {"message": "Please try again in 20ms."}}, 0.02),
    ],
    ids=str,
)
def test_a_wait_is_read_from_the_body_where_no_header_says_it(status: int, body: Any, wait: float) -> None:
    error = refusal("m", status, body)
    assert error.retryable and error.retry_after == wait and not isinstance(error, QuotaUsedUp)


async def test_retry_after_beyond_the_budget_ends_the_call_at_once_with_the_providers_reason(model: Any) -> None:
    for wait, error in (("1e9", AgentKitError), ("300", BudgetExceeded)):
        with serving(failure(429, "slow down", retry_after=wait)) as (base, stub), pytest.raises(error, match="slow"):
            await Caller(model(base), budget=Budget(seconds=30).start()).call(ASK)
        assert len(stub.requests) == 1


async def test_the_fallback_answers_where_the_first_asks_for_more_time_than_the_budget_has(
    model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(failure(429, retry_after="300")) as (first, _), serving(answer("second")) as (second, _):
        caller = Caller([model(first), model(second)], budget=Budget(seconds=60).start())
        assert (await caller.call(ASK)).text == "second"
    assert any("falling back to" in record.message for record in caplog.records if record.levelno == logging.WARNING)


async def test_a_silent_provider_ends_with_the_budgets_time() -> None:
    release = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    silent = await asyncio.start_server(listen, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/v1"
    with pytest.raises(BudgetExceeded, match="seconds"):
        await Caller(load_model("openai/x", api_base=base), budget=Budget(seconds=0.1).start()).call(ASK)
    release.set()
    silent.close()


async def test_each_try_counts_in_the_budget_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "agentkit.models")
    with serving(failure(503, "down")) as (base, stub), pytest.raises(BudgetExceeded, match=r"calls.*down"):
        budget = Budget(calls=2).start()
        await Caller(load_model("openai/x", api_base=base), retry=Retry(base=0.001), budget=budget).call(ASK)
    assert len(stub.requests) == 2
    assert any("try 2 of 5" in record.message for record in caplog.records)


@pytest.mark.parametrize("tools", [(), (lookup,)], ids=["alone", "with tools"])
async def test_where_a_forced_call_is_refused_the_form_is_asked_for_in_words(tools: Any) -> None:
    refused = failure(400, "this model takes no forced tool_choice while it thinks")
    with serving(refused, called(json.dumps(GOOD))) as (base, stub):
        caller = Caller(load_model("openai/x", api_base=base))
        first = await caller.call(ASK, tools=tools, schema=City)
        second = await caller.call(ASK, tools=tools, schema=City, scope="again")
    assert first.parsed == second.parsed == City(**GOOD) and len(stub.requests) == 3
    assert stub.requests[1]["tool_choice"] == "auto" and "answer" in stub.requests[1]["messages"][0]["content"]


async def test_where_tools_are_refused_calls_and_answers_are_written_as_text() -> None:
    refused = failure(400, "registry.ollama.ai/library/gemma does not support tools")
    call = said(text('{"name": "lookup", "arguments": {"city": "Bern"}}'))
    final = said(text(json.dumps({"name": "answer", "arguments": GOOD})))
    with serving(refused, call, final) as (base, stub):
        caller = Caller(load_model("openai/x", api_base=base))
        first = await caller.call(ASK, tools=[lookup], schema=City)
        second = await caller.call(ASK, tools=[lookup], schema=City, scope="again")
    assert first.message.tool_calls[0]["args"] == {"city": "Bern"} and second.parsed == City(**GOOD)
    assert "tools" not in stub.requests[1] and "lookup" in stub.requests[1]["messages"][0]["content"]


def vectors(*rows: Any) -> tuple[int, Any, Any]:
    return (
        200,
        {},
        {"object": "list", "model": "e", "data": list(rows), "usage": {"prompt_tokens": 1, "total_tokens": 1}},
    )


def row(index: Any, vector: Any) -> dict[str, Any]:
    return {"object": "embedding", "index": index, "embedding": vector}


def test_vectors_are_those_of_their_index() -> None:
    with serving(vectors(row(1, [0.0, 1.0]), row(0, [1.0, 0.0]))) as (base, _):
        embedder = load_embedder("openai/e", dimension=2, api_base=base, api_key="k")
        assert embedder.embed_documents(["a", "b"]) == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(0, [1.0, 0.0])],
        [row(0, [1.0, 0.0]), row(0, [0.0, 1.0])],
        [row(0, [1.0, 0.0]), row(5, [0.0, 1.0])],
        [row(0, [1.0]), row(1, [0.0])],
        [row(0, []), row(1, [])],
        [row(0, None), row(1, None)],
        [row(0, "!"), row(1, "!")],
        [row(0, [math.nan, 1.0]), row(1, [0.0, 1.0])],
        [row(0, ["x", 1.0]), row(1, [0.0, 1.0])],
        [None, None],
    ],
    ids=str,
)
def test_vectors_that_are_none_or_for_other_texts_are_an_error_of_our_own(rows: Any) -> None:
    with serving(vectors(*rows)) as (base, _):
        embedder = load_embedder("openai/e", dimension=2, api_base=base, api_key="k")
        with pytest.raises(AgentKitError):
            embedder.embed_documents(["a", "b"])


def test_a_text_that_the_embedder_finds_too_long_is_shortened(caplog: pytest.LogCaptureFixture) -> None:
    too_long = failure(400, "This model's maximum context length is 8192 tokens, however you requested 12000 tokens.")
    with serving(too_long, vectors(row(0, [1.0, 0.0]))) as (base, stub):
        embedder = load_embedder("openai/e", dimension=2, api_base=base, api_key="k")
        assert embedder.embed_query("word " * 4000) == [1.0, 0.0]
    assert len(stub.requests[1]["input"][0]) == 10_000 and "only the first" in caplog.text


def test_a_target_that_is_nan_is_missing_and_numbers_are_ids(tmp_path: Path) -> None:
    rows = tmp_path / "tasks.jsonl"
    rows.write_text('{"id": 1, "input": "a", "target": 4}\n{"id": 2, "input": "b", "target": NaN}\n', encoding="utf-8")
    assert load_tasks(rows, limit=1)[0].id == "1"
    with pytest.raises(AgentKitError, match=r"tasks\.jsonl:2: target"):
        load_tasks(rows)


@pytest.mark.parametrize("tools", [[], [lookup]])
async def test_an_answer_given_as_a_call_where_words_are_asked_for_is_not_lost(model: Any, tools: Any) -> None:
    for name in ("answer", "functions.answer"):
        with serving(called('{"reasoning": "r", "answer": 7, "used": []}', name)) as (base, requests):
            reply = await Caller(model(base)).call(ASK, tools=tools)
        assert (reply.text, reply.message.tool_calls, len(requests.requests)) == ("7", [], 1)


async def test_a_call_of_answer_that_holds_none_is_asked_for_again(model: Any) -> None:
    with serving(called('{"answer": ["a"]}'), called("[1]"), called('{"answer": "Bern"}')) as (base, requests):
        reply = await Caller(model(base)).call(ASK, tools=[lookup])
    assert (reply.text, len(requests.requests)) == ("Bern", 3)


async def test_a_tool_of_the_name_answer_is_a_tool(model: Any) -> None:
    def answer(text: str) -> str:
        """Send an answer."""
        return text

    with serving(called('{"answer": "Bern"}')) as (base, _):
        reply = await Caller(model(base)).call(ASK, tools=[answer])
    assert [call["name"] for call in reply.message.tool_calls] == ["answer"]


FORM = '{"reasoning": "one by one", "answer": "five geese", "used": []}'


@pytest.mark.parametrize(
    "text",
    [
        FORM,
        f"<think>\n{{}}\n</think>\n{FORM}",
        f"So:\n```json\n{FORM}\n```\nIs {{anything}} unclear?",
        f"{FORM}\n{FORM}",
    ],
)
def test_an_answer_in_a_form_that_nobody_asked_for_is_unwrapped(text: str) -> None:
    assert wrapped_answer(text) == "five geese"


@pytest.mark.parametrize(
    "text", ["five geese", '{"answer": "x"}', '{"reasoning": "r", "answer": {"a": 1}}',
             '{"reasoning": "r", "answer": "x", "source": "y"}'],
)  # fmt: skip
def test_other_objects_are_the_answer_itself(text: str) -> None:
    assert wrapped_answer(text) is None


@pytest.mark.parametrize("field", ["input", "instructions"])
def test_who_asks_for_json_gets_it(field: str) -> None:
    task = Task(id="t", **{"input": "How many geese?", field: 'Give {"reasoning": …, "answer": …}'})
    reply = Reply(message=AIMessage(FORM), parsed=None, usage=Usage())
    assert Solve().read_answer(task, reply, Approach()) == FORM
    plain = Task(id="t", input="How many geese?")
    assert Solve().read_answer(plain, reply, Approach()) == "five geese"
