"""Counting tokens without a tokenizer: an upper estimate, so that a budget holds for any model."""

from __future__ import annotations

import re
from collections.abc import Callable

Counter = Callable[[str], int]
"""How many tokens a text has."""

_WORD = re.compile(r"[A-Za-z]+")


def estimate(text: str) -> int:
    """An upper estimate of the tokens of a text.

    A token covers at least: three letters of a word, one digit, one sign; other scripts count by bytes. Byte-pair
    vocabularies of today's models need fewer on prose (about half), and no more on code and numbers.
    """
    lengths = [len(word) for word in _WORD.findall(text)]
    visible = "".join(text.split())
    words = sum((length + 2) // 3 for length in lengths)
    return words + len(visible.encode(errors="surrogatepass")) - sum(lengths) + text.count("\n")
