"""Rule-based sentence splitting: a full stop, a space, and a sentence start; never across a blank line."""

from __future__ import annotations

import bisect
import re
from functools import lru_cache
from itertools import pairwise

_STOP = re.compile(r"[.!?][\"'”’)\]]*(?:\[[\d,–-]+\])?\s+(?=[\"'“‘(\[]*[A-Z0-9Α-Ω])|\s*\n\s*\n\s*")
_SHORT = re.compile(
    r"(?:\b(?:e\.g|i\.e|vs|cf|etc|et al|figs?|refs?|nos?|eq|approx|ca|dr|mr|mrs|ms|prof|st|inc|spp?|resp|sd|vol|pp?)"
    r"|(?:^|[\s(])[A-Za-z])\.$",
    re.IGNORECASE,
)


@lru_cache(maxsize=64)
def boundaries(text: str) -> tuple[int, ...]:
    """The offsets at which sentences start, and the end of the text."""
    found = [0]
    for match in _STOP.finditer(text):
        before = text[max(0, match.start() - 12) : match.start() + 1]
        blank = "\n\n" in match[0].replace(" ", "").replace("\r", "")
        if blank or match[0][0] != "." or not _SHORT.search(before):
            found.append(match.end())
    return (*dict.fromkeys(found), len(text)) if found[-1] != len(text) else tuple(found)


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, each with the white space after it."""
    return [text[start:end] for start, end in pairwise(boundaries(text))]


def window(text: str, start: int, end: int, around: int = 0) -> tuple[int, int]:
    """The span of the sentences that `text[start:end]` touches, and `around` more on both sides."""
    marks = boundaries(text)
    first = max(0, bisect.bisect_right(marks, start) - 1 - around)
    last = min(len(marks) - 1, bisect.bisect_left(marks, end) + around)
    return marks[first], marks[max(last, first)]
