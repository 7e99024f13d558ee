"""Access control for the page: a token is needed, and the request must name a loopback host."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentkit.server.loopback import foreign

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Only our own script and style files, nothing inline, nothing from other sites, and no framing of the page."""
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class ViewDoor:
    """Checks host, origin and token, and sets the headers of every response.

    The first address contains the token, which is then moved from the address into a cookie of this site only.

    Args:
        edit: whether forms may be sent.
    """

    def __init__(self, app: ASGIApp, *, token: str, edit: bool) -> None:
        self.app, self.token, self.edit = app, token, edit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        answer = self._answer(Request(scope))
        await (self.app if answer is None else answer)(scope, receive, told)

    def _answer(self, request: Request) -> Response | None:
        """The response to send instead of the page; None lets the request in."""
        wrong = foreign(request.headers, pages="own")
        if wrong == "host":
            return PlainTextResponse("this page answers only under the names of loopback", 403)
        if wrong == "origin":
            return PlainTextResponse("pages of other sites may not call this one", 403)
        if request.method not in ("GET", "HEAD") and not self.edit:
            return PlainTextResponse("read-only: start it with  agentkit view --edit", 403)
        cookie = f"agentkit-view-{request.url.port}"
        if (given := request.query_params.get("token")) is not None and self._is(given):
            rest = [(key, value) for key, value in parse_qsl(request.url.query) if key != "token"]
            path = "/" + request.url.path.lstrip("/")  # "//elsewhere" would be another site
            response = RedirectResponse(path + (f"?{urlencode(rest)}" if rest else ""), 303)
            response.set_cookie(cookie, self.token, httponly=True, samesite="strict", path="/")
            return response
        if not self._is(request.cookies.get(cookie, "")):
            return PlainTextResponse("open the address that  agentkit view  printed: it holds the token", 401)
        return None

    def _is(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())
