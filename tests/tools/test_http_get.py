"""http_get reaches allowed hosts and no others, whatever redirects and names say."""

from __future__ import annotations

import asyncio
import socket
import threading
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentkit.errors import ToolError, UserError
from agentkit.tools import http, load_tools, run_tool
from agentkit.tools.http import MAX_BYTES, AllowList, fetch, readable

PUBLIC, PRIVATE = "93.184.215.14", "10.0.0.7"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Name resolution from a table, so that no test asks a real server."""
    table = {
        "example.org": PUBLIC,
        "sub.example.org": PUBLIC,
        "evil.org": PUBLIC,
        "intranet.example.org": PRIVATE,
        "mapped.org": "::ffff:10.0.0.7",
        "localhost": "127.0.0.1",
        PRIVATE: PRIVATE,
    }

    async def resolve(self: object, host: str, port: int, **_: Any) -> list[Any]:
        if host not in table:
            raise socket.gaierror
        return [(0, 0, 0, "", (table[host], port))]

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", resolve)
    return table


def pages(answers: dict[str, httpx.Response], seen: list[httpx.Request] | None = None) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        told = answers[request.url.path]
        return httpx.Response(told.status_code, headers=told.headers, stream=httpx.ByteStream(told.content))

    return httpx.MockTransport(answer)


async def get(url: str, *hosts: str, pages: httpx.MockTransport, private: bool = False) -> str:
    return readable(await fetch(url, AllowList(hosts=hosts, private=private), transport=pages))


async def test_an_allowed_page_is_read_as_text_from_the_address_that_was_checked(names: dict[str, str]) -> None:
    seen: list[httpx.Request] = []
    html = (
        "<html><head><style>x{}</style></head><body><h1>Title</h1><p>One  &amp; two<script>bad()</script></body></html>"
    )
    transport = pages({"/page": httpx.Response(200, html=html)}, seen)
    assert await get("https://example.org/page", "example.org", pages=transport) == "Title\nOne & two"
    assert seen[0].url.host == PUBLIC and seen[0].headers["host"] == "example.org"
    assert seen[0].extensions["sni_hostname"] == "example.org"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.org/",
        "https://example.org.evil.org/",
        "https://sub.example.org/",
        "https://example.org@evil.org/",
        "https://example.org:8443/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "https://",
        "not a url",
    ],
)
async def test_anything_that_is_not_on_the_list_is_refused(names: dict[str, str], url: str) -> None:
    with pytest.raises(ToolError):
        await get(url, "example.org", pages=pages({}))


async def test_a_wildcard_allows_sub_domains_and_a_port_has_to_be_named(names: dict[str, str]) -> None:
    transport = pages({"/": httpx.Response(200, text="ok")})
    assert await get("http://sub.example.org/", "*.example.org", pages=transport) == "ok"
    assert await get("http://example.org:8443/", "example.org:8443", pages=transport) == "ok"
    with pytest.raises(ToolError, match="allow-list"):
        await get("http://example.org/", "*.example.org", pages=transport)


async def test_a_redirect_is_checked_like_the_first_address(names: dict[str, str]) -> None:
    moved = {
        "/a": httpx.Response(302, headers={"location": "/b"}),
        "/b": httpx.Response(200, text="here"),
        "/out": httpx.Response(302, headers={"location": "http://evil.org/"}),
        "/in": httpx.Response(302, headers={"location": f"http://{PRIVATE}/"}),
        "/loop": httpx.Response(302, headers={"location": "/loop"}),
    }
    assert await get("http://example.org/a", "example.org", pages=pages(moved)) == "here"
    for path, reason in (("out", "allow-list"), ("in", "allow-list"), ("loop", "redirects more than")):
        with pytest.raises(ToolError, match=reason):
            await get(f"http://example.org/{path}", "example.org", pages=pages(moved))


async def test_a_name_that_leads_into_a_private_network_needs_an_explicit_allowance(names: dict[str, str]) -> None:
    transport = pages({"/": httpx.Response(200, text="inside")})
    for host in ("intranet.example.org", "mapped.org"):
        with pytest.raises(ToolError, match="private network"):
            await get(f"http://{host}/", host, pages=transport)
    assert await get("http://intranet.example.org/", "intranet.example.org", pages=transport, private=True) == "inside"
    assert await get(f"http://{PRIVATE}/", PRIVATE, pages=transport) == "inside"
    assert await get("http://localhost/", "localhost", pages=transport) == "inside"


async def test_size_kind_and_unknown_names_are_errors(names: dict[str, str]) -> None:
    answers = {
        "/big": httpx.Response(200, text="x" * (MAX_BYTES + 1)),
        "/image": httpx.Response(200, content=b"x", headers={"content-type": "image/png"}),
    }
    for url, reason in (("http://example.org/big", "larger"), ("http://example.org/image", "not text")):
        with pytest.raises(ToolError, match=reason):
            await get(url, "example.org", pages=pages(answers))
    with pytest.raises(ToolError, match="can't be found"):
        await get("http://nowhere.org/", "nowhere.org", pages=pages({}))


@pytest.fixture
async def silent_server() -> AsyncIterator[int]:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def test_a_server_that_does_not_answer_is_left_in_time(silent_server: int) -> None:
    address = f"127.0.0.1:{silent_server}"
    with pytest.raises(ToolError, match="no answer within"):
        await fetch(f"http://{address}/", AllowList(hosts=(address,)), seconds=0.05)


async def test_the_tool_reports_a_refusal_to_the_model(names: dict[str, str]) -> None:
    (http_get,) = load_tools(["http_get"], allow_hosts=["example.org"])
    result = await run_tool(http_get, {"url": "https://evil.org/"})
    assert not result.ok and "not on the allow-list (example.org)" in result.text


@pytest.mark.parametrize("entry", ["https://example.org", "", "*"])
def test_an_entry_that_is_not_a_host_name_is_refused(entry: str) -> None:
    with pytest.raises(UserError):
        load_tools(["http_get"], allow_hosts=[entry])


INWARD = (
    "64:ff9b::10.0.0.7",
    "2002:a00:7::1",
    "::10.0.0.7",
    "fec0::1",
    "192.0.0.192",
    "2001:0:a00:7::1",
    "::1",
    "fd00::1",
)


@pytest.mark.parametrize("address", INWARD)
async def test_an_address_that_leads_inward_by_translation_or_tunnel_is_refused(
    names: dict[str, str], address: str
) -> None:
    names["example.org"] = address
    with pytest.raises(ToolError, match="private"):
        await get("http://example.org/", "example.org", pages=pages({"/": httpx.Response(200, text="secret")}))


@pytest.mark.parametrize(
    "headers",
    [
        {"content-encoding": "gzip, gzip"},
        {"content-encoding": "zstd"},
        {"content-encoding": "br"},
        {"content-type": "text/plain; charset=punycode"},
        {"content-type": "text/plain; charset=idna"},
    ],
    ids=str,
)
async def test_encodings_and_charsets_that_cost_without_bound_are_refused(
    names: dict[str, str], headers: dict[str, str]
) -> None:
    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"x" * 10

    page = httpx.MockTransport(lambda request: httpx.Response(200, headers=headers, stream=Body()))
    with pytest.raises(ToolError, match=r"encoded as|character set"):
        await get("http://example.org/", "example.org", pages=page)


def zipped(pieces: Iterator[bytes], *, whole: bool = True) -> httpx.MockTransport:
    """A page in gzip, made piece by piece."""
    packer = zlib.compressobj(9, wbits=31)

    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in pieces:
                yield packer.compress(piece)
            if whole:
                yield packer.flush()

    headers = {"content-encoding": "gzip", "content-type": "text/plain"}
    return httpx.MockTransport(lambda request: httpx.Response(200, headers=headers, stream=Body()))


async def test_a_page_in_gzip_is_read_and_a_large_one_never_fills_the_memory(names: dict[str, str]) -> None:
    assert await get("http://example.org/", "example.org", pages=zipped(iter([b"one ", b"two"]))) == "one two"
    sent = 0

    def bomb() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(500):
            sent += 1
            yield bytes(10_000_000)

    tracemalloc.start()
    with pytest.raises(ToolError, match="larger than"):
        await get("http://example.org/", "example.org", pages=zipped(bomb()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sent < 500 and peak < 25_000_000  # the server's own piece among it


async def test_gzip_that_is_none_or_breaks_off_is_said(names: dict[str, str]) -> None:
    with pytest.raises(ToolError, match="ended before all of it was there"):
        await get("http://example.org/", "example.org", pages=zipped(iter([b"x" * 10]), whole=False))
    page = httpx.MockTransport(
        lambda request: httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"plain"))
    )
    with pytest.raises(ToolError, match="no gzip"):
        await get("http://example.org/", "example.org", pages=page)


async def test_a_page_is_parsed_beside_the_event_loop(names: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    parsed_in: list[int] = []

    async def answer(*_: object, **__: object) -> httpx.Response:
        return httpx.Response(200, text="x")

    monkeypatch.setattr(http, "fetch", answer)
    monkeypatch.setattr(http, "readable", lambda response: parsed_in.append(threading.get_ident()) or response.text)
    (http_get,) = load_tools(["http_get"], allow_hosts=["example.org"])
    assert (await run_tool(http_get, {"url": "http://example.org/"})).text == "x"
    assert parsed_in and parsed_in != [threading.get_ident()]


async def test_https_trusts_the_certificates_that_the_environment_names(
    names: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    page = pages({"/": httpx.Response(200, text="x")})
    with pytest.raises(ToolError, match="SSL_CERT_FILE names"):
        await get("https://example.org/", "example.org", pages=page)
    assert await get("http://example.org/", "example.org", pages=page) == "x"


def test_control_tokens_of_every_family_are_broken_in_data() -> None:
    from agentkit.roles.blocks import block

    tokens = (
        "<|im_end|>",
        "<|eot_id|>",
        "<start_of_turn>",
        "</s>",
        "[INST]",
        "[/INST]",
        "<\uff5cUser\uff5c>",
        "<<SYS>>",
    )
    assert not [token for token in tokens if token in block("result", f"a {token} b")]
