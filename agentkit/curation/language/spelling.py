"""Normalised spelling for texts that people would consider equal, with a mapping back to the original offsets."""

from __future__ import annotations

import re
import unicodedata
from array import array
from dataclasses import dataclass
from functools import lru_cache

_SINGLE = dict.fromkeys("‘’‚‛′´`ʼ＇", "'")
_DOUBLE = dict.fromkeys("“”„‟″«»＂", '"')
_DASH = dict.fromkeys("‐‑‒–—―−﹣－⁃", "-")
_SAME = _SINGLE | _DOUBLE | _DASH

_RAISED = frozenset("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")

_DASHES = "".join(re.escape(c) for c in ["-", *_DASH])
_TOKEN = re.compile(
    rf"(?P<soft>(?<=\w)[{_DASHES}][^\S\n]*\r?\n[^\S\n]*(?=\w)|\u00ad\s*)"
    r"|(?P<dropped>(?<=[^\W\d_])\^(?=[-−+\w]))"
    r"|(?P<plain>(?:[!-,./0-\]_a-~](?![\u0300-\u036f]))+|-)"
    r"|(?P<space>\s+)"
    r"|(?P<other>.[\u0300-\u036f]*)",
    re.DOTALL,
)

_GREEK = {
    chr(code): unicodedata.name(chr(code)).rpartition(" ")[2].lower().replace("lamda", "lambda")
    for code in (*range(0x3B1, 0x3C2), *range(0x3C3, 0x3CA))
} | {"ς": "sigma"}


@dataclass(frozen=True, kw_only=True)
class Spelled:
    """A normalised text.

    Attributes:
        text: NFKC, with one kind of space, dash and quotation mark; exponents as `10^5`; case is kept.
        starts, ends: for each character, the start and end of its source in the original.
        soft: indices of hyphens at the ends of lines, which may or may not belong to the word.
    """

    text: str
    starts: array[int]
    ends: array[int]
    soft: frozenset[int]


@lru_cache(maxsize=64)
def spelled(text: str) -> Spelled:
    """Normalise a text (results for whole documents are cached)."""
    pieces: list[str] = []
    starts, ends, soft = array("I"), array("I"), list[int]()
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        if match.lastgroup == "plain":
            pieces.append(match[0])
            starts.extend(range(start, end))
            ends.extend(range(start + 1, end + 1))
            continue
        if match.lastgroup == "soft" and match[0][0] != "\u00ad":
            soft.append(len(starts))
        out = _spell(match)
        pieces.append(out)
        starts.extend([start] * len(out))
        ends.extend([end] * len(out))
    return Spelled(text="".join(pieces), starts=starts, ends=ends, soft=frozenset(soft))


def _spell(match: re.Match[str]) -> str:
    if match.lastgroup == "soft":
        return "" if match[0][0] == "\u00ad" else "-"
    if match.lastgroup == "space":
        return " "
    if match.lastgroup == "dropped":
        return ""
    char = match[0]
    if char in _RAISED:
        return _apart(char, match.string[match.start() - 1 : match.start()])
    if char in _SAME:
        return _SAME[char]
    if len(char) == 1 and unicodedata.category(char) == "Cf":
        return ""
    return "".join(_SAME.get(c, c) for c in unicodedata.normalize("NFKC", char))


def _apart(char: str, before: str) -> str:
    """A superscript digit as text: an exponent after a digit, `10⁵` as 10^5; plain after a letter, `m²` as m2."""
    plain = unicodedata.normalize("NFKC", char)
    return f"^{_SAME.get(plain, plain)}" if before.isdecimal() else _SAME.get(plain, plain)


def folded(text: str) -> str:
    """Normalise for comparing names and words: lower case, dashes as spaces, Greek letters written out, single spaces.

    >>> folded("TNF-α  Inhibitors")
    'tnf alpha inhibitors'
    """
    if text.isascii():
        return " ".join(text.lower().replace("`", "'").replace("-", " ").split())
    plain = spelled(text).text.casefold().replace("-", " ")
    return " ".join("".join(_GREEK.get(c, c) for c in plain).split())
