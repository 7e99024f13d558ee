"""OpenAI, and every server that speaks its protocol (llama.cpp, vLLM, Ollama), with nothing in between.

Why not through LiteLLM, and what is asked of it all the same: docs/decisions/0010-openai-without-a-layer.md.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx

from agentkit.errors import ModelError
from agentkit.models.hosted import SETTINGS, HostedChat
from agentkit.models.litellm import load_litellm, price
from agentkit.models.wire import may_pass, one_line, overflow, retry_after

_HOME = "https://api.openai.com/v1"
_LINE = 2**22
"""Bytes of the longest line of a stream."""

_sessions: dict[asyncio.AbstractEventLoop, tuple[aiohttp.ClientSession, AsyncGenerator[aiohttp.ClientSession]]] = {}


class OpenAIChat(HostedChat):
    """A model named `openai/…`: at OpenAI, or at a server of one's own with `api_base`."""

    @property
    def _llm_type(self) -> str:
        return "openai"

    async def _complete(self, request: dict[str, Any]) -> Mapping[str, Any]:
        async with self._post(request) as response:
            return self._read(await response.read())

    async def _events(self, request: dict[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """Server-sent events; chat completions have nothing but their data lines."""
        async with self._post(request) as response:
            async for line in response.content:
                data = line[5:].strip() if line.startswith(b"data:") else b""
                if data and data != b"[DONE]":
                    yield self._read(data)

    @asynccontextmanager
    async def _post(self, request: dict[str, Any]) -> AsyncIterator[aiohttp.ClientResponse]:
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
                timeout=aiohttp.ClientTimeout(total=self.request_timeout),
            ) as response:
                if response.status >= 400:
                    raise self._refused(response.status, await response.text(errors="replace"), response.headers)
                yield response
        except TimeoutError as error:
            raise ModelError(f"{self.full_name}: no answer in {self.request_timeout:g} s", retryable=True) from error
        except (aiohttp.ClientError, ValueError) as error:  # a ValueError: a line that is too long
            again = not isinstance(error, aiohttp.InvalidURL)
            raise ModelError(f"{self.full_name}: {one_line(error) or type(error).__name__}", retryable=again) from error

    def _read(self, data: bytes) -> dict[str, Any]:
        try:
            found = json.loads(data)
        except ValueError as error:
            raise ModelError(f"{self.full_name}: the answer is not JSON: {error}", retryable=True) from error
        if not isinstance(found, dict) or "choices" not in found:  # an error, as the body or in a stream
            raise self._refused(500, data.decode(errors="replace"), {})
        return {**found, "cost": price(self.full_name, found.get("usage"))}

    def _refused(self, status: int, text: str, headers: Mapping[str, str]) -> ModelError:
        message, code = _told(text)
        line = f"{self.full_name}: {message or f'HTTP status {status}'}"
        if code == "context_length_exceeded" or "context size" in message or "maximum context length" in message:
            return overflow(line, status)
        return ModelError(line, retryable=may_pass(status), status=status, retry_after=retry_after(headers))


def _body(model: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """The request with the parameters that this model takes, by the names that it knows them by."""
    settings = {name: request[name] for name in SETTINGS if name in request}
    others = {name: value for name, value in request.items() if name not in settings and name in _taken(model)}
    return {"model": model, **others, **_settled(model, tuple(settings.items()))}


@lru_cache(maxsize=64)
def _taken(model: str) -> frozenset[str]:
    """The parts of a request that a model takes, as far as LiteLLM knows."""
    names = load_litellm().get_supported_openai_params(model=model, custom_llm_provider="openai")
    return frozenset([*names, "messages", "stream", "stream_options"])


@lru_cache(maxsize=256)
def _settled(model: str, settings: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """What LiteLLM makes of settings for a model: newer ones know `max_tokens` by another name."""
    made = load_litellm().utils.get_optional_params(
        model=model, custom_llm_provider="openai", drop_params=True, **dict(settings)
    )
    return {name: value for name, value in made.items() if name not in ("stream", "extra_body")}


@lru_cache(maxsize=64)
def _proxy(url: str) -> str | None:
    """The proxy that the environment names for an address; aiohttp itself would look in a thread for every request."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


async def _session() -> aiohttp.ClientSession:
    """The connections of the running event loop, which end with it."""
    loop = asyncio.get_running_loop()
    if loop not in _sessions:
        life = _life(loop)
        _sessions[loop] = (await anext(life), life)
    return _sessions[loop][0]


async def _life(loop: asyncio.AbstractEventLoop) -> AsyncGenerator[aiohttp.ClientSession]:
    """A session until the loop ends: loops close the generators that are open on them."""
    connector = aiohttp.TCPConnector(limit=0, ssl=httpx.create_ssl_context())
    async with aiohttp.ClientSession(connector=connector, read_bufsize=_LINE) as session:
        try:
            yield session
        finally:
            _sessions.pop(loop, None)


def _told(text: str) -> tuple[str, str | None]:
    """The message and the code of an error's body, whatever it is."""
    try:
        error = json.loads(text)["error"]
        return one_line(error["message"]), error.get("code")
    except (ValueError, TypeError, KeyError):
        return one_line(text), None
