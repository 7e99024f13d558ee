"""OpenAI's wire format and HTTP's Retry-After, as far as several models share them."""

from __future__ import annotations

import email.utils
import time
from typing import Any

from langchain_core.messages.ai import InputTokenDetails, UsageMetadata


def usage_metadata(usage: dict[str, Any]) -> UsageMetadata:
    """Token counts of a response, the cached ones among them."""
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    prompt, written = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    return UsageMetadata(
        input_tokens=prompt,
        output_tokens=written,
        total_tokens=prompt + written,
        input_token_details=InputTokenDetails(cache_read=cached),
    )


def retry_after(error: Exception) -> float | None:
    """Seconds that a provider asked us to wait, in either form of the header (RFC 9110, 10.2.3)."""
    response = getattr(error, "response", None)
    headers = getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None)
    value = headers.get("retry-after") if headers else None
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
