"""What all pages share: templates, addresses, forms."""

from __future__ import annotations

import datetime as dt
import json
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

import anyio.to_thread
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from agentkit.errors import UserError
from agentkit.text import clipped

if TYPE_CHECKING:
    from agentkit.settings import Settings
    from agentkit.store import Store

_HERE = Path(__file__).parent
_FEW = 3
"""The most operations of a change that are shown one by one."""
MAX_FORM = 1 << 20
"""The largest form, in bytes."""


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """How the page is shown.

    Attributes:
        edit: whether the page takes feedback, and decisions about changes, claims and versions.
        reviewer: the person in whose name these are recorded.
        token: the token in the address.
    """

    edit: bool = False
    reviewer: str = "person"
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))


class Site:
    """What all pages share. Everything that a template prints is escaped."""

    def __init__(self, store: Store, settings: Settings, options: ViewOptions) -> None:
        self.store, self.settings, self.options = store, settings, options
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "part": _part,
            "json": _json,
            "time": _time,
            "short": _short,
            "told": _told,
            "home": page_of,
        }
        self._templates.globals["edit"] = options.edit

    def page(self, template: str, title: str, code: int = 200, /, **data: object) -> HTMLResponse:
        """Render a page from a template, with an HTTP status."""
        text = self._templates.get_template(f"{template}.html").render(title=title, **{"live": False, **data})
        return HTMLResponse(text, code)


Show = Callable[[Site, Request], Response]
"""Makes a page. It may block, since it is called in a thread."""
Act = Callable[[Site, Request, Mapping[str, str]], str]
"""Does what a form asks for, and returns the address to go to."""


def shown(site: Site, path: str, show: Show) -> Route:
    """A route that shows a page."""
    return Route(path, partial(_shown, site, show), methods=["GET"])


def done(site: Site, path: str, act: Act) -> Route:
    """A route that a form is sent to."""
    return Route(path, partial(_done, site, act), methods=["POST"])


async def _shown(site: Site, show: Show, request: Request) -> Response:
    return await anyio.to_thread.run_sync(show, site, request)


async def _done(site: Site, act: Act, request: Request) -> Response:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM:
            raise HTTPException(413, "the form is too long")
    fields = dict(parse_qsl(body.decode("utf-8", "replace")))
    where = await anyio.to_thread.run_sync(act, site, request, fields)
    return RedirectResponse(where, 303)


def address(*parts: str, **query: object) -> str:
    """An address within the page, with its parts and query quoted."""
    path = "/" + "/".join(map(_part, parts))
    asked = "&".join(f"{name}={_part(str(value))}" for name, value in query.items() if value not in (None, ""))
    return f"{path}?{asked}" if asked else path


@contextmanager
def not_found() -> Iterator[None]:
    """Turn the library's errors about missing things into HTTP 404."""
    try:
        yield
    except UserError as error:
        raise HTTPException(404, str(error)) from None


def whole_number(text: str, what: str) -> int:
    """A number from an address or a form; raises HTTPException, which says `what` it should have been."""
    if not re.fullmatch(r"\d{1,9}", text):
        raise HTTPException(400, f"{text!r} is not a {what}")
    return int(text)


def page_of(target: str) -> str:
    """The address of a target's page; empty if it has none."""
    kind, _, name = target.partition(":")
    known = {"playbook": "playbooks", "policy": "memories", "kb": "kbs", "verifier": "kbs"}
    return address(known[kind], name) if kind in known else ""


def _part(text: object) -> str:
    """Quote one part of an address."""
    return quote(str(text), safe="")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=str)


def _time(value: dt.datetime | None) -> str:
    return "" if value is None else f"{value:%Y-%m-%d %H:%M:%S}"


def _short(text: object, length: int = 100) -> str:
    return clipped("" if text is None else text, length)


def _told(operations: Sequence[Mapping[str, object]]) -> str:
    """The operations of a change in one line: each of them, or their number by kind."""
    if len(operations) <= _FEW:
        return "; ".join(map(_said, operations))
    counts = Counter(str(operation.get("op", "operation")) for operation in operations)
    return ", ".join(f"{count} × {name}" for name, count in counts.most_common())


def _said(operation: Mapping[str, object]) -> str:
    """An operation in words: its kind, and its text or the number of runs it is about."""
    runs = operation.get("runs")
    told = operation.get("content") or (f"{len(runs)} runs" if isinstance(runs, list) else None)
    if told is None:
        return _short(json.dumps(operation, ensure_ascii=False, default=str), 120)
    return f"{operation.get('op', 'operation')}: {_short(told, 300)}"
