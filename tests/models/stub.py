"""A small OpenAI-compatible server that answers from a script, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Stub:
    """Replies in turn; each is (status, headers, body). The last one is repeated.

    Args:
        together: requests that must be there before any is answered.
    """

    def __init__(self, replies: list[tuple[int, dict[str, str], Any]], *, together: int = 1) -> None:
        self.replies, self.requests = replies, list[dict[str, Any]]()
        self._lock, self._together = threading.Lock(), threading.Barrier(together, timeout=60)

    def next(self, request: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        self._together.wait()
        with self._lock:
            position = min(len(self.requests), len(self.replies) - 1)
            self.requests.append(request)
            return self.replies[position]


def answer(text: str | None = "ok", *, tool: tuple[str, str] | None = None, cached: int = 0) -> tuple[int, Any, Any]:
    """A chat completion; `tool` is a name and the text of its arguments."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if tool:
        call = {"id": "call_1", "type": "function", "function": {"name": tool[0], "arguments": tool[1]}}
        message |= {"tool_calls": [call], "content": None}
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if tool else "stop"}
    return (
        200,
        {},
        {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage},
    )


def failure(status: int, message: str = "no", code: str | None = None, **headers: str) -> tuple[int, Any, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, {"error": {"message": message, "type": "error", "code": code}}


@contextmanager
def serving(*replies: tuple[int, Any, Any], together: int = 1) -> Iterator[tuple[str, Stub]]:
    """Serve the replies on a free port of loopback; gives the api base and the stub."""
    stub = Stub(list(replies), together=together)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, headers, reply = stub.next(body)
            events = isinstance(reply, list)
            data = _events(reply) if events else json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/event-stream" if events else "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", stub
    finally:
        server.shutdown()
        server.server_close()


def _events(chunks: list[Any]) -> bytes:
    return b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks) + b"data: [DONE]\n\n"
