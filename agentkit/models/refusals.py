"""Interpreting providers' error responses: the message as one line, and whether and when to retry.

Providers agree neither on the format of an error's body nor on its wording. The formats handled here are those of
OpenAI, Azure, Anthropic, Gemini, Bedrock, Mistral, Cohere, OpenRouter, vLLM, TGI, Ollama, llama.cpp and LiteLLM's
proxy.
"""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Iterator, Mapping
from html import unescape

from agentkit.errors import ContextOverflow, ModelError, QuotaUsedUp
from agentkit.json_types import JsonObject
from agentkit.text import clipped

_LIMIT = 300
"""How much of a provider's message is shown, in characters."""

_OVERFLOW = re.compile(
    r"context_length_exceeded|exceed_context_size|context[\s_-]?(?:length|window|size|limit)|maximum model length"
    r"|max_model_len|(?:prompt|input|request|messages?)\W+(?:is|are|was|were)\W+too (?:long|large)"
    r"|too many (?:input |prompt )?tokens|maximum prompt length|model token limit|token (?:count|limit)\b.*\bexceed"
    r"|exceed\w*\b.*\b(?:token limit|(?:maximum|max|allowed)\b.*\btokens|tokens allowed)"
    r"|tokens`? \+ `?max_new_tokens|(?:input|prompt) (?:length|tokens?)\b.*\bexceed|reduce the length of"
    r"|longer than the (?:maximum|model|context)|tokens >\s*\d+ maximum|string_above_max_length"
    r"|(?:less|fewer|no more) than \d+ (?:input )?tokens|range of input length|input is too long",
    re.IGNORECASE | re.DOTALL,
)
_NO_OVERFLOW = re.compile(
    r"rate.?limit|per.?(?:minute|second|hour|day)|quota|\bt[pr]m\b|`?max_(?:completion_)?tokens`? (?:is|must|should)"
    r"(?! be <= \d+\.?$)|credit",
    re.IGNORECASE,
)
_USED_UP = re.compile(
    r"insufficient[\s_-]?(?:quota|balance|credits?|funds)|billing[\s_-]?(?:hard[\s_-]?limit|not[\s_-]?active)"
    r"|exceeded your current quota|credit balance is too low|(?:out of|no more|not enough) (?:credits?|funds)"
    r"|requires more credits|payment[\s_-]required|account is not active|spending limit|arrearage|quota[\s_-]exhausted",
    re.IGNORECASE,
)
_COMES_BACK = re.compile(
    r"per.?(?:minute|second|hour)|(?:retry|try again) (?:in|after) [\d.]|requests?perminute", re.IGNORECASE
)
_WAIT = re.compile(
    r"(?:retry|try again) (?:in|after) (?:(?P<h>\d+)h)?(?:(?P<m>\d+)m(?!s))?"
    r"(?:(?P<s>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|sec|$|\b))?",
    re.IGNORECASE,
)
_NOT_AGAIN = {
    "invalid_request_error": 400,
    "invalid_request": 400,
    "invalid_argument": 400,
    "bad_request": 400,
    "badrequesterror": 400,
    "authentication_error": 401,
    "unauthenticated": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "not_found": 404,
    "model_not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "resource_exhausted": 429,
    "rate_limit_exceeded": 429,
    "overloaded_error": 529,
    "api_error": 500,
    "server_error": 500,
}
"""HTTP status by the error name in the body, for errors that arrive with status 200 or within a stream."""


def refusal(name: str, status: int | None, body: object, headers: Mapping[str, str] | None = None) -> ModelError:
    """The error for a provider's error response.

    Args:
        name: the model's name.
        status: the HTTP status; None (or 200) if the error is inside an answer or a stream, in which case the body may
            say.
        body: text, bytes, or parsed JSON.
        headers: the response headers.
    """
    parsed = _parsed(body)
    message, codes = _said(parsed)
    named = status if status is not None and status >= 400 else _status_of(codes)
    line = f"{name}: {message or f'HTTP status {named}'}"
    text = " ".join([message, *codes])
    if (named == 413 or _OVERFLOW.search(text)) and not _NO_OVERFLOW.search(text):
        return overflow(line, named)
    waits = [retry_after(headers or {}), _hinted(parsed), _spelled_out(message)]
    wait = next((seconds for seconds in waits if seconds is not None), None)
    if named == 402 or (named in (400, 403, 429) and _is_used_up(message, codes, waits=bool(wait))):
        return QuotaUsedUp(line, status=named)
    return ModelError(line, retryable=may_pass(named), status=named, retry_after=wait)


def _is_used_up(message: str, codes: list[str], *, waits: bool) -> bool:
    """Whether the quota is exhausted. A code says so reliably; the wording alone also occurs in some rate-limit
    errors."""
    if _USED_UP.search(" ".join(codes)):
        return True
    return bool(_USED_UP.search(message)) and not waits and not _COMES_BACK.search(message)


def overflow(line: str, status: int) -> ContextOverflow:
    """The error for a prompt that a provider found too long; `line` is its message."""
    return ContextOverflow(f"{line}; shorten the prompt or take a model with a larger context", status=status)


