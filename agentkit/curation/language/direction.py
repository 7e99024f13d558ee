"""What a sentence says about an effect: up, down, no difference; and whether it denies it.

All texts are folded (`spelling.folded`). If the words point in two directions, nothing is decided: a claim that can't
be confirmed is unsupported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

Direction = Literal["increased", "decreased", "no difference"]

_UP = (
    r"increas\w*|ris(?:e|es|en|ing)|rose|rais(?:e|ed|es|ing)|elevat\w*|higher|highest|greater|greatest|more|longer|larger"
    r"|enhanc\w*|augment\w*|prolong\w*|exceed\w*|gain(?:s|ed)?|grew|superior|upregulat\w*|accelerat\w*|better|improv\w*"
)
_DOWN = (
    r"decreas\w*|reduc\w*|lower(?:ed|ing|s)?|lowest|less|fewer|fewest|declin\w*|fell|fall(?:s|en|ing)?|drop(?:s|ped)?"
    r"|diminish\w*|attenuat\w*|suppress\w*|shorter|shorten\w*|smaller|lessen\w*|alleviat\w*|downregulat\w*|inferior"
    r"|worse|worsen\w*"
)
_SAME = (
    r"no (?:\w+ ){0,5}?(?:differences?|changes?|effects?|impact|benefits?|improvements?|associations?|evidence"
    r"|influence|trends?|advantage|interactions?)"
    r"|(?:did|do|does|was|were|is|are|has|have|had|could|can) ?(?:not|n't|nt) (?:\w+ ){0,3}?(?:differ|different"
    r"|change[ds]?|alter(?:ed)?|affect(?:ed)?|influence[ds]?|vary|varied|reach(?:ed)?|achieve[ds]?|significant|significantly)"
    r"|(?:not|non|without) (?:\w+ ){0,2}?(?:significant|different|statistical(?:ly)?|inferior)\w*"
    r"|nonsignificant\w*|insignificant\w*|similar\w*|comparable|equivalent|equal(?:ly)?|unchanged|unaffected|identical"
    r"|neither|the same|indistinguishable|noninferior\w*"
)
_NEGATOR = (
    r"no(?! doubt)|not(?! only)|cannot|never|none|neither|nor|without|lack(?:s|ed|ing)?(?: of)?|absence of|absent"
    r"|unlikely|fail(?:s|ed|ure)? to|unable to|denied|n't|free (?:of|from)|rather than|instead of"
    r"|nobody|nothing|ruled out"
)
_CUE = re.compile(rf"\b(?:(?P<same>{_SAME})|(?P<up>{_UP})|(?P<down>{_DOWN}))\b")
_P_VALUE = re.compile(r"\bp(?: values?)? ?(?:=|>|≥|of) ?(0?[.·]\d+)|\bp ?= ?ns\b|\(ns\)|\bn\.s\.")
_NOT_BEFORE = re.compile(rf"(?:\b(?:{_NEGATOR})\b)(?: \S+){{0,4}} $")
_NEGATED = re.compile(rf"\b(?:{_NEGATOR})\b|n't\b")
_BESIDE = re.compile(r"\b(?:without|with no|free (?:of|from)|rather than|instead of|lack of|absence of)\b")
_CLAUSE = re.compile(r"[;:,()]|\b(?:but|although|though|whereas|while|however|except|because|since|and)\b")

_FAVOURED = re.compile(
    rf"\b(?:{_UP}|{_DOWN}) (?:(?!than|versus|vs|compared|relative)[^\s,;:()]+ ){{0,4}}"
    r"(?:in|with|for|among|after|under|on|by) (?:the |those )?$"
)

_NAMES: dict[str, Direction] = {
    "increase": "increased",
    "increased": "increased",
    "increases": "increased",
    "up": "increased",
    "higher": "increased",
    "positive": "increased",
    "significantly increased": "increased",
    "raises": "increased",
    "decrease": "decreased",
    "decreased": "decreased",
    "decreases": "decreased",
    "down": "decreased",
    "lower": "decreased",
    "negative": "decreased",
    "significantly decreased": "decreased",
    "reduces": "decreased",
    "reduced": "decreased",
    "lowers": "decreased",
    "no difference": "no difference",
    "no significant difference": "no difference",
    "none": "no difference",
    "no change": "no difference",
    "no effect": "no difference",
    "unchanged": "no difference",
    "no_difference": "no difference",
    "nodifference": "no difference",
}


def direction_named(word: str) -> Direction | None:
    """The direction that the name of a qualifier or relation expresses; None if it expresses none.

    >>> direction_named("significantly decreased"), direction_named("decreases_risk_of"), direction_named("treats")
    ('decreased', 'decreased', None)
    """
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", word).replace("_", " ").replace("-", " ").lower().strip()
    return _NAMES.get(plain) or next((_NAMES[w] for w in plain.split() if w in _NAMES and w in _VERBS), None)


_VERBS = {
    "increase",
    "increased",
    "increases",
    "decrease",
    "decreased",
    "decreases",
    "reduces",
    "raises",
    "lowers",
    "reduced",
}


def directions(text: str) -> set[Direction]:
    """All directions that the text mentions; a denied one (`did not increase`) counts as no difference."""
    found: set[Direction] = set()
    for match in _CUE.finditer(text):
        if match["same"] or _NOT_BEFORE.search(text[max(0, match.start() - 60) : match.start()]):
            found.add("no difference")
        else:
            found.add("increased" if match["up"] else "decreased")
    values = [m[1] for m in _P_VALUE.finditer(text)]
    if any(v is None or float(v.replace("·", ".")) > 0.05 for v in values):
        found.add("no difference")
    return found


def denials(text: str) -> set[Direction]:
    """`{"no difference"}` if the text says so explicitly (`did not differ`), whatever else it says."""
    return {"no difference"} if re.search(rf"\b(?:{_SAME})\b", text) else set()


def favours(text: str, start: int) -> bool:
    """Whether the name at `start` is the group that the text calls higher or lower: `higher in the placebo group`."""
    return _FAVOURED.search(text[max(0, start - 60) : start]) is not None


def masked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text with these spans blanked out: words inside a name, such as `dose reduction`, say nothing."""
    chars = list(text)
    for start, end in spans:
        chars[start:end] = "_" * (end - start)
    return "".join(chars)


def clause(text: str, start: int, end: int) -> str:
    """The part of a sentence around `text[start:end]`, up to the nearest commas, brackets or conjunctions."""
    cuts = [m.span() for m in _CLAUSE.finditer(text)]
    left = max((stop for _, stop in cuts if stop <= start), default=0)
    right = min((begin for begin, _ in cuts if begin >= end), default=len(text))
    return text[left:right]


def negated(text: str) -> bool:
    """Whether the text contains a negation."""
    return _NEGATED.search(text) is not None


def denied(text: str, start: int, end: int) -> bool:
    """Whether the clause around `text[start:end]` negates it.

    After it, words such as `without` and `free of` refer to something else (`caused tremor without weight loss`).
    """
    around = clause(text, start, end)
    at = around.find(text[start:end])
    stop = at + end - start
    return negated(around[:stop]) or _NEGATED.search(_BESIDE.sub(" ", around[stop:])) is not None


def closest(first: Iterable[tuple[int, int]], second: Iterable[tuple[int, int]]) -> tuple[int, int] | None:
    """The shortest span from a mention in `first` to one in `second`; None if either has none."""
    others = list(second)
    pairs = [(min(a, c), max(b, d)) for a, b in first for c, d in others]
    return min(pairs, key=lambda span: span[1] - span[0], default=None)
