"""A chat-completions server that answers after a fixed time, to measure everything but the model.

    python -m tests.support.stub_server --latency 0.5 --port 0

prints the API base to use with `openai/…` models. Raw asyncio streams keep its own work per request far below a
millisecond, so that what a benchmark measures is the client. `--rule` names rules
that some answers follow; they are otherwise fixed: plain text, streamed where asked; a
minimal valid instance where a JSON schema is asked for; where a tool must be called, a call of it (of the last one on
offer unless one is named) with minimal valid arguments. It listens on loopback alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:\s*close", re.IGNORECASE)
_ANSWER = "42"


def minimal(schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Any:
    """A small instance of a JSON schema: required properties alone, first choices, smallest lengths.

    Args:
        schema: what the instance must satisfy; `$ref`, `allOf` of one, `anyOf`, `oneOf`, `enum` and `const` are read.
        root: the schema that references are resolved in.
    """
    root = schema if root is None else root
    if "$ref" in schema:
        return minimal(_resolve(schema["$ref"], root), root)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return minimal(schema[key][0], root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return _instance(kind[0] if isinstance(kind, list) else kind, schema, root)


def _resolve(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found  # type: ignore[no-any-return]


def _instance(kind: str, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    if kind == "object":
        wanted = schema.get("required", ())
        return {name: minimal(part, root) for name, part in schema.get("properties", {}).items() if name in wanted}
    if kind == "array":
        return [minimal(schema.get("items", {}), root) for _ in range(schema.get("minItems", 0))]
    if kind in ("integer", "number"):
        return max(schema.get("minimum", 0), schema.get("exclusiveMinimum", -1) + 1)
    if kind == "string":
        return _ANSWER.ljust(schema.get("minLength", 0), "0")[: schema.get("maxLength", 10_000)]
    return {"boolean": True, "null": None}[kind]


def call_for(request: Mapping[str, Any]) -> dict[str, Any] | None:
    """The tool call that a chat-completions request demands; None where it leaves the choice."""
    choice = request.get("tool_choice")
    if choice in (None, "auto", "none"):
        return None
    functions = {tool["function"]["name"]: tool["function"] for tool in request["tools"]}
    name = [*functions][-1] if choice == "required" else choice["function"]["name"]
    arguments = RULES[_rule](request) or minimal(functions[name].get("parameters") or {"type": "object"})
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def content_for(request: Mapping[str, Any]) -> str:
    """The text of the answer to a chat-completions request."""
    wanted = request.get("response_format") or {}
    if found := RULES[_rule](request):
        return found if isinstance(found, str) else json.dumps(found)
    if wanted.get("type") == "json_schema":
        return json.dumps(minimal(wanted["json_schema"]["schema"]))
    return json.dumps({"answer": _ANSWER}) if wanted.get("type") == "json_object" else _ANSWER


def of_papers(request: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a question about a paper of tests/curation is answered with; None for other requests."""
    from tests.curation.papers import judge, read

    said = [str(message["content"]) for message in request["messages"]]
    if not any("You check facts" in text or "<paper>" in text for text in said):
        return None
    return judge("\n".join(said)) if "You check facts" in said[0] else read("\n".join(said))


def of_lessons(request: Mapping[str, Any]) -> dict[str, Any] | str:
    """A lesson where lessons are asked for; 7 for an answer where the lesson is in the prompt, else 42."""
    wanted = _schema_of(request)
    if "lessons" in wanted.get("properties", {}):
        return {"lessons": [{"cause": "counted single parcels", "scope": "parcels", "content": LESSON}]}
    answer = "7" if any(LESSON in str(message["content"]) for message in request["messages"]) else _ANSWER
    return {**minimal(wanted), "answer": answer} if wanted else answer


