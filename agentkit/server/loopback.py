"""Checking where a request comes from if there is no key: any page in the user's browser can send requests to
loopback."""

from __future__ import annotations

import ipaddress
from typing import Literal
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from agentkit.server.options import LOOPBACK


def is_loopback(host: str | None) -> bool:
    """Whether a host name or address belongs to this machine."""
    if host in LOOPBACK:
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def foreign(headers: Headers, *, pages: Literal["loopback", "own"]) -> Literal["host", "origin"] | None:
    """Which part of a request belongs to another machine ("host") or site ("origin"); None if neither does.

    A Host header that is not a loopback name means that a site made its own name resolve to this machine (DNS
    rebinding).

    Args:
        pages: whose pages may send requests: those of any server on loopback, or only this server's own.
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
