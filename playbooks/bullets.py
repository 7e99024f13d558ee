"""Bullet: one reusable lesson as data, with an id derived from its content."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from agentkit.embedding import text_hash
from agentkit.errors import UserError

Status = Literal["active", "retired"]

MAX_CONTENT = 1200
"""Maximum length of a bullet in characters; a longer lesson is really several."""

SECTION, GENERAL = "strategies", ""
"""The section of a bullet that names none, and the scope of a lesson that applies everywhere."""

_ID_LETTERS = str.maketrans("0189", "wxyz")


@dataclass(frozen=True, slots=False)
class Bullet:
    """One lesson in one state.

    Attributes:
        id: derived from the section, scope and content that the bullet was created with; it stays the same through
            edits.
        section: the kind of lesson.
        scope: the tool, domain or data that it applies to; empty if it applies everywhere.
        content: one line of text.
        status: active, or retired (kept so that it is not learnt again by mistake).
        added: the version it was created in.
        revised: the version in which its text last changed. Rendering uses this order, so that what changes moves to
            the end.
        seq: its position among the bullets of that version.
        parents: the bullets it was merged or split from.
    """

    id: str
    section: str
    scope: str
    content: str
    status: Status = "active"
    added: int = 0
    revised: int = 0
    seq: int = 0
    parents: tuple[str, ...] = ()

    @property
    def active(self) -> bool:
        return self.status == "active"

    @property
    def order(self) -> tuple[int, int, str]:
        return (self.revised, self.seq, self.id)

    @cached_property
    def hash(self) -> str:
        """Identifies this state; an operation quotes it as the state that it expects."""
        return _digest(self.section, self.scope, self.content, self.status)[:16]

    @cached_property
    def text_hash(self) -> str:
        """Identifies the content alone, for the embedding index."""
        return text_hash(self.content)


def bullet_id(section: str, scope: str, content: str) -> str:
    """Eight letters and digits (40 bits) that never begin like an English word."""
    raw = base64.b32encode(bytes.fromhex(_digest(section, scope, content))[:5]).decode().lower()
    return raw.translate(_ID_LETTERS)


def clean(text: str) -> str:
    """Convert to one line of plain text: no control, bidirectional or zero-width characters, no line breaks.

    Raises:
        UserError: nothing is left, or it is longer than a bullet may be.
    """
    line = " ".join(plain(text).split())
    if not line:
        raise UserError("a bullet needs content")
    if len(line) > MAX_CONTENT:
        raise UserError(f"a bullet may have {MAX_CONTENT} characters, this one has {len(line)}: split it")
    return line


def plain(text: str) -> str:
    """The text without invisible characters; those that end a line or move a cursor become a line break or a space.
    Every check on what a text must not contain uses this form, because this is the form that is stored."""
    if text.isascii() and text.isprintable():
        return text
    seen = "".join(_visible(char) for char in text)
    return unicodedata.normalize("NFC", seen)


def label(text: str, *, default: str = "") -> str:
    """A section or scope: short, lower case, only letters, digits and `-_./ `."""
    line = re.sub(r"[^\w./&+-]+", " ", unicodedata.normalize("NFKC", text).lower()).strip()
    return line[:60].strip() or default


_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Characters that are letters or marks by category but are drawn as nothing: joiners, Hangul fillers, variation
selectors, an empty Braille cell."""


def _visible(char: str) -> str:
    category = unicodedata.category(char)
    if category in ("Cf", "Cs", "Co", "Cn") or _IGNORABLE.match(char):
        return ""
    if category in ("Zl", "Zp") or char in "\r\n\v\f\x85":
        return "\n"
    return " " if char.isspace() or category == "Cc" else char


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
