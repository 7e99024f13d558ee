"""Splitting text in any script into words, for search, embeddings and indexes."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

_WORD = re.compile(r"[a-z0-9]+")
_WORD_OR_NUMBER = re.compile(r"[a-z]+|\d+(?:\.\d+)?")
_ENDING = re.compile(r"(?:ing|ed|es|s)$")
_SCRIPTS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_UNSPACED = re.compile(f"[{_SCRIPTS}]")
_MARKS = (
    "\u0300-\u036f\u0610-\u061a\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0980-\u0983\u09bc-\u09cd\u0a3c-\u0a4d"
    "\u0b3c-\u0b4d\u0bbe-\u0bcd\u0c3e-\u0c4d\u0cbc-\u0ccd\u0d3e-\u0d4d\u0591-\u05c7"
)
_ANY_WORD = re.compile(f"[{_SCRIPTS}]+|(?:(?![{_SCRIPTS}_])[\\w{_MARKS}])+")
"""Runs of a script that puts no spaces between words (Thai, Lao, Burmese, Khmer, Chinese, Japanese), and words of any
other."""
_STOP = frozenset(
    {"a", "an", "the", "of", "to", "in", "on", "for", "and", "or", "is", "are", "be", "it", "its", "this", "that"}
    | {"with", "by", "as", "at", "from", "when", "if", "you"}
)
_INDEXED = 100_000
"""How many characters of a text are indexed."""
_LONGEST = 64
"""Longest indexed word in characters; PostgreSQL refuses one of 2 kB."""


def words(text: str) -> list[str]:
    """Lower-case words and numbers in any script; for scripts without spaces, single characters and pairs of them.

    >>> words("TNF-α 5"), words("路由器")
    (['tnf', 'α', '5'], ['路', '由', '器', '路由', '由器'])
    """
    text = text.lower()
    if text.isascii():
        return _WORD.findall(text)
    found: list[str] = []
    for run in _ANY_WORD.findall(unicodedata.normalize("NFKC", text)):
        found += [*run, *map("".join, pairwise(run))] if _UNSPACED.match(run) else [run]
    return found


def stems(text: str) -> list[str]:
    """Words without their endings, and without stop words; numbers stay whole."""
    found = _WORD_OR_NUMBER.findall(text.lower()) if text.isascii() else words(text)
    return [_ENDING.sub("", word) if len(word) > 4 else word for word in found if word not in _STOP]


def spaced(text: str) -> str:
    """The words of a text separated by spaces, as input to a full-text index, which then needs no support for any
    script.

    >>> spaced("路由器, reset!")
    '路 由 器 路由 由器 reset'
    """
    return " ".join([word[:_LONGEST] for word in words(text[:_INDEXED])])


def asked(text: str, most: int) -> list[str]:
    """The distinct words of a query in the index's form, at most `most` of them; four times as many if the query is not
    ASCII, since scripts without spaces give one for every character and pair."""
    return list(dict.fromkeys(spaced(text).split()))[: most if text.isascii() else 4 * most]
