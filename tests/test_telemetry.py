"""Spans: what is in them, and what is only where that is wanted."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agentkit import Agent, telemetry
from agentkit.models import Caller
from agentkit.store import Store
from agentkit.testing import ScriptedModel
from agentkit.tools import run_tool

CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
CALL = {"name": "weather", "args": {"city": "Atlantis"}, "id": "c1"}
ASKED = [
    SystemMessage("Be brief."),
    HumanMessage("Is it wet?"),
    AIMessage("", tool_calls=[CALL]),
    ToolMessage("very", tool_call_id="c1"),
]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What an SDK that the program has set up gets."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


@tool
def weather(city: str) -> str:
    """The weather somewhere."""
    return f"wet in {city}"


def only(spans: InMemorySpanExporter) -> ReadableSpan:
    (span,) = spans.get_finished_spans()
    return span


async def test_a_model_call_is_a_span_with_its_usage_and_without_its_content(spans: InMemorySpanExporter) -> None:
    await Caller(ScriptedModel(["Yes, very."])).call(ASKED)
    span = only(spans)
    assert span.name.startswith("chat ") and span.attributes is not None
    assert span.attributes["gen_ai.operation.name"] == "chat" and "gen_ai.usage.output_tokens" in span.attributes
    assert not any(secret in span.to_json() for secret in ("wet", "Atlantis", "very", "brief"))


async def test_a_tool_call_is_a_span_without_its_content(spans: InMemorySpanExporter) -> None:
    await run_tool(weather, {"city": "Atlantis"})
    span = only(spans)
    assert span.name == "execute_tool weather" and span.attributes is not None
    assert span.attributes["gen_ai.tool.name"] == "weather"
    assert "Atlantis" not in span.to_json()


async def test_content_is_recorded_where_that_is_wanted(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONTENT, "true")
    await Caller(ScriptedModel(["Yes, very."])).call(ASKED)
    await run_tool(weather, {"city": "Atlantis"})
    chat, call = (dict(span.attributes or {}) for span in spans.get_finished_spans())
    assert json.loads(str(chat["gen_ai.input.messages"])) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "Is it wet?"}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Atlantis"}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "very"}]},
    ]
    assert json.loads(str(chat["gen_ai.output.messages"])) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Yes, very."}], "finish_reason": "stop"}
    ]
    assert call["gen_ai.tool.call.arguments"] == '{"city": "Atlantis"}'
    assert call["gen_ai.tool.call.result"] == "wet in Atlantis"


async def test_a_run_is_a_span_that_holds_those_of_its_calls(spans: InMemorySpanExporter, store: Store) -> None:
    done = await Agent(ScriptedModel([{"reasoning": "", "answer": "4"}]), store=store, evaluate=False).arun("2 + 2?")
    chat, run = spans.get_finished_spans()
    assert run.name == "invoke_agent agentkit" and (run.attributes or {})["gen_ai.conversation.id"] == done.run_id
    assert run.context is not None and chat.parent is not None and chat.parent.span_id == run.context.span_id


async def test_without_an_sdk_there_are_no_spans() -> None:
    with telemetry.span("chat", "model") as span:
        assert not span.is_recording() and not trace.get_current_span().get_span_context().is_valid
