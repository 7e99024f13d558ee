"""`/v1/chat/completions`: requests, answers and streams."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from agentkit.conversation import AGENT, USER
from agentkit.files import File
from agentkit.server.failures import Refused
from agentkit.server.jobs import Job
from agentkit.server.outcome import HandedCall, Outcome
from agentkit.server.wanted import ClientRequest, Said, Wanted, chosen_tools, form_of, parse, parts_of, task_of


class ChatMessage(BaseModel):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Any = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class ChatFunction(BaseModel):
    """The name, description and parameters of a client tool."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ChatTool(BaseModel):
    """A client tool."""

    type: Literal["function"]
    function: ChatFunction


class ChatRequest(ClientRequest):
    """The body of a request."""

    messages: list[ChatMessage] = Field(min_length=1)
    tools: list[ChatTool] | None = None
    response_format: dict[str, Any] | None = None
    stream_options: dict[str, Any] | None = None
    seed: int | None = None
    n: Literal[1] | None = None
    modalities: list[Literal["text"]] | None = None


def read_chat(body: bytes, *, served: str, untrusted: bool) -> tuple[str, Wanted]:
    """Parse a request into the model that it names and what it asks for.

    Raises:
        Refused: the request is invalid.
    """
    request = parse(ChatRequest, body)
    said = _said(request)
    specs = [tool.function.model_dump(exclude_none=True) for tool in request.tools or ()]
    tools, forced = chosen_tools(specs, request.tool_choice)
    metadata = {} if forced is None else {"forced": list(forced.names)}
    return request.model, Wanted(
        task=task_of(said, served=served, untrusted=untrusted, metadata=metadata),
        results=said.results,
        tools=tools,
        forced=forced,
        form=form_of(request.response_format, "response_format"),
        stream=bool(request.stream),
        usage=bool((request.stream_options or {}).get("include_usage")),
        temperature=request.temperature,
        seed=request.seed or 0,
        ignored=request.ignored,
    )


def _said(request: ChatRequest) -> Said:
    instructions: list[str] = []
    before: list[tuple[str, str]] = []
    sources = set((request.metadata or {}).get("source", "").split())
    names = {
        call.get("id"): str(_function(call).get("name")) for message in request.messages for call in _calls(message)
    }
    results: dict[str, str] = {}
    shown: list[File] = []
    for number, item in enumerate(request.messages):
        text, images = parts_of(item.content, f"messages.{number}.content")
        shown += images
        match item.role:
            case "system" | "developer":
                instructions.append(text)
                continue
            case "user":
                before.append((USER, text))
            case "assistant":
                before += _assistant(item, text)
                sources.add("conversation")
            case _:
                name = names.get(item.tool_call_id, "tool")
                before.append((f"Result of {name}", text))
                sources.add(f"client:{name.split()[0]}" if name.split() else "client")
                results[item.tool_call_id or ""] = text
                continue
        results = {}  # results handed back before this message have been read already
    now = before.pop()[1] if before and not results and before[-1][0] == USER else None
    return Said(
        instructions=tuple(instructions),
        before=tuple(before),
        message=now,
        files=tuple(shown),
        results=results,
        sources=tuple(sorted(sources)),
    )


def _assistant(message: ChatMessage, text: str) -> list[tuple[str, str]]:
    said = [(AGENT, text)] if text else []
    made = [f"{_function(call).get('name')}({_function(call).get('arguments', '')})" for call in _calls(message)]
    return [*said, *((f"{AGENT} called", call) for call in made)]


def _calls(message: ChatMessage) -> list[dict[str, Any]]:
    return message.tool_calls or []


def _function(call: Mapping[str, Any]) -> Mapping[str, Any]:
    found = call.get("function")
    return found if isinstance(found, dict) else {}


def completion(outcome: Outcome, model: str) -> dict[str, Any]:
    """The response to a request without streaming."""
    message: dict[str, Any] = {"role": "assistant", "content": outcome.content, "refusal": None}
    if outcome.calls:
        message["tool_calls"] = [_call(call) for call in outcome.calls]
    choice = {"index": 0, "message": message, "finish_reason": _finish(outcome), "logprobs": None}
    return {
        **_head(outcome.run_id, model),
        "object": "chat.completion",
        "choices": [choice],
        "usage": _usage(outcome),
        "agentkit": _ours(outcome),
    }


async def chunks(job: Job, wanted: Wanted, model: str, tell: Any) -> AsyncIterator[str]:
    """A stream of server-sent events: text as it is written, then whatever remains, then the end of the stream.

    Args:
        tell: returns the outcome of the job.
    """
    head = {**_head(job.run_id, model), "object": "chat.completion.chunk"}

    def chunk(delta: dict[str, Any], **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": more.pop("finish", None), "logprobs": None}
        return _event({**head, "choices": [choice], **({"usage": None} if wanted.usage else {}), **more})

    yield chunk({"role": "assistant", "content": ""})
    sent = ""
    async for piece in job.pieces():
        sent += piece
        yield chunk({"content": piece}) if piece else ": working\n\n"
    try:
        outcome: Outcome = await tell(job, wanted)
        if not (outcome.content or "").startswith(sent):
            raise Refused(
                502, "the model failed partway and started over; ask again", kind="server_error", run_id=job.run_id
            )
    except Refused as error:
        yield _event(error.body())
        return
    if rest := (outcome.content or "")[len(sent) :]:
        yield chunk({"content": rest})
    for index, call in enumerate(outcome.calls):
        yield chunk({"tool_calls": [{"index": index, **_call(call)}]})
    yield chunk({}, finish=_finish(outcome), agentkit=_ours(outcome))
    if wanted.usage:
        yield _event({**head, "choices": [], "usage": _usage(outcome)})
    yield "data: [DONE]\n\n"


def _head(run_id: str, model: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{run_id}", "created": int(time.time()), "model": model}


def _ours(outcome: Outcome) -> dict[str, str]:
    return {"run_id": outcome.run_id, "status": outcome.status}


def _finish(outcome: Outcome) -> str:
    return "tool_calls" if outcome.calls else "stop"


def _call(call: HandedCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _usage(outcome: Outcome) -> dict[str, Any]:
    used = outcome.usage
    return {
        "prompt_tokens": used.input_tokens,
        "completion_tokens": used.output_tokens,
        "total_tokens": used.input_tokens + used.output_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached_tokens},
    }


def _event(data: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"
