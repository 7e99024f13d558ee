"""What pages are made with: templates, addresses, forms."""

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
"""Operations of a change that are shown themselves."""
MAX_FORM = 1 << 20
"""Bytes of a form."""


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """How the page is shown.

    Attributes:
        edit: whether feedback can be given, and changes, claims and versions decided about.
        reviewer: in whose name.
        token: what the address holds.
    """

    edit: bool = False
    reviewer: str = "person"
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))


class Site:
    """What pages are made with. Everything that a template prints is escaped."""

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
        """A page of a template, with its HTTP status."""
        text = self._templates.get_template(f"{template}.html").render(title=title, **{"live": False, **data})
        return HTMLResponse(text, code)


Show = Callable[[Site, Request], Response]
"""Makes a page. It may block: it is called in a thread of its own."""
Act = Callable[[Site, Request, Mapping[str, str]], str]
"""Does what a form asks for; gives the address to go to."""


def shown(site: Site, path: str, show: Show) -> Route:
    """An address that shows something."""
    return Route(path, partial(_shown, site, show), methods=["GET"])


def done(site: Site, path: str, act: Act) -> Route:
    """An address that a form is sent to."""
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
    """An address of this page, whatever its parts hold."""
    path = "/" + "/".join(map(_part, parts))
    asked = "&".join(f"{name}={_part(str(value))}" for name, value in query.items() if value not in (None, ""))
    return f"{path}?{asked}" if asked else path


@contextmanager
def not_found() -> Iterator[None]:
    """What the library says is not there is a page that is not there."""
    try:
        yield
    except UserError as error:
        raise HTTPException(404, str(error)) from None


def whole_number(text: str, what: str) -> int:
    """A number of an address or a form; raises HTTPException, which says `what` it should have been."""
    if not re.fullmatch(r"\d{1,9}", text):
        raise HTTPException(400, f"{text!r} is no {what}")
    return int(text)


def page_of(target: str) -> str:
    """The page of what evolves; empty where it has none."""
    kind, _, name = target.partition(":")
    known = {"playbook": "playbooks", "policy": "memories", "kb": "kbs", "verifier": "kbs"}
    return address(known[kind], name) if kind in known else ""


def _part(text: object) -> str:
    """A part of an address."""
    return quote(str(text), safe="")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=str)


def _time(value: dt.datetime | None) -> str:
    return "" if value is None else f"{value:%Y-%m-%d %H:%M:%S}"


def _short(text: object, length: int = 100) -> str:
    return clipped("" if text is None else text, length)


def _told(operations: Sequence[Mapping[str, object]]) -> str:
    """The operations of a change in a line: themselves, or how many of each there are."""
    if len(operations) <= _FEW:
        return "; ".join(map(_said, operations))
    counts = Counter(str(operation.get("op", "operation")) for operation in operations)
    return ", ".join(f"{count} × {name}" for name, count in counts.most_common())


def _said(operation: Mapping[str, object]) -> str:
    """An operation in words: what it is, and its text or how many runs it is about."""
    runs = operation.get("runs")
    told = operation.get("content") or (f"{len(runs)} runs" if isinstance(runs, list) else None)
    if told is None:
        return _short(json.dumps(operation, ensure_ascii=False, default=str), 120)
    return f"{operation.get('op', 'operation')}: {_short(told, 300)}"
