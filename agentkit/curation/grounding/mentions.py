"""Spotting mentions: occurrences of names from a lexicon, the tables or the paper's own definitions.

No model is called. If names overlap, the longest wins; an abbreviation that the paper defines (Schwartz and Hearst, PSB
2003) has that meaning everywhere in the paper.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from agentkit.curation.claims import Entity
from agentkit.curation.documents.document import Document
from agentkit.curation.grounding.grounders import Grounders, Match, compact_key, name_key
from agentkit.curation.language.names import abbreviations, grammatical_numbers
from agentkit.curation.language.spelling import folded

Span = tuple[int, int]
LONGEST = 8
"""The most words of a name."""
_WORD = re.compile(r"[^\W_]+")
_BREAK = re.compile(r"[;:!?\n]|[.,]\s|[()\[\]]\s|\s[()\[\]]")
"""Characters that no name contains."""
_SYMBOL = 3
"""Names with up to this many letters and digits count only if written like a symbol, such as `NO`."""
_BRITISH = (
    (re.compile(r"aem"), "em"),
    (re.compile(r"(?<=an)ae(?=s)|(?<=p)ae(?=d)|(?<=c)ae(?=c)"), "e"),
    (re.compile(r"\boe(?=[a-z])|(?<=[a-z])oe(?=[dm]|a\b)"), "e"),
    (re.compile(r"tumour"), "tumor"),
    (re.compile(r"sulph"), "sulf"),
    (re.compile(r"isation"), "ization"),
)


@dataclass(frozen=True, kw_only=True)
class Spotted:
    """An entity that a paper names.

    Attributes:
        entity: the entity, labelled with its first name in the paper.
        spans: its mentions in the document's text, in order.
        names: the names used in these mentions.
    """

    entity: Entity
    spans: tuple[Span, ...]
    names: tuple[str, ...]


class Spotter:
    """Finds the entities of given classes that papers name.

    Args:
        grounders: the sources of names; the first that knows a name decides.
    """

    def __init__(self, grounders: Grounders) -> None:
        self.grounders = grounders
        self._found: dict[tuple[str, str], tuple[Match, ...]] = {}

    def spot(self, document: Document, cls: str) -> list[Spotted]:
        """The entities of a class that a paper names, in the order of their first mention."""
        text = document.text
        grams = _Grams(text)
        defined = {short: name_key(long) for short, long in abbreviations(text).items()}
        self._look_up({*grams.keys.values(), *defined.values()}, cls)
        spans: dict[tuple[str, ...], list[Span]] = defaultdict(list)
        matches: dict[tuple[str, ...], tuple[Match, ...]] = {}
        for span, found in self._mentions(grams, defined, cls):
            key = tuple(match.curie for match in found)
            spans[key].append(span)
            matches.setdefault(key, found)
        things = _resolved(spans, matches)
        return [_spotted(text, cls, key, places) for key, places in things.items()]

    def _mentions(
        self, grams: _Grams, defined: Mapping[str, str], cls: str
    ) -> Iterator[tuple[Span, tuple[Match, ...]]]:
        at = 0
        while at < len(grams.words):
            for size in range(LONGEST, 0, -1):
                key = grams.keys.get((at, size))
                if key is None:
                    continue
                start, end = grams.words[at][0], grams.words[at + size - 1][1]
                written = grams.text[start:end]
                found = self._found.get((cls, defined.get(written, key)), ())
                if found and (written in defined or _is_name(written, found)):
                    yield (start, end), found
                    at += size - 1
                    break
            at += 1

    def _look_up(self, keys: Iterable[str], cls: str) -> None:
        """Look up and cache names: each as it is, in singular or plural, in American spelling, and without hyphens."""
        new = {key: _forms(key) for key in keys if (cls, key) not in self._found}
        rest = dict(new)
        for grounder in self.grounders.grounders:
            known = grounder.known(form for forms in rest.values() for form in forms)
            for key, forms in list(rest.items()):
                for form in (form for form in forms if form in known):
                    if found := self.grounders.allowed(grounder.lookup(form, cls), cls):
                        self._found[cls, key] = found
                        del rest[key]
                        break
        for key in rest:
            self._found[cls, key] = ()


class _Grams:
    """The word n-grams of a text that may be names, as lookup keys."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = [match.span() for match in _WORD.finditer(text)]
        self.keys: dict[tuple[int, int], str] = {}
        parts = [folded(text[start:end]) for start, end in self.words]
        gaps = [text[a[1] : b[0]] for a, b in zip(self.words, self.words[1:], strict=False)]
        for at in range(len(self.words)):
            key = parts[at]
            self._put(at, 1, key)
            for size in range(2, LONGEST + 1):
                last = at + size - 1
                if last >= len(parts) or _BREAK.search(gaps[last - 1]):
                    break
                if size == 2 and parts[at].isdigit() and gaps[at].isspace():
                    break  # `9 mg`, but not `5-fluorouracil`
                key += _gap(gaps[last - 1]) + parts[last]
                self._put(at, size, key)

    def _put(self, at: int, size: int, key: str) -> None:
        if len(key) > 1:
            self.keys[at, size] = name_key(key) if "'" in key else key


@lru_cache(maxsize=1024)
def _gap(gap: str) -> str:
    plain = folded(f"x{gap}x")[1:-1]
    return plain if plain.strip() or not gap.strip(" -") else " "


@lru_cache(maxsize=65536)
def _forms(key: str) -> tuple[str, ...]:
    forms = [key, *grammatical_numbers(key)]
    american = _american(key)
    if american != key:
        forms += [american, *grammatical_numbers(american)]
    compact = compact_key(key)
    if len(compact) > 4 and key.count(" ") == 1 and min(map(len, key.split(" "))) > 2:
        forms.append(f"={compact}")
    return tuple(dict.fromkeys(forms))


def _american(key: str) -> str:
    """`haemorrhagic oedema` is in the tables as `hemorrhagic edema`."""
    for pattern, spelling in _BRITISH:
        key = pattern.sub(spelling, key)
    return key


def _is_name(written: str, found: Sequence[Match]) -> bool:
    """Whether an ambiguous word is meant as this name: `NO` is nitric oxide, `no` is not."""
    plain = compact_key(written)
    if len(plain) > _SYMBOL or any(written == match.label for match in found):
        return True
    return sum(c.isupper() or c.isdigit() for c in written) > 1


def _resolved(
    spans: Mapping[tuple[str, ...], Sequence[Span]], matches: Mapping[tuple[str, ...], Sequence[Match]]
) -> dict[tuple[str, ...], list[Span]]:
    """The mentions of each entity: an ambiguous name means the candidate that the paper also names in another way, or
    whose label it is; otherwise it stays ambiguous."""
    found: dict[tuple[str, ...], list[Span]] = defaultdict(list)
    for key, places in spans.items():
        one = key
        if len(key) > 1:
            named = [curie for curie in key if (curie,) in spans] or _labelled(matches[key])
            one = (named[0],) if len(named) == 1 else key
        found[one].extend(places)
    return {key: sorted(places) for key, places in sorted(found.items(), key=lambda item: min(item[1]))}


def _labelled(found: Sequence[Match]) -> list[str]:
    shortest = min(len(match.label) for match in found)
    return [match.curie for match in found if len(match.label) == shortest]


def _spotted(text: str, cls: str, curies: tuple[str, ...], places: Sequence[Span]) -> Spotted:
    names = tuple(dict.fromkeys(text[start:end] for start, end in places))
    return Spotted(entity=Entity.named(names[0], cls, curies), spans=tuple(places), names=names)
