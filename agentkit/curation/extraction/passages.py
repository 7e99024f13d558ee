"""What the explorer reads: the whole paper, or, above a size limit, the passages that fit the question best.

The average trial has about 5,400 tokens, and chunked retrieval as published loses one evidence span in six before a
model reads a word, so retrieval is the exception.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from agentkit.curation.documents import Document
from agentkit.curation.language.direction import directions
from agentkit.curation.language.names import occurrences, synonyms_in
from agentkit.curation.language.sentences import boundaries, sentences_of
from agentkit.curation.language.spelling import folded
from agentkit.words import words

PAPER_LIMIT = 48_000
"""Papers of up to this many characters, about 12,000 tokens, are read whole."""

_PASSAGE = 2_400
_LONGEST = 800
"""The most characters of a sentence that may be quoted whole."""
_SHORTEST = 3
"""The fewest words of a sentence that may be quoted."""
_REPORTS = 0.4
"""What a sentence gains by reporting a direction, and by comparing, where the best match with the words is 1."""
_COMPARES = re.compile(r"\bp\s*[<=>≤]|signific|\bCI\b|%|±|\bversus\b|\bvs\b|compared|\bthan\b", re.IGNORECASE)
_CUT = "\n[…]\n"


def reading(document: Document, query: str, *, limit: int = PAPER_LIMIT) -> str:
    """The whole canonical text, or its best passages for `query` in their original order: at most `limit` characters.

    The beginning (title and abstract) is always kept; omissions are marked.
    """
    if len(document.text) <= limit:
        return document.text
    spans = passages(document)
    scores = _bm25([document.text[start:end] for start, end in spans], query)
    ranked = sorted(range(len(spans)), key=lambda i: (i != 0, -scores[i], i))
    kept, size = [], 0
    for index in ranked:
        length = spans[index][1] - spans[index][0] + len(_CUT)
        if size + length <= limit:
            kept.append(index)
            size += length
    return _joined(document.text, [spans[index] for index in sorted(kept)])


def passages(document: Document, size: int = _PASSAGE) -> list[tuple[int, int]]:
    """Spans of about `size` characters that end with a sentence if possible and never cross a section."""
    spans: list[tuple[int, int]] = []
    edges = sorted({0, len(document.text), *(section.start for section in document.sections)})
    for start, end in pairwise(edges):
        at = start
        while at < end:
            stop = min(at + size, end)
            if stop < end:
                sentence = max(document.text.rfind(mark, at + size // 2, stop) for mark in (". ", "\n"))
                stop = sentence + 1 if sentence > 0 else stop
            spans.append((at, stop))
            at = stop
    return spans


def sentences(document: Document, paper: str) -> tuple[str, ...]:
    """The sentences of a document that occur in `paper`, the part of it that is read: what an answer may quote.

    Each occurs once, in order, on one line, and `evidence.find_quote` finds it again.
    """
    spans = (text.strip() for text in sentences_of(document.text))
    return tuple(dict.fromkeys(" ".join(span.split()) for span in spans if span in paper and _quotable(span)))


def best_sentences(document: Document, about: str, names: Sequence[str], *, most: int) -> list[tuple[int, int]]:
    """The spans of the sentences that say most about something, best first: by its words and those of the names, and
    by whether they report a direction and a comparison. On 50 prompts of Evidence Inference, one of the first five was
    evidence for 46; by words alone, for 40.

    Args:
        about: the thing itself, whose words count twice.
        names: what it is to be seen together with.
    """
    spans = [span for span in pairwise(boundaries(document.text)) if _quotable(document.text[slice(*span)].strip())]
    texts = [document.text[start:end] for start, end in spans]
    scores = [0.0] * len(texts)
    for query in (" ".join([about, *names]), about):
        found = _bm25(texts, query)
        most_said = max(found, default=0.0) or 1.0
        scores = [score + value / most_said for score, value in zip(scores, found, strict=True)]
    told = [_REPORTS * bool(directions(folded(text))) + _REPORTS * bool(_COMPARES.search(text)) for text in texts]
    ranked = sorted(range(len(texts)), key=lambda index: (-scores[index] - told[index], index))
    return [spans[index] for index in ranked[:most]]


def naming_any(sentences: Sequence[str], names: Sequence[str], document: Document) -> tuple[str, ...]:
    """The sentences with one of these names, in any form that the document uses; all sentences if none has one."""
    wanted = synonyms_in(names, document.text)
    return tuple(text for text in sentences if occurrences(wanted, folded(text))) or tuple(sentences)


def saying_direction(sentences: Sequence[str]) -> tuple[str, ...]:
    """The sentences that say that something rose, fell or did not differ; all sentences if none does."""
    return tuple(text for text in sentences if directions(folded(text))) or tuple(sentences)


def _quotable(sentence: str) -> bool:
    """Whether a sentence is no heading, which says nothing, and short enough to copy, unlike a table without stops."""
    return len(sentence) <= _LONGEST and len(words(sentence)) >= _SHORTEST


def _joined(text: str, spans: Sequence[tuple[int, int]]) -> str:
    parts, last = [], 0
    for start, end in spans:
        parts.append(_CUT if start > last else "")
        parts.append(text[start:end])
        last = end
    return "".join(parts)


def _bm25(texts: Sequence[str], query: str, k: float = 1.2, b: float = 0.75) -> list[float]:
    bags = [Counter(words(text)) for text in texts]
    mean = sum(sum(bag.values()) for bag in bags) / max(1, len(bags)) or 1.0
    scores = [0.0] * len(bags)
    for word in set(words(query)):
        holding = sum(word in bag for bag in bags)
        weight = math.log(1 + (len(bags) - holding + 0.5) / (holding + 0.5))
        for index, bag in enumerate(bags):
            count = bag[word]
            scores[index] += weight * count * (k + 1) / (count + k * (1 - b + b * sum(bag.values()) / mean))
    return scores
