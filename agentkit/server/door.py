"""Access control: keys, hosts, content types and body sizes."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentkit.server.failures import Refused
from agentkit.server.loopback import foreign
from agentkit.server.metrics import Metrics
from agentkit.server.options import ServerOptions

_OPEN = ("/health",)
"""Paths that need no key."""
ROUTES = ("/v1/chat/completions", "/v1/responses", "/v1/models", "/runs", "/health", "/metrics")


class Door:
    """Middleware that admits or rejects each request, and counts it.

    Without keys, any page in the user's browser could send requests to loopback. So in that case the request's Host and
    Origin must belong to this machine.
    """

    def __init__(self, app: ASGIApp, *, options: ServerOptions, metrics: Metrics) -> None:
        self.app, self.options, self.metrics = app, options, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        told = _told(send, lambda status: self._count(scope["path"], status))
        try:
            self._check(Request(scope))
        except Refused as error:
            await error.response()(scope, receive, told)
            return
        await self.app(scope, receive, told)

    def _count(self, path: str, status: int) -> None:
        route = next((known for known in ROUTES if path == known or path.startswith(known + "/")), "other")
        self.metrics.add("agentkit_requests_total", route=route, status=str(status))

    def _check(self, request: Request) -> None:
        headers, path = request.headers, request.url.path
        if self.options.keys:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            known = [hmac.compare_digest(given.strip().encode(), key.encode()) for key in self.options.keys]
            if path not in _OPEN and not (scheme.lower() == "bearer" and any(known)):
                raise Refused(401, "a key is needed: send  Authorization: Bearer KEY", code="invalid_api_key")
        else:
            wrong = foreign(headers, pages="loopback")
            if wrong == "host":
                raise Refused(403, "this server only answers to loopback names", code="wrong_host")
            if wrong == "origin":
                raise Refused(403, "pages of other sites may not call this server", code="wrong_origin")
        if request.method == "POST" and headers.get("content-type", "").split(";")[0].strip() != "application/json":
            raise Refused(415, "send JSON, with  Content-Type: application/json", code="wrong_content_type")


def _told(send: Send, tell: Callable[[int], Any]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            tell(message["status"])
        await send(message)

    return sending


async def body_of(request: Request, limit: int) -> bytes:
    """Read the body of a request.

    Raises:
        Refused: it is longer than the limit, in bytes.
    """
    too_long = Refused(413, f"the body is longer than {limit} bytes", code="body_too_large")
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > limit:
        raise too_long
    found = bytearray()
    async for piece in request.stream():
        found += piece
        if len(found) > limit:
            raise too_long
    return bytes(found)
