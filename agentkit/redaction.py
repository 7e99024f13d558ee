"""Finding secrets by their shape and removing them, so that nothing that is stored contains a recognisable one.

Matching is heuristic: a password that nothing labels as one is missed, and now and then a harmless text looks like a
secret. Only what is stored is altered; the current run keeps working with the original text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Shape:
    """One kind of secret: the pattern, whose group `secret` is removed, and words of which the text must contain
    one."""

    name: str
    words: tuple[str, ...]
    pattern: re.Pattern[str]


def _shape(name: str, words: str, pattern: str) -> Shape:
    return Shape(name, tuple(words.split()), re.compile(pattern, re.IGNORECASE))


SHAPES = (
    _shape(
        "a private key",
        "-----begin",
        r"(?P<secret>-----BEGIN [A-Z ]*(?:PRIVATE|SECRET)(?s:.*?-----END[A-Z -]*-----|.*))",
    ),
    _shape(
        "an API key",
        "sk- sk_ pk- pk_ rk- rk_ ghp gho ghs github_pat glpat xox hf- hf_ aiza npm- npm_",
        r"\b(?P<secret>(?:sk|pk|rk|ghp|gho|ghs|github_pat|glpat|xox[abprs]|hf|npm)[-_][A-Za-z0-9_-]{12,}"
        r"|AIza[A-Za-z0-9_-]{16,})",
    ),
    _shape("an AWS key", "akia asia", r"\b(?P<secret>(?-i:AKIA|ASIA)[A-Z0-9]{12,})"),
    _shape("a token", "bearer basic eyj", r"\b(?:bearer|basic)\s+(?P<secret>[A-Za-z0-9+/_.=-]{16,})"),
    _shape("a token", "eyj", r"\b(?P<secret>(?-i:eyJ)[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_.-]{10,})"),
    _shape(
        "a password",
        "passw pwd passphrase secret api token pin",
        r"\b(?:password|passwd|pwd|passphrase|secret|api[_ -]?key|token|pin)\b[\"'`]?\s*(?:is|=|:|->)\s*"
        r"[\"'`]?(?P<secret>(?=[^\s\"'`]*[\d!@#$%^&*])[^\s\"'`]{4,})",
    ),
    _shape("a password in a URL", "://", r"\b[a-z][a-z0-9+.-]*://[^\s/:@]+:(?P<secret>[^\s/@]+)@"),
)
"""Passwords come last but one, so that a key behind `api_key=` is reported as the kind of key it is."""


_NAMES = re.compile(
    r"(?:\w*[_-])?(?:password|passwd|pwd|passphrase|secret|api[_-]?key|(?:access|auth|refresh|bearer)[_-]?token"
    r"|authorization)",
    re.IGNORECASE,
)
"""Keys of data whose values are secrets, whatever they look like."""
_REDACTED = re.compile(r"\[redacted: [^\]]+\]")


_WORDS = frozenset(word for shape in SHAPES for word in shape.words) | {"authorization"}


def may_hold(data: bytes) -> bool:
    """Whether serialised data may contain secrets: a quick test, so that only a few values need the full check."""
    low = data.lower()
    return any(word.encode() in low for word in _WORDS)


def _suspicious(low: str) -> bool:
    """The same test of lower-case text. A plain loop, since this runs dozens of times in a run."""
    for word in _WORDS:  # noqa: SIM110
        if word in low:
            return True
    return False


def secrets_in(text: str) -> list[str]:
    """The kinds of secret that a text appears to contain."""
    low = text.lower()
    found = [shape.name for shape in SHAPES if any(word in low for word in shape.words) and shape.pattern.search(text)]
    return list(dict.fromkeys(found))


def redact(text: str) -> str:
    """Replace every recognised secret by `[redacted: …]`; idempotent.

    >>> redact("use sk-abcdefghijklmnop, please")
    'use [redacted: an API key], please'
    """
    low = text.lower()
    if not _suspicious(low):
        return text
    for shape in SHAPES:
        if any(word in low for word in shape.words):
            text = shape.pattern.sub(partial(_without, shape.name), text)
    return text


def redact_data(data: T) -> T:
    """Redact every text in JSON data, and every value whose key names a secret.

    >>> redact_data({"headers": ["Bearer abcdefghijklmnop"], "password": "one"})
    {'headers': ['Bearer [redacted: a token]'], 'password': '[redacted: a password]'}
    """
    found: Any = data
    if isinstance(data, str):
        found = redact(data)
    elif isinstance(data, dict):
        found = {key: _named(key, value) for key, value in data.items()}
    elif isinstance(data, list | tuple):
        found = type(data)(map(redact_data, data))
    redacted: T = found
    return redacted


def _named(key: object, value: Any) -> Any:
    if isinstance(value, str) and value and isinstance(key, str) and _NAMES.fullmatch(key):
        return value if _REDACTED.search(value) else "[redacted: a password]"
    return redact_data(value)


def _without(name: str, match: re.Match[str]) -> str:
    begin, end = match.start("secret") - match.start(), match.end("secret") - match.start()
    return f"{match[0][:begin]}[redacted: {name}]{match[0][end:]}"
