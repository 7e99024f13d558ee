"""Identifiers of papers, however they are written: `https://doi.org/10.1000/ABC`, `doi:10.1000/abc`, `PMC 123.1`."""

from __future__ import annotations

import html
import re
from urllib.parse import unquote

_DOI = re.compile(r"10\.\d{4,9}(?:\.\d+)*/[^\s\"“”]+", re.IGNORECASE)
_PAIRS = {")": "(", "]": "[", "}": "{", ">": "<"}


def doi_of(text: str) -> str:
    """The first DOI in a text, in lower case, without URL, escapes and closing punctuation; empty if there is none.

    >>> doi_of("https://doi.org/10.1000/ABC."), doi_of("doi:10.1000%2Fabc"), doi_of(r"10.1000/abc\\_1")
    ('10.1000/abc', '10.1000/abc', '10.1000/abc_1')
    """
    plain = html.unescape(text.replace("\\", ""))
    match = _DOI.search(plain) or _DOI.search(unquote(plain))
    if match is None:
        return ""
    found = unquote(match[0]) if "%" in match[0] and "doi.org" in plain.lower() else match[0]
    found = re.split(r"[?#]|</", found)[0] if "://" in plain else found
    return _trimmed(found).lower()


def _trimmed(found: str) -> str:
    """The match without closing punctuation and unbalanced closing brackets."""
    while found:
        last = found[-1]
        if last in ".,;:'’" or (last in _PAIRS and found.count(last) > found.count(_PAIRS[last])):
            found = found[:-1]
        else:
            break
    return found


def pmid_of(text: str) -> str:
    """The PubMed identifier in a field that contains nothing else: `PMID: 123` or its URL; empty if there is none."""
    match = re.fullmatch(r"(?:pmid:?\s*|https?://\S+/(?:pubmed/)?)?(\d{1,9})(?:\s*\[pmid\])?/?", text.strip(), re.I)
    return match[1] if match else ""


def pmcid_of(text: str) -> str:
    """The PMC identifier in a text, `PMC123`, without its version; empty if there is none."""
    match = re.search(r"\bPMC[:\s]?\s?(\d+)", text, re.IGNORECASE)
    return f"PMC{match[1]}" if match else ""


def year_of(text: str) -> int | None:
    """The first year in a text such as `2019/05/01` or `2020Dec15`."""
    match = re.search(r"(?<!\d)(1[5-9]|20)\d\d(?!\d)", text)
    return int(match[0]) if match else None
