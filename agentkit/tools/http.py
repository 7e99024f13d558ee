"""Fetching pages from hosts that the user has allowed, and from nowhere else."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser

import httpx
from langchain_core.tools import BaseTool

from agentkit.errors import SettingsError, ToolError, UserError
from agentkit.tls import tls_context
from agentkit.tools.function import tool

MAX_BYTES = 2_000_000
MAX_REDIRECTS = 5
SECONDS = 20.0

_UNICAST = ipaddress.IPv6Network("2000::/3")
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
_TUNNELS = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/23"))
"""6to4 and Teredo: these addresses embed an arbitrary IPv4 address."""
_PROTOCOLS = ipaddress.IPv4Network("192.0.0.0/24")

_CHARSETS = re.compile(
    r"utf-?8|us-ascii|ascii|latin-?1|iso-8859-\d+|windows-125\d|cp125\d|utf-16(le|be)?|koi8-[ru]"
    r"|shift_jis|euc-(jp|kr)|gb(k|2312|18030)|big5"
)
"""The usual character sets of pages; some of Python's other codecs take time quadratic in the length."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, kw_only=True)
class AllowList:
    """The hosts that may be fetched.

    Attributes:
        hosts: `example.org` or `*.example.org` (its sub-domains), optionally with `:port`; without a port, 80 and 443.
        private: allow every listed host to be in a private network. Without it, that is only allowed for an entry that
            is itself `localhost` or a private address.
    """

    hosts: Sequence[str]
    private: bool = False

    def entry(self, url: httpx.URL) -> str | None:
        """The entry that allows this URL's host and port; None if there is none."""
        port = url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
        return next((entry for entry in self.hosts if _matches(entry, url.host.lower(), port)), None)

    def permits_private(self, entry: str) -> bool:
        host = _split(entry)[0]
        if self.private or host == "localhost":
            return True
        address = _literal(host)
        return address is not None and not address.is_global


def _split(entry: str) -> tuple[str, int | None]:
    host, colon, port = entry.lower().rpartition(":")
    if not colon or not port.isdigit() or (":" in host and not host.endswith("]")):  # a bare IPv6 address
        return entry.lower().strip("[]"), None
    return host.strip("[]"), int(port)


def _matches(entry: str, host: str, port: int) -> bool:
    allowed, allowed_port = _split(entry)
    if port not in ((80, 443) if allowed_port is None else (allowed_port,)):
        return False
    return host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


async def fetch(
    url: str, allow: AllowList, *, seconds: float = SECONDS, transport: httpx.AsyncBaseTransport | None = None
) -> httpx.Response:
    """GET a URL; every redirect is checked like the original URL.

    The host name is resolved once and the connection goes to the address that was checked, so that a second look-up
    can't lead elsewhere. Proxies from the environment are not used, because they would resolve names themselves.

    Args:
        url: http or https.
        allow: the allowed hosts.
        seconds: time limit for the whole fetch.
        transport: an httpx transport, for tests.

    Raises:
        ToolError: the URL is not allowed, not reachable, too large or too slow, or redirects too often.
    """
    try:
        async with asyncio.timeout(seconds):
            target = httpx.URL(url)
            for _ in range(MAX_REDIRECTS + 1):
                response = await _get(target, allow, seconds=seconds, transport=transport)
                if response.next_request is None:
                    return response
                target = target.join(response.headers["location"])
    except TimeoutError:
        raise ToolError(f"{url} gave no answer within {seconds:g} s") from None
    except httpx.InvalidURL as error:
        raise ToolError(f"{url!r} is not a URL: {error}") from None
    except httpx.HTTPError as error:
        raise ToolError(f"{url} can't be fetched: {error or type(error).__name__}") from None
    raise ToolError(f"{url} redirects more than {MAX_REDIRECTS} times")


async def _get(
    url: httpx.URL, allow: AllowList, *, seconds: float, transport: httpx.AsyncBaseTransport | None
) -> httpx.Response:
    address = await _checked_address(url, allow)
    pinned = url.copy_with(host=address)
    headers = {"host": url.netloc.decode(), "user-agent": "agentkit", "accept-encoding": "gzip"}
    async with httpx.AsyncClient(
        trust_env=False, verify=_certificates(url), timeout=seconds, transport=transport
    ) as client:
        request = client.build_request("GET", pinned, headers=headers, extensions={"sni_hostname": url.host})
        response = await client.send(request, stream=True)
        try:
            body = await _body(response, url)
        finally:
            await response.aclose()
    whole = {name: value for name, value in response.headers.items() if name != "content-encoding"}
    result = httpx.Response(response.status_code, headers=whole, content=body, request=request)
    result.next_request = response.next_request
    return result


