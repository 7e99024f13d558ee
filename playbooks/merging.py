"""Three-way merge of edits to one bullet."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TypeVar

from agentkit.errors import Conflict

T = TypeVar("T")


def merge_field(base: T, ours: T, theirs: T, *, what: str) -> T:
    """The value that combines both sides' edits to `base`.

    Raises:
        Conflict: both sides changed it in different ways.
    """
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    raise Conflict(f"two changes give different {what}")


def merge_text(base: str, ours: str, theirs: str) -> str:
    """Merge edits word by word; edits of the same or neighbouring words conflict.

    Raises:
        Conflict: the edits overlap.
    """
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    words = _words(base)
    edits = sorted({*_edits(words, _words(ours)), *_edits(words, _words(theirs))})
    merged: list[str] = []
    position = 0
    for number, (start, end, replacement) in enumerate(edits):
        if number and start <= edits[number - 1][1]:
            raise Conflict("two changes edit the same words")
        merged += [*words[position:start], *replacement]
        position = end
    return " ".join("".join([*merged, *words[position:]]).split())


def _words(text: str) -> list[str]:
    return re.findall(r"\S+\s*", text + " ")


def _edits(base: list[str], other: list[str]) -> list[tuple[int, int, tuple[str, ...]]]:
    matcher = SequenceMatcher(None, base, other, autojunk=False)
    return [(i1, i2, tuple(other[j1:j2])) for tag, i1, i2, j1, j2 in matcher.get_opcodes() if tag != "equal"]
