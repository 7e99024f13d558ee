"""`local/` on a real llama.cpp with the smallest model: what must hold whatever the model is worth."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, Field

from agentkit.errors import ContextOverflow
from agentkit.models import Caller, load_embedder, load_model
from agentkit.models.catalog import find
from tests.models.conformance import TINY, need

pytestmark = pytest.mark.model


class Verdict(BaseModel):
    """A verdict."""

    decision: Literal["accept", "revise"]
    score: int = Field(ge=0, le=99)
    sure: bool


def wash(hot: bool) -> str:
    """Wash it."""
    return str(hot)


def paint(colour: Literal["red", "blue"], coats: Literal[1, 2]) -> str:
    """Paint it."""
    return colour


@pytest.fixture
def model() -> Any:
    need(TINY)
    return load_model(f"local/{TINY}", n_ctx=4096, n_threads=1, max_tokens=120)


@pytest.mark.parametrize("seed", range(3))
def test_tool_calls_and_structured_answers_are_valid_even_when_sampled_hot(model: Any, seed: int) -> None:
    hot = {"seed": seed, "temperature": 1.8}
    assert isinstance(model.with_structured_output(Verdict).invoke("Judge.", **hot), Verdict)
    (call,) = model.bind_tools([paint, wash], tool_choice="any").invoke("Go.", **hot).tool_calls
    if call["name"] == "paint":
        assert call["args"]["colour"] in ("red", "blue") and call["args"]["coats"] in (1, 2)
    else:
        assert call["name"] == "wash" and isinstance(call["args"]["hot"], bool)


async def test_tools_and_a_schema_are_one_union(model: Any) -> None:
    reply = await Caller(model).call([HumanMessage("Go.")], tools=[wash], schema=Verdict)
    assert reply.parsed is not None or reply.message.tool_calls[0]["name"] == "wash"


def test_a_prefix_asked_again_is_read_from_the_cache(model: Any) -> None:
    system = SystemMessage("You are a careful assistant. " * 20)
    model.invoke([system, HumanMessage("Say one.")], max_tokens=4)
    again = model.invoke([system, HumanMessage("Say two.")], max_tokens=4)
    assert again.usage_metadata["input_token_details"]["cache_read"] > 60


def test_a_seed_repeats_a_sampled_answer(model: Any) -> None:
    def say(seed: int) -> str:
        return str(model.invoke("Tell a story.", temperature=1.5, seed=seed, max_tokens=12).text)

    assert say(1) == say(1) != say(2)


def test_a_stop_text_ends_the_answer(model: Any) -> None:
    whole = model.invoke("Count: one two three", max_tokens=12).text
    stop = whole.split()[1]
    assert model.invoke("Count: one two three", max_tokens=12, stop=[stop]).text == whole[: whole.index(stop)]


def test_a_stream_is_the_same_text_with_usage(model: Any) -> None:
    chunks = list(model.stream("Say hello.", max_tokens=12))
    assert "".join(chunk.text for chunk in chunks) == model.invoke("Say hello.", max_tokens=12).text
    assert sum(chunk.usage_metadata["output_tokens"] for chunk in chunks if chunk.usage_metadata) <= 12


async def test_concurrent_calls_all_get_their_own_answer(model: Any) -> None:
    answers = await asyncio.gather(*[model.ainvoke(f"Say {number}.", max_tokens=4) for number in range(4)])
    assert len({answer.id for answer in answers}) == 4 and all(answer.text for answer in answers)


def test_a_prompt_longer_than_the_context_says_so(model: Any) -> None:
    with pytest.raises(ContextOverflow, match="4096") as caught:
        model.invoke("word " * 6000)
    assert "\n" not in str(caught.value)


def test_two_models_of_one_file_share_one_server(model: Any) -> None:
    other: Any = load_model(f"local/{TINY}", n_ctx=4096, n_threads=1, temperature=1.0)
    assert other._server() is model._server()


def test_the_embedder_gives_unit_vectors_that_know_what_is_alike() -> None:
    if not find("all-minilm-l6-v2").present:
        pytest.skip("all-minilm-l6-v2 is not downloaded")
    embedder = load_embedder("local/all-minilm-l6-v2")
    cat, kitten, tax = embedder.embed_documents(["a cat sleeps", "a kitten naps", "income tax law"])

    def dot(left: list[float], right: list[float]) -> float:
        return sum(a * b for a, b in zip(left, right, strict=True))

    assert len(cat) == embedder.dimension == 384
    assert dot(cat, cat) == pytest.approx(1, abs=1e-5)
    assert dot(cat, kitten) > dot(cat, tax) + 0.2
    assert "@" in embedder.name