def _certificates(url: httpx.URL) -> ssl.SSLContext | bool:
    """The certificates for HTTPS; False for other URLs, which need none."""
    try:
        return tls_context() if url.scheme == "https" else False
    except SettingsError as error:
        raise ToolError(str(error)) from None


async def _body(response: httpx.Response, url: httpx.URL) -> bytes:
    """Read the body as it arrives, decoding it piece by piece, and stop as soon as it is larger than allowed.

    A single gzip layer is decoded here; other or nested encodings could exhaust the memory before their size is known.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise ToolError(f"{url} is encoded as {encoding[:40]}, which was not asked for")
    gzip = zlib.decompressobj(wbits=31) if encoding.endswith("gzip") else None
    body = bytearray()
    async for chunk in response.aiter_raw():
        try:
            body += chunk if gzip is None else gzip.decompress(chunk, MAX_BYTES + 1 - len(body))
        except zlib.error:
            raise ToolError(f"{url} is no gzip, though it says so") from None
        if len(body) > MAX_BYTES:
            raise ToolError(f"{url} is larger than {MAX_BYTES:,} bytes")
    if gzip is not None and not gzip.eof:
        raise ToolError(f"{url} ended before all of it was there")
    return bytes(body)


async def _checked_address(url: httpx.URL, allow: AllowList) -> str:
    if url.scheme not in ("http", "https"):
        raise ToolError(f"only http and https can be fetched, not {url}")
    entry = allow.entry(url)
    if entry is None:
        raise ToolError(f"{url.host}:{url.port or url.scheme} is not on the allow-list ({', '.join(allow.hosts)})")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.host, url.port or 0, type=socket.SOCK_STREAM)
    except OSError:
        raise ToolError(f"the host {url.host} can't be found") from None
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    if not addresses:
        raise ToolError(f"the host {url.host} can't be found")
    if not allow.permits_private(entry) and not all(_is_public(address) for address in addresses):
        raise ToolError(f"{url.host} lies in a private network, which the allow-list does not permit")
    return addresses[0]


def _is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed in _TRANSLATED or parsed.ipv4_mapped is not None:  # NAT64 and mapped addresses contain an IPv4 one
            parsed = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        elif parsed not in _UNICAST or any(parsed in network for network in _TUNNELS):
            return False
    return parsed.is_global and not parsed.is_multicast and parsed not in _PROTOCOLS


class _Text(HTMLParser):
    """Collects the readable text of a page."""

    _HIDDEN = ("script", "style", "noscript", "template")
    _BREAKS = ("p", "br", "div", "li", "tr", "h1", "h2", "h3", "h4", "section", "article", "title")

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in self._HIDDEN
        if tag in self._BREAKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in self._HIDDEN))
        if tag in self._BREAKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def readable(response: httpx.Response) -> str:
    """A response as text: HTML without its markup, other text unchanged.

    Raises:
        ToolError: the content is not text.
    """
    charset = (response.charset_encoding or "utf-8").lower()
    if not _CHARSETS.fullmatch(charset):
        raise ToolError(f"the content is in the character set {charset[:40]}, which is not read")
    kind = response.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        parser = _Text()
        parser.feed(response.text)
        lines = (" ".join(line.split()) for line in "".join(parser.parts).splitlines())
        return "\n".join(line for line in lines if line)
    if kind.startswith("text/") or kind.endswith(("json", "xml", "yaml", "javascript")):
        return response.text
    raise ToolError(f"the content is {kind}, not text")


def http_get_tool(allow_hosts: Sequence[str], *, private: bool = False) -> BaseTool:
    """The built-in `http_get` tool.

    Args:
        allow_hosts: see `AllowList.hosts`.
        private: see `AllowList.private`.

    Raises:
        UserError: no host is allowed, or an entry is a URL.
    """
    if not allow_hosts:
        raise UserError("the tool 'http_get' needs at least one allowed host, such as 'example.org'")
    wrong = next((entry for entry in allow_hosts if "/" in entry or not entry.strip("*. ")), None)
    if wrong is not None:
        raise UserError(f"allowed hosts are names such as 'example.org' or '*.example.org', not {wrong!r}")
    allow = AllowList(hosts=tuple(allow_hosts), private=private)

    async def http_get(url: str) -> str:
        """Fetch a page over http or https and return its text. Only allowed hosts can be fetched.

        Args:
            url: the full address, such as https://example.org/page.
        """
        response = await fetch(url, allow)
        if response.status_code >= 400:
            raise ToolError(f"{url} answered {response.status_code} {response.reason_phrase}")
        return await asyncio.to_thread(readable, response)

    return tool(http_get)
