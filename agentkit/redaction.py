"""Secrets by their shape, and texts without them: nothing that is written down holds a known one.

A shape is no proof. A password without a word that says so is not found, and now and then a harmless text has the shape
of a secret; the run that is under way keeps working with what it was given, only what is written down is altered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Shape:
    """What a kind of secret looks like: the pattern's group `secret`, in a text that holds one of the words."""

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
"""Passwords come last but one: a key that stands behind `api_key=` is named for what it is."""


_NAMES = re.compile(
    r"(?:\w*[_-])?(?:password|passwd|pwd|passphrase|secret|api[_-]?key|(?:access|auth|refresh|bearer)[_-]?token"
    r"|authorization)",
    re.IGNORECASE,
)
"""Keys of data whose values are secrets, whatever their shape."""
_REDACTED = re.compile(r"\[redacted: [^\]]+\]")


_WORDS = frozenset(word for shape in SHAPES for word in shape.words) | {"authorization"}


def may_hold(data: bytes) -> bool:
    """Whether secrets may stand in serialised data: a quick look, for the few that are then read in full."""
    low = data.lower()
    return any(word.encode() in low for word in _WORDS)


def secrets_in(text: str) -> list[str]:
    """The kinds of secret whose shape a text holds."""
    low = text.lower()
    found = [shape.name for shape in SHAPES if any(word in low for word in shape.words) and shape.pattern.search(text)]
    return list(dict.fromkeys(found))


def redact(text: str) -> str:
    """The text with `[redacted: …]` in place of every known secret; again it changes nothing.

    >>> redact("use sk-abcdefghijklmnop, please")
    'use [redacted: an API key], please'
    """
    low = text.lower()
    for shape in SHAPES:
        if any(word in low for word in shape.words):
            text = shape.pattern.sub(partial(_without, shape.name), text)
    return text


def redact_data(data: T) -> T:
    """JSON data with every text in it redacted, and what stands under the name of a secret.

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
