"""Whose request it is, where no key tells: any page that the user's browser shows can send requests to loopback."""

from __future__ import annotations

import ipaddress
from typing import Literal
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from agentkit.server.options import LOOPBACK


def is_loopback(host: str | None) -> bool:
    """Whether a host's name or address is this machine's own."""
    if host in LOOPBACK:
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def foreign(headers: Headers, *, pages: Literal["loopback", "own"]) -> Literal["host", "origin"] | None:
    """What of a request is another machine's or another site's; None where nothing is.

    A name that is not loopback's is a site that made its own name point here (DNS rebinding).

    Args:
        pages: whose pages may send requests: those of any server on loopback, or this server's own alone.
    """
    host = headers.get("host", "")
    if not is_loopback(_host_of(f"//{host}")):
        return "host"
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    if pages == "own":
        same = origin in (None, f"http://{host}") and site in ("none", "same-origin")
    else:
        same = is_loopback(_host_of(origin)) if origin is not None else site != "cross-site"
    return None if same else "origin"


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
