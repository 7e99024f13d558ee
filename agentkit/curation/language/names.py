"""Names in text: the ways in which a name may be written, and its occurrences as whole words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from agentkit.curation.language.spelling import folded

_PARENTHESIS = re.compile(r"^(.+?)\s*[(\[]([^()\[\]]+)[)\]]\s*(.*)$")
_DEFINED = re.compile(r"\(([A-Za-z][A-Za-z0-9/+-]{1,9}?)s?\)")


def forms_of(names: Iterable[str]) -> set[str]:
    """All ways to write any of these names."""
    return {form for name in names for form in forms(name)}


@lru_cache(maxsize=65536)
def forms(name: str) -> tuple[str, ...]:
    """The folded ways to write a name: as it is, singular and plural, and the parts of `growth hormone (GH)`."""
    found = [folded(name)]
    parenthesis = _PARENTHESIS.match(name)
    if parenthesis:
        inner, outer = parenthesis[2], f"{parenthesis[1]} {parenthesis[3]}"
        found += [folded(outer), *([folded(inner)] if re.search(r"[A-Z]{2}|[A-Z]\d", inner) else [])]
    return tuple(dict.fromkeys(v for f in found if f for v in (f, *grammatical_numbers(f))))


def grammatical_numbers(name: str) -> Iterator[str]:
    """The other grammatical number of a name; short ones (abbreviations) only gain an s."""
    if name.endswith("ies") and len(name) > 5:
        yield name[:-3] + "y"
    elif name.endswith(("ches", "shes", "sses", "xes")):
        yield from (name[:-2], name[:-1])
    elif name.endswith("s") and not name.endswith(("ss", "us", "is")) and len(name) > 4:
        yield name[:-1]
    else:
        yield name + "s"
        if name.endswith("y") and len(name) > 3 and name[-2] not in "aeiou":
            yield name[:-1] + "ies"
        elif name.endswith(("x", "ch", "sh", "ss")):
            yield name + "es"


def occurrences(names: Iterable[str], text: str) -> list[tuple[int, int]]:
    """The spans at which any of the names occurs in a folded text, as whole words; sorted."""
    found = set()
    for form in forms_of(names):
        at = text.find(form)
        while at >= 0:
            end = at + len(form)
            if _whole(text, at, end):
                found.add((at, end))
            at = text.find(form, at + 1)
    return sorted(found)


def _whole(text: str, start: int, end: int) -> bool:
    left = start == 0 or not (text[start - 1].isalnum() and text[start].isalnum())
    return left and (end == len(text) or not (text[end].isalnum() and text[end - 1].isalnum()))


@lru_cache(maxsize=64)
def abbreviations(text: str) -> dict[str, str]:
    """Short forms that the text itself defines, `{"TCA": "tricyclic antidepressants"}`.

    The algorithm of Schwartz and Hearst (PSB 2003): each letter of the short form must be found in the words before
    its parenthesis, from right to left, the first letter at the start of a word.
    """
    found: dict[str, str] = {}
    for match in _DEFINED.finditer(text):
        short = match[1]
        if not any(c.isupper() for c in short):
            continue
        words = re.findall(r"\S+", text[max(0, match.start() - 160) : match.start()])
        most = min(len(short) + 5, len(short) * 2)
        long = _long_form(short, " ".join(words[-most:]))
        if long and short not in long.split():
            found.setdefault(short, long)
    return found


def _long_form(short: str, before: str) -> str:
    at = len(before)
    for index in range(len(short) - 1, -1, -1):
        char = short[index].lower()
        if not char.isalnum():
            continue
        at -= 1
        while at >= 0 and not (before[at].lower() == char and (index > 0 or at == 0 or not before[at - 1].isalnum())):
            at -= 1
        if at < 0:
            return ""
    long = before[at:].strip()
    return long if len(long) > len(short) else ""


def synonyms_in(names: Iterable[str], text: str) -> tuple[str, ...]:
    """The names, and the short or long forms that the text defines for them."""
    known = list(dict.fromkeys(names))
    wanted = forms_of(known)
    for short, long in abbreviations(text).items():
        if wanted & set(forms(long)):
            known.append(short)
        elif short in known or folded(short) in wanted:
            known.append(long)
    return tuple(dict.fromkeys(known))
