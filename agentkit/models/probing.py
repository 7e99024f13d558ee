"""The measurements of `agentkit models test`: one model, on this machine."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Unpack

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, Field

from agentkit.json_types import JsonObject
from agentkit.models.budget import Usage
from agentkit.models.embedders import load_embedder
from agentkit.models.load import load_model
from agentkit.models.options import ModelOptions


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The results. Everything is measured once, so load on the machine shows in the speeds.

    Attributes:
        load_seconds: until the model was ready.
        prompt_speed, decode_speed: tokens per second, read and written; None if the model does not report them.
        tools: whether it called the tool that it had to, with arguments of the right types.
        schema: whether it gave a valid structured answer.
    """

    name: str
    load_seconds: float
    prompt_speed: float | None
    decode_speed: float | None
    tools: bool
    schema: bool

    def to_json(self) -> JsonObject:
        return asdict(self)


class _Person(BaseModel):
    """A person named in the text."""

    name: str
    age: int = Field(ge=0)


def probe_chat(name: str, **options: Unpack[ModelOptions]) -> Probe:
    """Load a chat model and test it.

    Raises:
        AgentKitError: it can't be loaded, or a call fails.
    """
    model = load_model(name, **options)
    started = time.perf_counter()
    if hasattr(model, "warm_up"):
        model.warm_up()
    loaded = time.perf_counter() - started
    prompt_speed, decode_speed = _speeds(model)
    return Probe(
        name=name,
        load_seconds=round(loaded, 2),
        prompt_speed=prompt_speed,
        decode_speed=decode_speed,
        tools=_calls_tools(model),
        schema=_follows_schema(model),
    )


def probe_embedder(name: str, texts: int = 64) -> JsonObject:
    """Load an embedder and embed some texts; returns `load_seconds`, `texts_per_second`, `dimension`."""
    started = time.perf_counter()
    embedder = load_embedder(name)
    embedder.embed_query("warm up")
    loaded = time.perf_counter() - started
    sample = [f"Sentence number {number}: the quick brown fox jumps over the lazy dog." for number in range(texts)]
    started = time.perf_counter()
    embedder.embed_documents(sample)
    speed = texts / (time.perf_counter() - started)
    return {
        "name": name,
        "load_seconds": round(loaded, 2),
        "texts_per_second": round(speed, 1),
        "dimension": embedder.dimension,
    }


def _speeds(model: BaseChatModel) -> tuple[float | None, float | None]:
    """From the model's own timings, or else by the clock: one call with a single token of answer, then one with
    many."""
    prompt: list[BaseMessage] = [
        SystemMessage("You are terse. " + "Rule: answer in plain words and keep to the question. " * 30),
        HumanMessage("Write about sixty words on why the sky is blue."),
    ]
    started = time.perf_counter()
    first = model.invoke(prompt, max_tokens=1)
    reading = time.perf_counter() - started
    timings = first.response_metadata.get("timings") or {}
    read = timings.get("prompt_per_second") or _rate(Usage.of(first).input_tokens, reading)
    started = time.perf_counter()
    second = model.invoke(prompt, max_tokens=64)
    writing = time.perf_counter() - started
    timings = second.response_metadata.get("timings") or {}
    written = timings.get("predicted_per_second") or _rate(Usage.of(second).output_tokens, writing)
    return _round(read), _round(written)


def _rate(tokens: int, seconds: float) -> float | None:
    return tokens / seconds if tokens else None


def _round(speed: float | None) -> float | None:
    return None if speed is None else round(float(speed), 1)


def _calls_tools(model: BaseChatModel) -> bool:
    def add(a: int, b: int) -> int:
        """Add two whole numbers."""
        return a + b

    message = model.bind_tools([add], tool_choice="any").invoke("What is 17 plus 25? Use the tool.", max_tokens=128)
    return any(
        call["name"] == "add" and all(isinstance(call["args"].get(key), int) for key in "ab")
        for call in message.tool_calls
    )


def _follows_schema(model: BaseChatModel) -> bool:
    answer = model.with_structured_output(_Person).invoke(
        "Ada Lovelace was 36 years old. Extract the person.", max_tokens=128
    )
    return isinstance(answer, _Person)
