"""The wording of claims, and decisions about claims with similar wording: naive Bayes over words.

The words of a claim fall into four groups: those between its ends in sentences that name both, the rest of such
sentences, the words of the ends' names, and the words beside these names anywhere in the paper. Each word has a
log-odds, shrunk towards 0, that a claim with it is accepted; a claim's score in a group is that of its strongest words.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Span = tuple[int, int]
GROUPS = ("between", "sentence", "named", "beside")
"""The groups of words: between the ends, in a sentence with both, in their names, beside a name."""
_TOKEN = re.compile(r"[a-z0-9]+(?:'[a-z]+)?|[^\sa-z0-9]")
_LEAST = 2
"""The fewest decisions that a word must occur in."""
_SHRINK = 2.0
"""Pseudo-decisions with the average outcome that are added to those about a word."""
_STRONGEST = 8
_SCALE = 8.0
_FAR = 6
"""The number of words at either end of a gap that are used."""


@dataclass(frozen=True, kw_only=True)
class Worded:
    """The words of a claim that was decided about."""

    paper: str
    words: frozenset[str]
    accepted: bool


class WordOdds:
    """The log-odds of words, from decisions.

    Args:
        told: the decisions; a claim is judged by those about other papers.
    """

    def __init__(self, told: Iterable[Worded] = ()) -> None:
        self._counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        self._own: dict[str, dict[bool, Counter[str]]] = defaultdict(lambda: {True: Counter(), False: Counter()})
        totals = Counter[bool]()
        for item in told:
            totals[item.accepted] += 1
            self._counts[item.accepted].update(item.words)
            self._own[item.paper][item.accepted].update(item.words)
        self._share = (totals[True] + 1) / (totals.total() + 2)
        self.weights = {
            word: odds for word in {*self._counts[True], *self._counts[False]} if (odds := self._odds(word))
        }

    @classmethod
    def stored(cls, weights: Mapping[str, float]) -> WordOdds:
        """Restore the log-odds from stored weights."""
        made = cls()
        made.weights = dict(weights)
        return made

    def of(self, words: Iterable[str], paper: str) -> dict[str, float]:
        """The scores, by group, of a claim in this paper with these words."""
        found: dict[str, list[float]] = {group: [] for group in GROUPS}
        own = self._own.get(paper)
        for word in words:
            odds = self._odds(word, own) if own is not None else self.weights.get(word, 0.0)
            if odds:
                found[word.partition(":")[0]].append(odds)
        return {group: _score(values) for group, values in found.items()}

    def _odds(self, word: str, own: Mapping[bool, Counter[str]] | None = None) -> float:
        """The log-odds of a word relative to those of any claim; 0 if too few decisions contain it."""
        accepted, rejected = (
            self._counts[which][word] - (own[which][word] if own is not None else 0) for which in (True, False)
        )
        if accepted + rejected < _LEAST:
            return 0.0
        share = self._share
        odds = (accepted + _SHRINK * share) / (rejected + _SHRINK * (1 - share))
        return round(math.log(odds * (1 - share) / share), 3)


def _score(values: Sequence[float]) -> float:
    strongest = sorted(values, key=abs, reverse=True)[:_STRONGEST]
    return max(-3.0, min(3.0, sum(strongest) / _SCALE * 2))


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A folded sentence, and its mentions of the subjects and objects of a paper's claims.

    Attributes:
        masks: all mentions, in order and without overlaps: the span, and `S` or `O`.
    """

    text: str
    masks: tuple[tuple[Span, str], ...]

    def tokens(self, start: int, end: int) -> list[str]:
        """The words of a part of the sentence, with each mention replaced by its mark."""
        found: list[str] = []
        at = start
        for (low, high), mark in self.masks:
            if low >= at and high <= end:
                found += [*_TOKEN.findall(self.text[at:low]), mark]
                at = high
        return found + _TOKEN.findall(self.text[at:end])


def words_of(
    sentences: Sequence[Sentence], subject: Sequence[Sequence[Span]], object_: Sequence[Sequence[Span]]
) -> frozenset[str]:
    """The words of a claim, each with its group.

    Args:
        subject, object_: the mentions of the ends, sentence by sentence.
    """
    found: set[str] = set()
    for sentence, ones, others in zip(sentences, subject, object_, strict=True):
        if ones and others:
            found.update(_of_sentence(sentence, ones, others))
        for mark, spans in (("s", ones), ("o", others)):
            for start, end in spans:
                found.update(_of_mention(sentence, mark, start, end))
    return frozenset(found)


def _of_sentence(sentence: Sentence, ones: Sequence[Span], others: Sequence[Span]) -> Iterator[str]:
    one, other = min(((a, b) for a in ones for b in others), key=lambda pair: _gap(*pair))
    order = "so" if one < other else "os"
    first, last = sorted((one, other))
    between = sentence.tokens(first[1], last[0]) if first[1] < last[0] else []
    near = between if len(between) <= 2 * _FAR else [*between[:_FAR], "…", *between[-_FAR:]]
    yield f"between:{order}"
    yield from (f"between:{order} {word}" for word in near)
    yield from (f"between:{order} {a}_{b}" for a, b in pairwise(["^", *near, "$"]))
    before = sentence.tokens(max(0, first[0] - 60), first[0])[-3:]
    after = sentence.tokens(last[1], min(len(sentence.text), last[1] + 60))[:3]
    yield from (f"between:{order}< {word}" for word in before)
    yield from (f"between:{order}> {word}" for word in after)
    yield from (f"sentence:{word}" for word in sentence.tokens(0, len(sentence.text)))


def _of_mention(sentence: Sentence, mark: str, start: int, end: int) -> Iterator[str]:
    name = sentence.text[start:end]
    yield f"named:{mark}={name}"
    yield from (f"named:{mark} {word}" for word in _TOKEN.findall(name))
    before, after = sentence.tokens(max(0, start - 40), start), sentence.tokens(end, min(len(sentence.text), end + 40))
    yield from (f"beside:{mark}< {word}" for word in before[-2:])
    yield from (f"beside:{mark}> {word}" for word in after[:2])


def _gap(one: Span, other: Span) -> int:
    return max(other[0] - one[1], one[0] - other[1])
