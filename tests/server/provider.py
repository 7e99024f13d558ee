"""A provider on loopback that answers as a function says, at once or in a stream, and can be held up."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Say = Callable[[dict[str, Any]], str | tuple[str, dict[str, Any]]]
"""What the model says to a request: a text, or a call as the tool's name and its arguments."""


class Provider:
    """Counts its requests; while `held`, none is answered.

    Attributes:
        fail: statuses that the next requests get instead of an answer.
        cut: the next streams break off in the middle.
        on: while it is not set, streams wait behind their first word.
        usage: the tokens that an answer to a request is said to have taken.
    """

    def __init__(self, say: Say) -> None:
        self.say, self.requests = say, list[dict[str, Any]]()
        self.fail, self.cut = list[int](), 0
        self.asked, self._free = threading.Semaphore(0), threading.Event()
        self._free.set()
        self.on = threading.Event()
        self.on.set()
        self.base = ""
        self.usage: Callable[[dict[str, Any]], dict[str, Any]] = lambda request: _USAGE

    def hold(self) -> None:
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    @property
    def environment(self) -> dict[str, str]:
        return {"OPENAI_BASE_URL": self.base, "OPENAI_API_KEY": "none"}

    def take(self, request: dict[str, Any]) -> str | tuple[str, dict[str, Any]]:
        self.requests.append(request)
        self.asked.release()
        self._free.wait()
        return self.say(request)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


@contextmanager
def provider(say: Say) -> Iterator[Provider]:
    made = Provider(say)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            said = made.take(request)
            try:
                if made.fail:
                    self._send(made.fail.pop(0), {"error": {"message": "the provider is out", "type": "server_error"}})
                elif request.get("stream"):
                    self._stream(said, made.usage(request))
                else:
                    self._send(200, _whole(said, made.usage(request)))
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _send(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _stream(self, said: str | tuple[str, dict[str, Any]], usage: dict[str, Any]) -> None:
            assert isinstance(said, str)
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            words = said.split(" ")
            pieces = [f"{word} " for word in words[:-1]] + words[-1:]
            for number, piece in enumerate(pieces):
                if made.cut and number == 1:
                    made.cut -= 1
                    self.connection.close()
                    return
                self._chunk({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
                made.on.wait()
            self._chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage})
            self.wfile.write(b"data: [DONE]\n\n")
            self.close_connection = True

        def _chunk(self, data: dict[str, Any]) -> None:
            base = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            self.wfile.write(f"data: {json.dumps({**base, **data})}\n\n".encode())
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None: ...

    server = _Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    made.base = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield made
    finally:
        made.release()
        made.on.set()
        server.shutdown()
        server.server_close()


_USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def _whole(said: str | tuple[str, dict[str, Any]], usage: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": said if isinstance(said, str) else None}
    if not isinstance(said, str):
        function = {"name": said[0], "arguments": json.dumps(said[1])}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    choice = {"index": 0, "message": message, "finish_reason": "stop" if isinstance(said, str) else "tool_calls"}
    head = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
    return {**head, "choices": [choice], "usage": usage}
