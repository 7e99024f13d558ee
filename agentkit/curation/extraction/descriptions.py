"""Telling descriptions, which a paper uses once, from the names that it uses throughout.

A claim is only as good as the sentences that name its ends. A trial says "butoconazole nitrate 2% Site Release vaginal
cream" when it introduces its drug, and "butoconazole" in its results.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from agentkit.curation.documents import Document
from agentkit.curation.language.names import forms_of, occurrences, synonyms_in
from agentkit.curation.language.sentences import sentences_of
from agentkit.curation.language.spelling import folded

_WORDS = 3
"""The most words of a name; anything longer may be a description."""
_OFTEN = 3
"""The number of sentences from which a name counts as in use."""
_OFFERED = 6
"""The most shorter names that are offered for an answer."""
_FUNCTION = re.compile(
    "a|after|alone|an|and|as|at|before|both|by|combined|compared|for|from|in|into|of|on|or|per|plus|than|the|their|to|"
    "using|versus|via|vs|was|were|with|without"
)
"""Words that no name begins or ends with."""


def is_description(name: str, document: Document) -> bool:
    """Whether a name is a description, which the paper hardly repeats, so that few sentences could support a claim.

    Names are: up to three words, whatever the paper abbreviates, and whatever occurs in at least three sentences.
    """
    wanted = synonyms_in([name], document.text)
    if min(len(form.split()) for form in forms_of(wanted)) <= _WORDS:
        return False
    return _said(wanted, _folded(document.text)) < _OFTEN


def shorter_names(name: str, document: Document) -> tuple[str, ...]:
    """Parts of a description, of up to three words, that occur in three or more sentences, the most frequent first.

    A part is left out if a longer one occurs as often.
    """
    words, plain = name.split(), _folded(document.text)
    found: dict[str, int] = {}
    for size in range(_WORDS, 0, -1):
        for at in range(len(words) - size + 1):
            part = " ".join(words[at : at + size]).strip(" ,;:()[]-–—'\"")
            said = _said([part], plain) if _can_name(part) else 0
            if said >= _OFTEN and not any(folded(part) in folded(longer) and said == n for longer, n in found.items()):
                found.setdefault(part, said)
    return tuple(sorted(found, key=lambda part: -found[part])[:_OFFERED])


def _can_name(part: str) -> bool:
    words = part.casefold().split()
    return (
        not any(_FUNCTION.fullmatch(word) for word in (*words[:1], *words[-1:])) and sum(c.isalpha() for c in part) > 2
    )


def _said(names: Sequence[str], plain: Sequence[str]) -> int:
    """The number of these sentences in which one of the names occurs."""
    return sum(bool(occurrences(names, text)) for text in plain)


@lru_cache(maxsize=64)
def _folded(text: str) -> tuple[str, ...]:
    return tuple(folded(sentence) for sentence in sentences_of(text))
