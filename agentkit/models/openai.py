"""OpenAI, and every server that speaks its protocol (llama.cpp, vLLM, Ollama), called directly.

Why LiteLLM does not make these calls, and what it is still used for: docs/decisions/0010-openai-without-a-layer.md.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from agentkit.errors import ModelError
from agentkit.json_types import JsonObject
from agentkit.models.hosted import SETTINGS, HostedChat
from agentkit.models.pricing import load_litellm, price
from agentkit.models.refusals import one_line, refusal
from agentkit.models.streams import read_events
from agentkit.tls import tls_context

_HOME = "https://api.openai.com/v1"
_LINE = 2**22
"""Longest line of a stream, in bytes."""
_MOST = 2**26
"""Largest response that is read, in bytes."""

_sessions: dict[asyncio.AbstractEventLoop, tuple[aiohttp.ClientSession, AsyncGenerator[aiohttp.ClientSession]]] = {}


class OpenAIChat(HostedChat):
    """A model named `openai/…`: at OpenAI, or at a server of one's own with `api_base`."""

    @property
    def _llm_type(self) -> str:
        return "openai"

    async def _complete(self, request: JsonObject) -> Mapping[str, Any]:
        async with self._post(request) as response:
            data = await _body_of(response)
            try:
                found = json.loads(data)
            except (ValueError, RecursionError) as error:
                said = one_line(data)
                raise ModelError(f"{self.full_name}: the answer is not JSON: {said}", retryable=True) from error
            return (
                {**found, "cost": price(self.full_name, found.get("usage"))}
                if isinstance(found, dict)
                else {"error": found}
            )

    async def _events(self, request: JsonObject) -> AsyncIterator[Mapping[str, Any]]:
        async with self._post(request) as response:
            async for event in read_events(response.content, self.full_name):
                yield event

    @asynccontextmanager
    async def _post(self, request: JsonObject) -> AsyncIterator[aiohttp.ClientResponse]:
        base = self.api_base or os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE") or _HOME
        headers = {"Authorization": f"Bearer {self.api_key or os.environ.get('OPENAI_API_KEY', 'none')}"}
        if organization := os.environ.get("OPENAI_ORGANIZATION"):
            headers["OpenAI-Organization"] = organization
        session = await _session()
        try:
            url = f"{base.rstrip('/')}/chat/completions"
            async with session.post(
                url,
                json=_body(self.full_name.partition("/")[2], request),
                headers=headers,
                proxy=_proxy(url),
                ssl=_trusted() if url.startswith("https:") else True,
                timeout=aiohttp.ClientTimeout(total=self.request_timeout),
            ) as response:
                if response.status >= 400:
                    raise refusal(self.full_name, response.status, await _body_of(response), response.headers)
                yield response
        except TimeoutError as error:
            raise ModelError(f"{self.full_name}: no answer in {self.request_timeout:g} s", retryable=True) from error
        except (aiohttp.ClientError, ValueError) as error:  # ValueError: a line is too long
            again = not isinstance(error, aiohttp.InvalidURL)
            raise ModelError(f"{self.full_name}: {one_line(error) or type(error).__name__}", retryable=again) from error


def _body(model: str, request: Mapping[str, Any]) -> JsonObject:
    """The request with only the parameters that this model supports, under the names that it uses for them."""
    settings = {name: request[name] for name in SETTINGS if name in request}
    others = {name: value for name, value in request.items() if name not in settings and name in _taken(model)}
    return {"model": model, **others, **_settled(model, tuple(settings.items()))}


@lru_cache(maxsize=64)
def _taken(model: str) -> frozenset[str]:
    """The parts of a request that a model supports, according to LiteLLM."""
    names = load_litellm().get_supported_openai_params(model=model, custom_llm_provider="openai")
    return frozenset([*names, "messages", "stream", "stream_options"])


@lru_cache(maxsize=256)
def _settled(model: str, settings: tuple[tuple[str, Any], ...]) -> JsonObject:
    """The settings as LiteLLM translates them for a model: newer models have another name for `max_tokens`, for
    example."""
    made = load_litellm().utils.get_optional_params(
        model=model, custom_llm_provider="openai", drop_params=True, **dict(settings)
    )
    return {name: value for name, value in made.items() if name not in ("stream", "extra_body")}


@lru_cache(maxsize=64)
def _proxy(url: str) -> str | None:
    """The proxy that the environment sets for a URL; cached, since aiohttp itself would look it up in a thread for
    every request."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    return tls_context()


async def _session() -> aiohttp.ClientSession:
    """The HTTP session of the running event loop; it is closed together with the loop."""
    loop = asyncio.get_running_loop()
    if loop not in _sessions:
        life = _life(loop)
        _sessions[loop] = (await anext(life), life)
    return _sessions[loop][0]


async def _life(loop: asyncio.AbstractEventLoop) -> AsyncGenerator[aiohttp.ClientSession]:
    """Keep a session open until the event loop ends: a loop closes the generators that are still open on it."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, read_bufsize=_LINE) as session:
        try:
            yield session
        finally:
            _sessions.pop(loop, None)


async def _body_of(response: aiohttp.ClientResponse) -> bytes:
    """Read a whole body. Raises ValueError if it is larger than any answer can be."""
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > _MOST:
            raise ValueError(f"the answer is larger than {_MOST:,} bytes")
    return bytes(body)
