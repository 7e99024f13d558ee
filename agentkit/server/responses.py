"""`/v1/responses`: requests, answers and streams."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from pydantic import BaseModel

from agentkit.conversation import AGENT, USER
from agentkit.server.failures import Refused
from agentkit.server.jobs import Job
from agentkit.server.outcome import HandedCall, Outcome
from agentkit.server.wanted import ClientRequest, Said, Wanted, chosen_tools, form_of, parse, task_of, text_of
from agentkit.store.run_log import RunRecord

PREFIX = "resp_"
_LONGEST_CHAIN = 50
"""How many earlier responses a conversation may be assembled from."""

Find = Callable[[str], "tuple[RunRecord, tuple[str, ...]] | None"]
"""Looks up a run by id; returns it with the sources of outside text that it read."""


class FunctionTool(BaseModel):
    """A client tool."""

    type: str
    name: str = ""
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ResponseRequest(ClientRequest):
    """The body of a request."""

    input: str | list[dict[str, Any]]
    instructions: str | None = None
    tools: list[FunctionTool] | None = None
    text: dict[str, Any] | None = None
    previous_response_id: str | None = None
    background: bool | None = None


def read_response_request(body: bytes, *, served: str, untrusted: bool, find: Find) -> tuple[str, Wanted]:
    """Parse a request into the model that it names and what it asks for.

    Raises:
        Refused: the request is invalid, or continues a response that does not exist.
    """
    request = parse(ResponseRequest, body)
    if other := [tool.type for tool in request.tools or () if tool.type != "function"]:
        raise Refused(400, f"tools: {other[0]} is not supported; the agent has tools of its own", param="tools")
    earlier = _earlier(request.previous_response_id, find)
    said = _said(request, earlier)
    specs = [tool.model_dump(exclude_none=True, exclude={"type"}) for tool in request.tools or ()]
    tools, forced = chosen_tools(specs, request.tool_choice)
    metadata: dict[str, Any] = {"before": [list(turn) for turn in said.before]} if said.before else {}
    if forced is not None:
        metadata["forced"] = list(forced.names)
    return request.model, Wanted(
        task=task_of(said, served=served, untrusted=untrusted, metadata=metadata),
        results=said.results,
        tools=tools,
        forced=forced,
        form=form_of((request.text or {}).get("format"), "text.format"),
        stream=bool(request.stream),
        background=bool(request.background),
        temperature=request.temperature,
        ignored=request.ignored,
        echo=_echo(request),
    )


def _echo(request: ResponseRequest) -> dict[str, Any]:
    return {
        "model": request.model,
        "instructions": request.instructions,
        "metadata": request.metadata or {},
        "temperature": request.temperature,
        "tool_choice": request.tool_choice or "auto",
        "tools": [{**tool.model_dump(), "strict": True} for tool in request.tools or ()],
        "text": {"format": (request.text or {}).get("format") or {"type": "text"}},
        "previous_response_id": request.previous_response_id,
        "background": bool(request.background),
    }


def _earlier(previous: str | None, find: Find) -> Said:
    """The conversation up to an earlier response, including its answer."""
    if previous is None:
        return Said()
    if (found := find(previous.removeprefix(PREFIX))) is None:
        raise Refused(
            400, f"there is no response {previous!r}", code="previous_response_not_found", param="previous_response_id"
        )
    record, sources = found
    before = [(str(speaker), str(text)) for speaker, text in record.task.metadata.get("before", ())]
    before.append((USER, str(record.task.metadata.get("said", record.task.input))))
    if record.answer is not None:
        before.append((AGENT, record.answer))
    return Said(before=tuple(before[-2 * _LONGEST_CHAIN :]), sources=sources)


def _said(request: ResponseRequest, earlier: Said) -> Said:
    instructions = [request.instructions or ""]
    before, sources = list(earlier.before), {*earlier.sources, *(request.metadata or {}).get("source", "").split()}
    items = [{"role": "user", "content": request.input}] if isinstance(request.input, str) else request.input
    names = {item.get("call_id"): str(item.get("name")) for item in items if item.get("type") == "function_call"}
    results: dict[str, str] = {}
    for number, item in enumerate(items):
        where, kind = f"input.{number}", item.get("type", "message")
        if kind == "function_call_output":
            name, call = names.get(item.get("call_id"), "tool"), str(item.get("call_id") or "")
            results[call] = text_of(item.get("output"), f"{where}.output")
            before.append((f"Result of {name}", results[call]))
            sources.add(f"client:{name.split()[0]}" if name.split() else "client")
            continue
        if kind == "reasoning":
            continue
        results = {}  # results handed back before this item have been read already
        if kind == "function_call":
            before.append((f"{AGENT} called", f"{item.get('name')}({item.get('arguments', '')})"))
        elif kind != "message":
            raise Refused(400, f"{where}: an item of type {kind!r} is not supported", param=where)
        elif (role := item.get("role")) in ("system", "developer"):
            instructions.append(text_of(item.get("content"), f"{where}.content"))
        elif role in ("user", "assistant"):
            before.append((USER if role == "user" else AGENT, text_of(item.get("content"), f"{where}.content")))
            sources |= {"conversation"} if role == "assistant" else set()
        else:
            raise Refused(400, f"{where}.role: there are user, assistant, system and developer", param=where)
    message = before.pop()[1] if before and not results and before[-1][0] == USER else None
    return Said(
        instructions=tuple(instructions),
        before=tuple(before),
        message=message,
        results=results,
        sources=tuple(sorted(sources)),
    )


def response(
    run_id: str,
    created: float,
    status: str,
    echo: Mapping[str, Any],
    outcome: Outcome | None = None,
    *,
    error: Refused | None = None,
) -> dict[str, Any]:
    """A response object in its current state.

    Args:
        created: in seconds since 1970.
        status: queued, in_progress, completed or failed.
        echo: fields repeated from the request.
        error: why it failed.
    """
    failed = None if error is None else {"code": "server_error", "message": error.message}
    return {
        "id": PREFIX + run_id,
        "object": "response",
        "created_at": created,
        "status": status,
        "error": failed,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "max_output_tokens": None,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "text": {"format": {"type": "text"}},
        "truncation": "disabled",
        "user": None,
        **echo,
        "output": [] if outcome is None else items_of(outcome),
        "usage": None if outcome is None else _usage(outcome),
        "agentkit": {"run_id": run_id, "status": outcome.status if outcome else status},
    }


def items_of(outcome: Outcome) -> list[dict[str, Any]]:
    """A response's output: client tool calls, or the answer."""
    if outcome.calls:
        return [_call_item(outcome, number, call) for number, call in enumerate(outcome.calls)]
    return [_message_item(outcome.run_id, outcome.content or "", "completed")]


