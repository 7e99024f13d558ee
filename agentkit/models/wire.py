"""OpenAI's wire format and HTTP's Retry-After, as far as several models share them."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from typing import Any

from langchain_core.messages.ai import InputTokenDetails, UsageMetadata


def usage_metadata(usage: Mapping[str, Any]) -> UsageMetadata:
    """Token counts of a response, the cached ones among them."""
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    prompt, written = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    return UsageMetadata(
        input_tokens=prompt,
        output_tokens=written,
        total_tokens=prompt + written,
        input_token_details=InputTokenDetails(cache_read=cached),
    )


def headers_of(error: Exception) -> Mapping[str, str]:
    """The headers of the response that an exception of LiteLLM, httpx or an SDK on it came with."""
    response = getattr(error, "response", None)
    return getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None) or {}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a provider asked us to wait, in either form of the header (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
