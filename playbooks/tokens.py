"""Counting tokens without a tokenizer: an upper estimate, so that a budget holds for any model."""

from __future__ import annotations

import re
from collections.abc import Callable

Counter = Callable[[str], int]
"""Returns the number of tokens of a text."""

_WORD = re.compile(r"[A-Za-z]+")


def estimate(text: str) -> int:
    """An upper estimate of the tokens of a text.

    It assumes that a token covers at least three letters of a word, one digit, or one sign; other scripts are counted
    by bytes. The byte-pair vocabularies of current models need about half as many on prose, and no more on code and
    numbers.
    """
    lengths = [len(word) for word in _WORD.findall(text)]
    visible = "".join(text.split())
    words = sum((length + 2) // 3 for length in lengths)
    return words + len(visible.encode(errors="surrogatepass")) - sum(lengths) + text.count("\n")