def _call_item(outcome: Outcome, number: int, call: HandedCall) -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": f"item_{outcome.run_id}_{number}",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
        "status": "completed",
    }


def _message_item(run_id: str, text: str | None, status: str) -> dict[str, Any]:
    content = [] if text is None else [_part(text)]
    return {"type": "message", "id": f"msg_{run_id}", "role": "assistant", "status": status, "content": content}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(outcome: Outcome) -> dict[str, Any]:
    used = outcome.usage
    return {
        "input_tokens": used.input_tokens,
        "input_tokens_details": {"cached_tokens": used.cached_tokens},
        "output_tokens": used.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": used.input_tokens + used.output_tokens,
    }


class ResponseStream:
    """The events of one response, in the order and with the numbering that clients expect."""

    def __init__(self, job: Job, wanted: Wanted, created: float, tell: Any) -> None:
        self.job, self.wanted, self.created, self.tell = job, wanted, created, tell
        self._number = 0
        self._sent: str | None = None
        """The part of the answer that has been sent; None until its item has been opened."""

    def _event(self, kind: str, **data: Any) -> str:
        text = json.dumps({"type": kind, "sequence_number": self._number, **data})
        self._number += 1
        return f"event: {kind}\ndata: {text}\n\n"

    def _whole(self, status: str, outcome: Outcome | None = None, error: Refused | None = None) -> dict[str, Any]:
        return response(self.job.run_id, self.created, status, self.wanted.echo, outcome, error=error)

    async def events(self) -> AsyncIterator[str]:
        yield self._event("response.created", response=self._whole("in_progress"))
        yield self._event("response.in_progress", response=self._whole("in_progress"))
        async for piece in self.job.pieces():
            if not piece:
                yield ": working\n\n"
                continue
            for text in self._words(piece):
                yield text
        try:
            outcome: Outcome = await self.tell(self.job, self.wanted)
            if not (outcome.content or "").startswith(self._sent or ""):
                raise Refused(502, "the model failed partway and started over; ask again", run_id=self.job.run_id)
        except Refused as error:
            yield self._event("response.failed", response=self._whole("failed", error=error))
            return
        for text in [*self._calls(outcome), *([] if outcome.calls else self._rest(outcome.content or ""))]:
            yield text
        yield self._event("response.completed", response=self._whole("completed", outcome))

    @property
    def _place(self) -> dict[str, Any]:
        return {"item_id": f"msg_{self.job.run_id}", "output_index": 0, "content_index": 0}

    def _words(self, piece: str) -> list[str]:
        events = []
        if self._sent is None:
            self._sent = ""
            item = _message_item(self.job.run_id, None, "in_progress")
            events.append(self._event("response.output_item.added", output_index=0, item=item))
            events.append(self._event("response.content_part.added", **self._place, part=_part("")))
        if piece:
            self._sent += piece
            events.append(self._event("response.output_text.delta", **self._place, delta=piece, logprobs=[]))
        return events

    def _rest(self, content: str) -> list[str]:
        events = self._words(content[len(self._sent or "") :])
        item = _message_item(self.job.run_id, content, "completed")
        events.append(self._event("response.output_text.done", **self._place, text=content, logprobs=[]))
        events.append(self._event("response.content_part.done", **self._place, part=_part(content)))
        events.append(self._event("response.output_item.done", output_index=0, item=item))
        return events

    def _calls(self, outcome: Outcome) -> list[str]:
        events = []
        for number, call in enumerate(outcome.calls):
            item = _call_item(outcome, number, call)
            place = {"output_index": number, "item_id": item["id"]}
            opened = {**item, "arguments": "", "status": "in_progress"}
            events += [
                self._event("response.output_item.added", output_index=number, item=opened),
                self._event("response.function_call_arguments.delta", **place, delta=call.arguments),
                self._event("response.function_call_arguments.done", **place, name=call.name, arguments=call.arguments),
                self._event("response.output_item.done", output_index=number, item=item),
            ]
        return events
