"""`hf/` on a model with random weights: what holds here holds by construction."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Literal

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel, Field

from agentkit.errors import ContextOverflow, ModelError, ModelFileError
from agentkit.models import Caller, load_model
from tests.models.tiny import make_tiny

pytest.importorskip("torch", reason="the hf extra is not installed")
pytest.importorskip("llguidance", reason="the hf extra is not installed")


class Verdict(BaseModel):
    """A verdict."""

    decision: Literal["accept", "revise"]
    score: int = Field(ge=0, le=99)
    sure: bool


def paint(colour: Literal["red", "blue"], coats: Literal[1, 2]) -> str:
    """Paint it."""
    return colour


def wash(hot: bool) -> str:
    """Wash it."""
    return str(hot)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def model(folder: str) -> Any:
    return load_model(f"hf/{folder}", max_tokens=120, temperature=1.0)


def ids(model: Any) -> list[int]:
    return list(model._batcher().batch_sizes)


@pytest.mark.parametrize("seed", range(6))
def test_a_structured_answer_is_valid_whatever_the_weights(model: Any, seed: int) -> None:
    answer = model.with_structured_output(Verdict).invoke("Judge.", seed=seed)
    assert isinstance(answer, Verdict)


@pytest.mark.parametrize("seed", range(6))
def test_a_tool_call_is_valid_whatever_the_weights(model: Any, seed: int) -> None:
    (call,) = model.bind_tools([paint, wash], tool_choice="any").invoke("Go.", seed=seed).tool_calls
    if call["name"] == "paint":
        assert call["args"]["colour"] in ("red", "blue") and call["args"]["coats"] in (1, 2)
    else:
        assert call["name"] == "wash" and isinstance(call["args"]["hot"], bool)


def test_a_named_tool_is_the_one_called(model: Any) -> None:
    for seed in range(4):
        (call,) = model.bind_tools([paint, wash], tool_choice="wash").invoke("Go.", seed=seed).tool_calls
        assert call["name"] == "wash"


async def test_tools_and_a_schema_are_one_union(model: Any) -> None:
    caller = Caller(model)
    for seed in range(4):
        reply = await caller.call([HumanMessage("Go.")], tools=[wash], schema=Verdict, seed=seed)
        assert reply.parsed is not None or reply.message.tool_calls[0]["name"] == "wash"


def test_a_model_without_a_template_works_too(tmp_path: Path) -> None:
    bare = load_model(f"hf/{make_tiny(tmp_path, template=None)}", max_tokens=120, temperature=1.0)
    assert isinstance(bare.with_structured_output(Verdict).invoke("Judge."), Verdict)


async def test_calls_that_arrive_together_share_a_batch(folder: str) -> None:
    model: Any = load_model(f"hf/{folder}", max_tokens=8, window=0.25)
    await model.ainvoke("warm up")
    before = len(ids(model))
    answers = await asyncio.gather(*[model.ainvoke(f"question {number}") for number in range(5)])
    assert sum(ids(model)[before:]) == 5 and len(ids(model)) - before < 5
    assert all(answer.usage_metadata["output_tokens"] <= 8 for answer in answers)


async def test_a_seed_gives_the_same_answer_alone_and_in_a_batch(folder: str) -> None:
    model: Any = load_model(f"hf/{folder}", max_tokens=12, temperature=0.8, window=0.25)
    alone = [(await model.ainvoke("say", seed=seed)).text for seed in range(4)]
    together = await asyncio.gather(*[model.ainvoke("say", seed=seed) for seed in range(4)])
    assert [message.text for message in together] == alone
    assert len(set(alone)) > 1


async def test_unlike_calls_share_a_batch(folder: str) -> None:
    model: Any = load_model(f"hf/{folder}", max_tokens=100, window=0.25)
    free, bound, forced = await asyncio.gather(
        model.ainvoke("a much longer prompt than the others, so that rows are padded", max_tokens=3),
        model.with_structured_output(Verdict).ainvoke("x"),
        model.bind_tools([wash], tool_choice="any").ainvoke("y"),
    )
    assert free.usage_metadata["output_tokens"] <= 3
    assert isinstance(bound, Verdict) and forced.tool_calls


def test_a_stop_text_ends_the_answer_and_is_not_part_of_it(model: Any) -> None:
    whole = model.invoke("say", seed=3).text
    stop = whole[5:7]
    cut = model.invoke("say", seed=3, stop=[stop])
    assert cut.text == whole[: whole.index(stop)]
    assert cut.response_metadata["finish_reason"] == "stop"


def test_a_stream_is_the_same_text_in_pieces_with_usage(model: Any) -> None:
    whole = model.invoke("say", seed=3, max_tokens=30)
    chunks = list(model.stream("say", seed=3, max_tokens=30))
    assert "".join(chunk.text for chunk in chunks) == whole.text
    usage = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    assert len(chunks) > 5 and len(usage) == 1 and usage[0]["output_tokens"] <= 30


def test_a_stream_never_shows_the_beginning_of_a_stop_text(model: Any) -> None:
    whole = model.invoke("say", seed=3).text
    stop = whole[5:8]
    assert "".join(chunk.text for chunk in model.stream("say", seed=3, stop=[stop])) == whole[: whole.index(stop)]


def test_an_answer_cut_off_is_an_invalid_call_and_says_why(model: Any) -> None:
    message = model.bind_tools([paint], tool_choice="any").invoke("Go.", max_tokens=5)
    assert not message.tool_calls and "max_tokens" in message.invalid_tool_calls[0]["error"]


def test_a_prompt_longer_than_the_context_says_so(tmp_path: Path) -> None:
    small = load_model(f"hf/{make_tiny(tmp_path, context=64)}")
    with pytest.raises(ContextOverflow, match="64"):
        small.invoke("x" * 100)


def test_an_impossible_schema_is_an_error_and_the_model_lives_on(model: Any) -> None:
    schema = {"title": "t", "type": "object", "properties": {"x": {"type": "nonsense"}}, "required": ["x"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "t", "schema": schema}}
    with pytest.raises(ModelError, match="grammar"):
        model.invoke("x", response_format=wanted)
    assert model.invoke("x", max_tokens=2).usage_metadata["output_tokens"] <= 2


def test_tool_results_reach_a_template_that_knows_no_tools(model: Any) -> None:
    history = [
        SystemMessage("You paint."),
        HumanMessage("Paint."),
        AIMessage("", tool_calls=[{"name": "wash", "args": {"hot": True}, "id": "1"}]),
        ToolMessage("clean", tool_call_id="1"),
    ]
    assert model.bind_tools([wash]).invoke(history, max_tokens=40).usage_metadata["input_tokens"] > 50


def test_a_folder_that_is_not_there_is_one_line() -> None:
    with pytest.raises(ModelFileError, match="no such folder"):
        load_model("hf/./nowhere")


def test_a_folder_without_a_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError) as caught:
        load_model(f"hf/{tmp_path}").invoke("x")
    assert "\n" not in str(caught.value)


def test_a_structured_answer_can_be_streamed(model: Any) -> None:
    chunks = list(model.with_structured_output(Verdict).stream("Judge."))
    assert chunks and all(isinstance(chunk, Verdict) for chunk in chunks)
    whole = None
    for chunk in model.bind_tools([wash], tool_choice="any").stream("Go."):
        whole = chunk if whole is None else whole + chunk
    assert whole is not None and whole.tool_calls[0]["name"] == "wash"


def test_log_probabilities_are_the_model_s_own_and_fit_the_text(model: Any) -> None:
    from agentkit.models.logprobs import summarize

    answer = model.bind(logprobs=True, top_logprobs=5, temperature=0.0, max_tokens=12).invoke("Say something.")
    told = answer.response_metadata["logprobs"]["content"]
    assert len(told) == 12
    assert all(item["top_logprobs"][0]["logprob"] == pytest.approx(item["logprob"]) for item in told)  # greedy
    assert all(len(item["top_logprobs"]) == 5 for item in told)
    found = summarize("".join(item["token"] for item in told), told)
    assert found is not None
    assert found.fields[""].forced == 0
    assert "logprobs" not in model.invoke("Say something.").response_metadata


def test_a_token_that_a_schema_forced_is_less_likely_than_what_the_model_wanted(model: Any) -> None:
    bound = model.bind_tools([paint], tool_choice="paint").bind(logprobs=True, top_logprobs=3, temperature=0.0)
    told = bound.invoke("Paint it.").response_metadata["logprobs"]["content"]
    assert any(item["top_logprobs"][0]["logprob"] > item["logprob"] for item in told)