def _schema_of(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that the answer must have; empty where it is text."""
    if (request.get("response_format") or {}).get("type") == "json_schema":
        return request["response_format"]["json_schema"]["schema"]  # type: ignore[no-any-return]
    if request.get("tool_choice") in (None, "auto", "none"):
        return {}
    return request["tools"][-1]["function"].get("parameters") or {}  # type: ignore[no-any-return]


LESSON = "Count parcels by the crate, never one by one."
RULES: dict[str, Callable[[Mapping[str, Any]], dict[str, Any] | str | None]] = {
    "papers": of_papers,
    "lessons": of_lessons,
    "none": lambda request: None,
}
_rule = "none"


class StubServer:
    """The server; `served` counts the requests answered.

    Args:
        latency: seconds from the whole request to the answer, on average.
        spread: up to which share of it they differ, evenly; with equal latencies all clients work, and wait, in step.
    """

    def __init__(self, *, latency: float, spread: float = 0.0) -> None:
        self.latency, self.spread, self.served = latency, spread, 0
        self._random = random.Random(0)
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> str:
        """Listen on loopback; returns the API base."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=16 << 20, backlog=1024)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def run(self) -> None:
        assert self._server is not None, "start() comes first"
        await self._server.serve_forever()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive for any number of requests."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length.group(1))) if length else b""
                await self._answer(head, body, writer)
                self.served += 1
                if _CLOSE.search(head):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is done
        finally:
            writer.close()

    async def _answer(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        if not head.startswith(b"POST") or b"/chat/completions" not in head[:200]:
            listing = {"object": "list", "data": [{"id": "stub", "object": "model"}]}
            return await _send(writer, 200, json.dumps(listing).encode())
        try:
            request = json.loads(body)
            call, text = call_for(request), content_for(request)
        except (ValueError, KeyError, TypeError) as error:
            message = {"error": {"message": f"bad request: {error!r}", "type": "invalid_request_error"}}
            return await _send(writer, 400, json.dumps(message).encode())
        await asyncio.sleep(self.latency * (1 + self.spread * self._random.uniform(-1, 1)))
        base = {"id": f"stub-{self.served}", "created": int(time.time()), "model": request.get("model", "stub")}
        usage = {"prompt_tokens": len(body) // 4, "completion_tokens": 1 + len(text) // 4}
        usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
        if request.get("stream"):
            with_usage = (request.get("stream_options") or {}).get("include_usage")
            return await _stream(writer, base, _deltas(call, text), usage if with_usage else None)
        message = {"role": "assistant", "content": None, "tool_calls": [call]} if call else _text(text)
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if call else "stop"}
        whole = {**base, "object": "chat.completion", "choices": [choice], "usage": usage}
        return await _send(writer, 200, json.dumps(whole).encode())


async def _send(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    reason = b"OK" if status == 200 else b"Bad Request"
    head = b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    writer.write(head % (status, reason, len(body)) + body)
    await writer.drain()


def _text(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def _deltas(call: Mapping[str, Any] | None, text: str) -> list[dict[str, Any]]:
    """The answer as a stream gives it: the call whole, or the text in two pieces."""
    if call:
        return [{"role": "assistant", "content": None, "tool_calls": [{"index": 0, **call}]}]
    half = (len(text) + 1) // 2
    return [_text(text[:half]), {"content": text[half:]}]


async def _stream(
    writer: asyncio.StreamWriter,
    base: Mapping[str, Any],
    deltas: list[dict[str, Any]],
    usage: Mapping[str, int] | None,
) -> None:
    """Server-sent events: the pieces, the end, the usage where asked for."""
    end = "tool_calls" if "tool_calls" in deltas[0] else "stop"
    choices: list[tuple[dict[str, Any], str | None]] = [*((delta, None) for delta in deltas), ({}, end)]
    chunks: list[dict[str, Any]] = [
        {**base, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        for delta, reason in choices
    ]
    if usage is not None:
        chunks.append({**base, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    events = [*(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks), b"data: [DONE]\n\n"]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    writer.write(head + b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events) + b"0\r\n\r\n")
    await writer.drain()


@contextlib.contextmanager
def stub_server(latency: float, *, rule: str = "none", spread: float = 0.0) -> Iterator[str]:
    """The server in a process of its own; yields its address."""
    command = [sys.executable, "-m", __name__, "--latency", str(latency), "--rule", rule, "--spread", str(spread)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8") as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().split()[-1]
        finally:  # leaving Popen waits for the process, so it must end after an error too
            server.terminate()


async def main(latency: float, port: int, spread: float) -> None:
    server = StubServer(latency=latency, spread=spread)
    print(await server.start(port), flush=True)
    await server.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--latency", type=float, default=0.5, help="seconds until an answer")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--spread", type=float, default=0.0, help="share of it by which latencies differ")
    parser.add_argument("--rule", choices=RULES, default="none", help="that some answers follow")
    options = parser.parse_args()
    _rule = options.rule
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(options.latency, options.port, options.spread))
