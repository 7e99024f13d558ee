"""Whether a sentence asserts its content: a finding, or a hypothesis, an aim, a question, a finding of others …"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from agentkit.curation.language.assertion_cues import (
    AFTER,
    ASIDE,
    BEFORE,
    CASE,
    CLAUSE_IF,
    FOUND,
    GROWTH,
    HARM,
    HEALS,
    LINK,
    METHOD,
    OUTCOME,
    PURPOSE,
    RELIEF,
    SEMIFACTIVE,
    STOP,
    UNEXPLAINED,
    WITHDRAWN,
)

Category = Literal[
    "finding",
    "hypothesis",
    "aim",
    "question",
    "method",
    "negation",
    "opposite",
    "cited",
    "hedge",
    "conditional",
    "advice",
    "background",
]
"""What a sentence does with a claim. `opposite`: the opposite effect; `cited`: a finding of others; `background`: a
previous or concomitant state."""
CATEGORIES: tuple[Category, ...] = get_args(Category)

Polarity = Literal["causes", "relieves", "affects", "neutral"]
"""The meaning of a relation: the subject causes the object; reduces it; affects it in some way; or has it as a
property, such as a dose, which a paper may state in its methods."""

Span = tuple[int, int]

_CAUSING = "cause induce provoke trigger produce precipitate worsen aggravate exacerbate elicit"
_RELIEVING = "treat prevent relieve alleviate cure protect ameliorate mitigate heal"
_ACTING = (
    "affect influence increase decrease reduce raise lower inhibit activate regulate modulate interact associate "
    "correlate bind promote upregulate downregulate improve impair change alter predict"
)
_POLARITIES: Mapping[str, Polarity] = {
    **dict.fromkeys(_ACTING.split(), "affects"),
    **dict.fromkeys(_RELIEVING.split(), "relieves"),
    **dict.fromkeys(_CAUSING.split(), "causes"),
}
_TOLD: Mapping[Polarity, frozenset[Category]] = {
    "neutral": frozenset(CATEGORIES) - {"hypothesis", "question", "conditional", "negation"},
}
"""The categories other than findings that support a claim."""
_SCOPED: Mapping[str, Category] = {
    "negation": "negation",
    "question": "question",
    "hypothesis": "hypothesis",
    "conditional": "conditional",
    "aim": "aim",
    "cited": "cited",
    "hedge": "hedge",
    "advice": "advice",
    "apart": "background",
    "background": "background",
}
"""The lists of cues in the order in which they are tried, and the category of each."""
_COMPOUND = re.compile(r" (?:induced|related|associated|caused|mediated|provoked|evoked) (?:\w+ ){0,3}")
_FOLLOWING = re.compile(r" (?:after|following|due to|secondary to|from|(?:induced|caused) by) ")
_LESS = re.compile(r"(?<!no )\b(?:less|fewer|lower|reduced|decreased) (?:\w+ )?$")
_WITH = re.compile(r"(?:with|on|under|after|during) (?:\w+ )?$")
_BEFORE_FINDINGS = {"hypothesis", "aim", "question", "conditional"}


def polarity_named(relation: str) -> Polarity:
    """The polarity that the name of a relation expresses.

    >>> [polarity_named(name) for name in ("induces", "hasSideEffect", "prevented_by", "increases_risk_of", "dose")]
    ['causes', 'causes', 'relieves', 'affects', 'neutral']

    What somebody was treated with is a property, not an effect:

    >>> polarity_named("treats"), polarity_named("treated_with"), polarity_named("treatment")
    ('relieves', 'neutral', 'neutral')
    """
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", relation).replace("_", " ").replace("-", " ").lower()
    if re.search(r"\b(?:side|adverse) (?:effect|event|reaction)", plain):
        return "causes"
    if re.search(r"\btreat(?:ed|ment|ments)\b", plain):
        return "neutral"
    stems = [stem for word in plain.split() for stem in _stems(word)]
    return next((_POLARITIES[stem] for stem in stems if stem in _POLARITIES), "neutral")


def _stems(word: str) -> Iterator[str]:
    yield word
    for ending, instead in (("s", ""), ("d", ""), ("ed", ""), ("ing", ""), ("ing", "e")):
        if word.endswith(ending):
            yield word.removesuffix(ending) + instead


@dataclass(frozen=True, kw_only=True)
class Asserting:
    """What a sentence must do with a claim in order to support it.

    Attributes:
        polarity: the polarity of the claim's relation.
        accepts: the categories that support it besides findings, such as `hedge`, or `cited` when curating reviews.
    """

    polarity: Polarity = "neutral"
    accepts: frozenset[Category] = frozenset()

    def carries(self, category: Category) -> bool:
        """Whether a sentence of this category supports the claim."""
        return category == "finding" or category in self.accepts or category in _TOLD.get(self.polarity, ())


@dataclass(frozen=True, kw_only=True)
class Telling:
    """What a sentence does with a claim, and the words that show it (empty for a finding)."""

    category: Category
    cue: str = ""


def assertion(sentence: str, subject: Iterable[Span], object_: Iterable[Span], polarity: Polarity) -> Telling:
    """What one sentence does with a claim. Each mention of the object is judged with the nearest mention of the
    subject; one finding is enough, otherwise the closest pair decides.

    Args:
        sentence: the sentence, folded (`spelling.folded`).
        subject, object_: the mentions of the ends in it; the subject may be named elsewhere.
        polarity: the polarity of the relation.
    """
    marked = list(_marked(sentence, list(subject), list(object_)))
    told = [_Sentence(text, low, high, polarity).said() for text, low, high in marked]
    return next((said for said in told if said.category == "finding"), told[0])


def _marked(sentence: str, subject: Sequence[Span], object_: Sequence[Span]) -> Iterator[tuple[str, Span, Span]]:
    """The sentence with mentions replaced by `S` and `O`, and the spans of the earlier and later one of each pair."""
    pieces, places, last = list[str](), dict[Span, tuple[str, int]](), 0
    size = 0
    named = sorted([(span, "S") for span in subject] + [(span, "O") for span in object_])
    for span, mark in named:
        if span[0] < last:
            continue
        gap = sentence[last : span[0]]
        pieces += [gap, mark]
        size += len(gap) + 1
        places[span] = (mark, size - 1)
        last = span[1]
    text = "".join([*pieces, sentence[last:]])
    subjects = [at for mark, at in places.values() if mark == "S"]
    objects = [at for mark, at in places.values() if mark == "O"]
    pairs = [(min(subjects, key=lambda at: abs(at - o), default=o), o) for o in objects] or [(s, s) for s in subjects]
    for one, other in sorted(pairs, key=lambda pair: abs(pair[0] - pair[1])):
        low, high = min(one, other), max(one, other)
        yield text, (low, low + 1), (high, high + 1)


class _Sentence:
    """One sentence with one pair of mentions."""

    def __init__(self, text: str, first: Span, second: Span, polarity: Polarity) -> None:
        self.text = ASIDE.sub(lambda match: " " * len(match[0]), text)
        self.first, self.second, self.polarity = first, second, polarity
        stops = [m.span() for m in STOP.finditer(self.text)] + [m.span() for m in re.finditer(";", self.text)]
        self.left = max((end for _, end in stops if end <= first[0]), default=0)
        self.right = min((start for start, _ in stops if start >= second[1]), default=len(text))

    def said(self) -> Telling:
        if self.text.rstrip(" \"')").endswith("?"):
            return Telling(category="question", cue="?")
        for kind, category in _SCOPED.items():
            if cue := self._scoped(kind):
                return Telling(category=category, cue=cue)
        return self._told()

    @cached_property
    def lead(self) -> str:
        """The text from the start of the scope to the later mention."""
        return self.text[self.left : self.second[1]]

    @cached_property
    def tail(self) -> str:
        """The text from the later mention to the end of the scope."""
        return self.text[self.second[1] : self.right]

    @cached_property
    def between(self) -> str:
        return self.text[self.first[1] : self.second[0]]

    @property
    def subject_first(self) -> bool:
        return self.text[self.first[0]] == "S"

    @property
    def compound(self) -> bool:
        """Whether the effect is presupposed as a fact: `lithium induced tremor`, hyphenated in the paper."""
        return self.subject_first and _COMPOUND.fullmatch(self.between) is not None

    def _scoped(self, kind: str) -> str:
        """The cue of this kind whose scope contains the pair; empty if there is none."""
        lead = self.lead
        if kind in _BEFORE_FINDINGS:
            lead = lead[max((m.end() for m in FOUND.finditer(lead)), default=0) :]
        special = {"conditional": self._condition, "aim": self._purpose}.get(kind)
        if special is not None and (cue := special()):
            return cue
        if self._granted(kind):
            return ""
        found = BEFORE[kind].search(lead)
        if found is None and kind in AFTER and not (kind == "question" and UNEXPLAINED.search(lead)):
            found = AFTER[kind].search(self.tail)
        return "" if found is None else found[0]

    def _granted(self, kind: str) -> bool:
        """Whether cues of this kind presuppose their content here."""
        if kind == "aim":
            return CASE.search(self.lead) is not None
        healed = self.polarity == "relieves" and RELIEF.search(self.text) is not None
        return kind == "background" and (self._follows() or healed)

    def _follows(self) -> bool:
        """Whether the object is said to follow or result from the subject: even a history of that is an effect."""
        return _FOLLOWING.match(self.between) is not None

    def _condition(self) -> str:
        """`if` and similar words, if both mentions are in their clause."""
        for match in CLAUSE_IF.finditer(self.text):
            comma = self.text.find(",", match.end())
            end = len(self.text) if comma < 0 else comma
            inside = match.start() <= self.first[0] and self.second[1] <= end
            if inside and (comma >= 0 or match.start() > 0) and self._conditional(match[0], self.text[end:]):
                return match[0]
        return ""

    @staticmethod
    def _conditional(word: str, main: str) -> bool:
        return not SEMIFACTIVE.match(word) or re.search(r"\b(?:must|should|is|are|will|no)\b", main) is not None

    def _purpose(self) -> str:
        """`To find …,` at the start of the sentence, up to its comma."""
        match = PURPOSE.match(self.text)
        comma = self.text.find(",")
        return match[0] if match and (comma < 0 or self.second[1] <= comma) else ""

    def _told(self) -> Telling:
        """The category if there is no cue: a method, the opposite effect, or a finding."""
        if self.compound:
            return Telling(category="finding" if self.polarity != "relieves" else "opposite", cue="")
        harm, relief = self._nearest(HARM), self._relieved()
        if self.polarity == "causes" and relief >= harm and relief >= 0 and not WITHDRAWN.search(self.text):
            return Telling(category="opposite", cue="relief")
        if self.polarity == "relieves" and harm > relief:
            return Telling(category="opposite", cue="harm")
        effect = RELIEF if self.polarity == "relieves" else HARM
        method = METHOD.search(self.text)
        if method and not (effect.search(self.text) or OUTCOME.search(self.text)):
            return Telling(category="method", cue=method[0])
        return Telling(category="finding" if self._effect() else "background")

    def _effect(self) -> bool:
        """Whether a word in the sentence expresses the relation's effect, which causes and relieves require."""
        if self.polarity == "relieves":
            return RELIEF.search(self.text) is not None
        told = (HARM, OUTCOME, LINK, WITHDRAWN)
        return self.polarity != "causes" or any(word.search(self.text) for word in told)

    def _nearest(self, effect: re.Pattern[str]) -> int:
        """The end of the last such word between the mentions; −1 if there is none."""
        return max((m.end() for m in effect.finditer(self.between) if not self._governed(m)), default=-1)

    def _governed(self, match: re.Match[str]) -> bool:
        """Whether a word of increase is governed by a word of relief: `prevented the development of`, `suppressed
        stress induced …`."""
        by_another = match[0] == "induced" and len(self.between[match.end() :].split()) < 2
        if not by_another and GROWTH.fullmatch(match[0]) is None:
            return False
        before = " ".join(self.between[: match.start()].split()[-5:])
        relief = max((m.end() for m in RELIEF.finditer(before)), default=-1)
        return relief >= 0 and re.search(r"\b(?:and|but|which|that)\b|,", before[relief:]) is None

    def _relieved(self) -> int:
        """The same for words of relief; if the object comes first, they must point on to the subject."""
        before = self.text[: self.first[0]]
        if re.search(r"(?:of|in|from|against) (?:\w+ )?$", before) and RELIEF.search(before[-40:]):
            return len(self.between)
        if not self.subject_first and _LESS.search(before):
            return len(self.between)
        if self._passive():
            return len(self.between)
        return max((m.end() for m in RELIEF.finditer(self.between) if self._points(m.end())), default=-1)

    def _passive(self) -> bool:
        """`With lithium, tremor was reduced`; not `tremor was reduced by another`."""
        if not self.subject_first or not _WITH.search(self.text[: self.first[0]]):
            return False
        verb = re.match(r" (?:\S+ )?(?:was|were|is|are|had) (?:\S+ )?", self.tail)
        found = RELIEF.match(self.tail, verb.end()) if verb else None
        another = found is not None and self.tail[found.end() :].startswith(" by ")
        return self.between.endswith(" less ") or (found is not None and not another)

    def _points(self, end: int) -> bool:
        return self.subject_first or HEALS.search(self.between[end:]) is not None