def may_pass(status: int | None) -> bool:
    """Whether a request rejected with this HTTP status may succeed later."""
    return status in (408, 409, 425, 429) or ((status or 0) >= 500 and status not in (501, 505))


def one_line(text: object) -> str:
    """An error's message on one line; extracted from HTML or JSON where necessary."""
    return _said(_parsed(text))[0]


def headers_of(error: Exception) -> Mapping[str, str]:
    """The headers of the response behind an exception from LiteLLM, httpx, or an SDK built on it."""
    response = getattr(error, "response", None)
    return getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None) or {}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a provider asked us to wait: from a header in milliseconds, or either form of Retry-After (RFC 9110,
    10.2.3)."""
    exact = _number(headers.get("retry-after-ms"))
    if exact is not None:
        return exact / 1000
    value = headers.get("retry-after") or headers.get("Retry-After")
    if value is None:
        return None
    if (seconds := _number(value)) is not None:
        return seconds
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _number(value: object) -> float | None:
    try:
        return max(0.0, float(str(value)))
    except ValueError:
        return None


def _parsed(body: object) -> object:
    """Parse the text as JSON if it is JSON or ends in JSON (as LiteLLM's messages do); otherwise return the text."""
    if isinstance(body, bytes):
        body = body.decode(errors="replace")
    if not isinstance(body, str):
        return body if isinstance(body, dict | list) else str(body)
    start = next((place for place, sign in enumerate(body[:500]) if sign in "[{"), None)
    if start is not None:
        try:
            found, _ = json.JSONDecoder().raw_decode(body, start)
        except (ValueError, RecursionError):
            return body
        if isinstance(found, dict | list) and _said(found)[0]:
            return found
    return body


_MESSAGE = (
    "message",
    "msg",
    "error_description",
    "Message",
    "errorMessage",
    "error_message",
    "detail",
    "details",
    "error",
    "errors",
    "reason",
    "title",
    "text",
)
_CODE = ("code", "type", "status", "reason", "error_code", "errorCode", "__type")


def _said(body: object, depth: int = 0) -> tuple[str, list[str]]:
    """The message of an error and its codes and type names, wherever they occur in the body."""
    if depth > 8:
        return "", []
    if isinstance(body, list):
        found = [_said(item, depth + 1) for item in body[:5]]
        return _clip("; ".join(message for message, _ in found if message)), [
            code for _, codes in found for code in codes
        ]
    if not isinstance(body, dict):
        return (_text(body, depth) if body not in (None, True, False) else "", [])
    codes = [str(body[key]) for key in _CODE if isinstance(body.get(key), str | int)]
    inner = [(key, *_said(body[key], depth + 1)) for key in _MESSAGE if isinstance(body.get(key), str | list | dict)]
    codes += [code for key, _, found in inner for code in found]
    message = next((text for _, text, _ in inner if text), "")
    raw = body.get("metadata", {}).get("raw") if isinstance(body.get("metadata"), dict) else None
    if raw:  # OpenRouter: the message of the provider behind it
        behind, more = _said(_parsed(raw), depth + 1)
        message, codes = _clip(f"{message}: {behind}" if behind else message), codes + more
    return message, codes


def _text(body: object, depth: int) -> str:
    text = str(body).strip()
    if text[:1] in ("{", "[") and depth and not isinstance(inner := _parsed(text), str):
        return _said(inner, depth + 1)[0]
    if re.match(r"\s*(?:<!doctype|<html|<head|<body|<\?xml)", text, re.IGNORECASE):
        text = re.sub(r"(?is)<(script|style)\b.*?</\1>|<[^>]{0,500}>", " ", text[:20_000])
        text = unescape(text)
    return _clip(text)


def _clip(text: str) -> str:
    return clipped(re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text[:4000]), _LIMIT)


def _status_of(codes: list[str]) -> int:
    """The HTTP status that an error's codes stand for; 500, which is retried, if they say nothing."""
    for code in codes:
        if code.isdecimal() and 400 <= int(code[:4]) < 600:
            return int(code)
        if code.lower() in _NOT_AGAIN:
            return _NOT_AGAIN[code.lower()]
    return 500


def _hinted(body: object) -> float | None:
    """The delay in Gemini's RetryInfo: `{"retryDelay": "34s"}` among the details."""
    for item in _dicts(body):
        delay = item.get("retryDelay") or item.get("retry_after")
        if isinstance(delay, str | int | float) and (found := _number(str(delay).removesuffix("s"))) is not None:
            return found
    return None


def _dicts(body: object, depth: int = 0) -> Iterator[JsonObject]:
    if depth > 6:
        return
    if isinstance(body, dict):
        yield body
    for item in body.values() if isinstance(body, dict) else body if isinstance(body, list) else ():
        yield from _dicts(item, depth + 1)


def _spelled_out(message: str) -> float | None:
    """ "Please try again in 1m30s", "retry after 20 seconds"."""
    found = _WAIT.search(message)
    if found is None or not any(found.group("h", "m", "s")):
        return None
    seconds = float(found["s"] or 0) / (1000 if (found["unit"] or "").lower() == "ms" else 1)
    return 3600 * int(found["h"] or 0) + 60 * int(found["m"] or 0) + seconds
