"""Evidence: a quote is found exactly or not at all, and a claim may say no more than its quote."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from agentkit.curation.claims import Claim, Evidence
from agentkit.curation.documents.document import Document
from agentkit.curation.language.assertion import CATEGORIES, Asserting, Category, assertion, polarity_named
from agentkit.curation.language.direction import (
    clause,
    closest,
    denials,
    denied,
    direction_named,
    directions,
    favours,
    masked,
)
from agentkit.curation.language.names import forms_of, occurrences, synonyms_in
from agentkit.curation.language.numbers import missing_number
from agentkit.curation.language.sentences import boundaries, window
from agentkit.curation.language.spelling import Spelled, folded, spelled

CONTEXT = 32
"""Characters kept before and after a quote."""

_WORD_HYPHEN = re.compile(r"(?<=[^\W\d_])-(?=[^\W\d_])")
_NOT_VALUES = {"direction", "polarity", "negated", "certainty", "comparator", "section"}
_YES = {"true", "yes", "1", "negated"}
_NEGATIVE = {"negative", "negated", "absent", "no"}
WHATEVER = Asserting(accepts=frozenset(CATEGORIES))
"""Accepts any sentence as support, whatever it does with the claim."""
_REASONS: Mapping[Category, str] = {
    "hypothesis": "the quote supposes it",
    "aim": "the quote says what was to be found out",
    "question": "the quote leaves it open",
    "method": "the quote tells what was done, not what came of it",
    "negation": "the quote denies, the claim does not",
    "opposite": "the quote tells of the opposite effect",
    "cited": "the quote tells what others found",
    "hedge": "the quote is not sure of it",
    "conditional": "the quote speaks of a case that may come",
    "advice": "the quote gives advice",
    "background": "the quote tells what was so before or beside",
}


@dataclass(frozen=True, kw_only=True)
class Support:
    """Whether the text supports a claim, and if not, one line that says what is missing."""

    supported: bool
    reason: str = ""


def find_quote(document: Document, quote: str, *, near: int | None = None) -> Evidence | None:
    """The position of a quote in a document; None if the document does not contain it.

    Texts are compared after NFKC normalisation, with one kind of white space, dash and quotation mark, and a hyphen at
    the end of a line may be kept or dropped; case matters, and nothing is matched approximately. A quote that would cut
    a number short is not found.

    Args:
        near: the canonical offset closest to the right occurrence; without it, the first occurrence is taken.
    """
    found = list(find_quotes(document, quote))
    if not found:
        return None
    return found[0] if near is None else min(found, key=lambda e: abs(e.start - near))


def find_quotes(document: Document, quote: str) -> Iterator[Evidence]:
    """All occurrences of a quote in a document, in order (see `find_quote`)."""
    text, wanted = spelled(document.text), _stripped(spelled(quote))
    if not any(c.isalnum() for c in wanted.text):
        return
    seen = set()
    for start, end in _spans(text, wanted):
        span = text.starts[start], text.ends[end - 1]
        if span not in seen and not _cuts_number(text.text, start, end) and not _cuts_character(text, start, end):
            seen.add(span)
            yield evidence_at(document, *span)


def evidence_at(document: Document, start: int, end: int) -> Evidence:
    """The evidence at a span of the canonical text."""
    text = document.text
    return Evidence(
        document=document.id,
        start=start,
        end=end,
        quote=text[start:end],
        prefix=text[max(0, start - CONTEXT) : start],
        suffix=text[end : end + CONTEXT],
        section=document.section_at(start),
    )


def evidence_of(document: Document, span: tuple[int, int]) -> Evidence:
    """The evidence at a sentence's span, without the white space around it."""
    start, end = span
    text = document.text[start:end]
    left = len(text) - len(text.lstrip())
    return evidence_at(document, start + left, start + len(text.rstrip()))


def _stripped(quote: Spelled) -> Spelled:
    left = len(quote.text) - len(quote.text.lstrip())
    soft = frozenset(i - left for i in quote.soft)
    return Spelled(text=quote.text.strip(), starts=quote.starts, ends=quote.ends, soft=soft)


def _spans(text: Spelled, quote: Spelled) -> Iterator[tuple[int, int]]:
    at = text.text.find(quote.text)
    if at < 0 and (text.soft or quote.soft):
        yield from _hyphen_spans(text, quote)
        return
    while at >= 0:
        yield at, at + len(quote.text)
        at = text.text.find(quote.text, at + 1)


def _hyphen_spans(text: Spelled, quote: Spelled) -> Iterator[tuple[int, int]]:
    """Matches in which each hyphen at the end of a line is kept or dropped, whichever fits."""
    bare, places = _without_hyphens(text.text)
    wanted, _ = _without_hyphens(quote.text)
    at = bare.find(wanted)
    while at >= 0:
        start, end = places[at], places[at + len(wanted) - 1] + 1
        if _same_but_soft(text, start, end, quote):
            yield start, end
        at = bare.find(wanted, at + 1)


def _without_hyphens(text: str) -> tuple[str, list[int]]:
    dropped = {m.start() for m in _WORD_HYPHEN.finditer(text)}
    places = [i for i in range(len(text)) if i not in dropped]
    return "".join(text[i] for i in places), places


def _same_but_soft(text: Spelled, start: int, end: int, quote: Spelled) -> bool:
    i, j = start, 0
    while i < end and j < len(quote.text):
        if text.text[i] == quote.text[j]:
            i, j = i + 1, j + 1
        elif text.text[i] == "-" and i in text.soft:
            i += 1
        elif quote.text[j] == "-" and j in quote.soft:
            j += 1
        else:
            return False
    return i == end and j == len(quote.text)


def _cuts_number(text: str, start: int, end: int) -> bool:
    """Whether the span begins or ends inside a number: `5 mg` is not a quote of `15 mg`, nor `0.5` of `0.55`."""
    before = re.search(r"\d[.,·]?$|\d\^-?$", text[max(0, start - 3) : start])
    after = re.match(r"(?:[.,·]|\^-?)?\d", text[end : end + 3])
    return bool((before and text[start].isdigit()) or (after and text[end - 1].isdigit()))


def _cuts_character(text: Spelled, start: int, end: int) -> bool:
    """Whether the span begins or ends inside the expansion of one character: `4` is not a quote of `¼`."""
    starts = text.starts
    return (start > 0 and starts[start - 1] == starts[start]) or (end < len(starts) and starts[end - 1] == starts[end])


def verify(
    claim: Claim,
    document: Document,
    names: Mapping[str, Sequence[str]] | None = None,
    *,
    around: int = 0,
    asserting: Asserting | None = None,
) -> Support:
    """Check whether one of the claim's quotes, with its sentences, supports the claim.

    Every quote must be at its stored offsets. Then, for at least one of them, its window must contain both entities, by
    whole-word names, and a denial exactly if the claim is a denial. The sentences that the quote touches must contain
    every number of the qualifiers with its sign and unit, and the claim's direction and no other. And they must assert
    the claim: a hypothesis, an aim, a question, the opposite effect or a finding of others supports nothing (see
    `language.assertion`). The subject must differ from the comparator.

    Args:
        names: by entity id, its label and synonyms; short and long forms that the document defines are added. An id
            without names is its own name. A qualifier's value, such as the comparator, may have names here too.
        around: sentences added on both sides of the sentences that the quote touches; together they are the window.
        asserting: what a sentence must do with the claim; by default, what its relation's name asks for.
    """
    if claim.document != document.id:
        return Support(supported=False, reason="the claim is about another document")
    if not claim.evidence:
        return Support(supported=False, reason="no quote")
    broken = next((reason for e in claim.evidence if (reason := _misplaced(e, document))), "")
    if broken:
        return Support(supported=False, reason=broken)
    check = _Check(claim, document, names or {}, asserting or Asserting(polarity=polarity_named(claim.predicate)))
    reasons = [check.problem(e, around) for e in claim.evidence]
    return Support(supported="" in reasons, reason="" if "" in reasons else reasons[0])


def verified(
    claim: Claim,
    document: Document,
    names: Mapping[str, Sequence[str]] | None = None,
    *,
    around: int = 0,
    asserting: Asserting | None = None,
) -> Claim:
    """The claim with the status that `verify` gives it; a person's decision is not changed."""
    if claim.status in {"accepted", "rejected"}:
        return claim
    verdict = verify(claim, document, names, around=around, asserting=asserting)
    return claim.with_status("supported" if verdict.supported else "unsupported", verdict.reason)


def _misplaced(evidence: Evidence, document: Document) -> str:
    if evidence.document != document.id:
        return "a quote is from another document"
    if not evidence.quote.strip():
        return "a quote is empty"
    if document.text[evidence.start : evidence.end] != evidence.quote:
        return f"the text at {evidence.start}–{evidence.end} is not the quote"
    return ""


class _Check:
    """The checks of one claim; names are looked up once for all of its quotes."""

    def __init__(
        self, claim: Claim, document: Document, names: Mapping[str, Sequence[str]], asserting: Asserting
    ) -> None:
        def known(id_: str) -> tuple[str, ...]:
            return synonyms_in(names.get(id_) or (id_,), document.text)

        self.claim, self.text = claim, document.text
        self.asserting = asserting
        self.subject, self.object = known(claim.subject), known(claim.object)
        comparator = claim.qualifiers.get("comparator")
        self.comparator = known(str(comparator)) if comparator else ()

    def problem(self, evidence: Evidence, around: int) -> str:
        """What is missing in this quote's window; empty if nothing is."""
        own = self._window(evidence, 0)
        plain = folded(self._window(evidence, around))
        subject, object_ = occurrences(self.subject, plain), occurrences(self.object, plain)
        if not subject or not object_:
            return f"{(self.object if subject else self.subject)[0]!r} is not in the quote or its sentence"
        number = missing_number(self._values(), own)
        if number:
            return f"the number {number} is not in the quote or its sentence"
        if self.comparator and forms_of(self.comparator) & forms_of(self.subject):
            return f"{self.subject[0]!r} is compared with itself"
        if self.comparator and not occurrences(self.comparator, folded(self.text)):
            return f"the comparator {self.comparator[0]!r} is nowhere in the document"
        if self._direction():
            said = folded(own)
            problem = self._direction_problem(said, occurrences(self.subject, said), occurrences(self.object, said))
        else:
            problem = self._negation_problem(plain, subject, object_)
        return problem or self._assertion_problem(evidence, around)

    def _window(self, evidence: Evidence, around: int) -> str:
        start, end = window(self.text, evidence.start, evidence.end, around)
        return self.text[start:end]

    def _values(self) -> str:
        """The qualifiers and entities that state amounts, as text."""
        given = [str(v) for k, v in self.claim.qualifiers.items() if k not in _NOT_VALUES and not isinstance(v, bool)]
        return " ; ".join(given)

    def _direction(self) -> str | None:
        given = self.claim.qualifiers.get("direction")
        return direction_named(str(given)) or str(given) if given else direction_named(self.claim.predicate)

    def _direction_problem(self, plain: str, subject: list[tuple[int, int]], object_: list[tuple[int, int]]) -> str:
        claimed = self._direction()
        bare = masked(plain, [*subject, *object_])
        near = set().union(*(directions(clause(bare, *span)) for span in object_))
        said = near | denials(bare) if near else directions(bare)
        if not said:
            return f"no word of the quote says {claimed!r}"
        if said != {claimed}:
            return f"the quote says {' and '.join(sorted(said))!r}, not {claimed!r}"
        if claimed != "no difference" and self._reversed(plain, subject):
            return "the quote compares the other way round"
        return ""

    def _reversed(self, plain: str, subject: list[tuple[int, int]]) -> bool:
        """`higher with placebo than with the drug`: the comparator is before `than`, or the subject after it."""
        than = re.search(r"\b(?:than|versus|vs|compared (?:to|with)|relative to)\b", plain)
        other = occurrences(self.comparator, plain)
        if any(favours(plain, start) for start, _ in other):
            return True
        if than is None:
            return False
        before = any(end <= than.start() for _, end in subject)
        other_before = any(end <= than.start() for _, end in other)
        return not before or (other_before and not any(start >= than.end() for start, _ in other))

    def _assertion_problem(self, evidence: Evidence, around: int) -> str:
        """What the sentences that name both ends, or else the object, do with the claim; empty if they assert it."""
        low, high = window(self.text, evidence.start, evidence.end, around)
        marks = [mark for mark in boundaries(self.text) if low <= mark <= high]
        plain = [folded(self.text[start:end]) for start, end in pairwise(marks)]
        named = [(s, occurrences(self.subject, s), occurrences(self.object, s)) for s in plain]
        telling = [item for item in named if item[1] and item[2]] or [item for item in named if item[2]]
        wanted = self._asserted()
        if re.search(r"(?:[_ ]by|[a-z]By)$", self.claim.predicate):  # `caused_by`: the object is the agent
            telling = [(text, object_, subject) for text, subject, object_ in telling]
        told = [assertion(*item, wanted.polarity) for item in telling]
        if not told or any(wanted.carries(said.category) for said in told):
            return ""
        cue = f" ({told[0].cue!r})" if told[0].cue else ""
        return f"{_REASONS[told[0].category]}{cue}"

    def _asserted(self) -> Asserting:
        """What the sentence must do with the claim: a claim with a direction is about an effect, up or down; one
        that denies is supported by a denial."""
        asked = self.asserting
        if self._direction() or self._negated():
            return replace(asked, polarity="affects", accepts=asked.accepts | {"negation"})
        return asked

    def _negation_problem(self, plain: str, subject: list[tuple[int, int]], object_: list[tuple[int, int]]) -> str:
        span = closest(subject, object_)
        said = span is not None and denied(plain, *span)
        claimed = self._negated()
        if claimed and not said:
            return "the claim denies, the quote does not"
        return "the quote denies, the claim does not" if said and not claimed else ""

    def _negated(self) -> bool:
        value = self.claim.qualifiers.get("negated")
        polarity = str(self.claim.qualifiers.get("polarity", "")).lower()
        by_name = re.match(r"(?:not|no|does_not|doesNot)(?:_|[A-Z ])", self.claim.predicate) is not None
        said = value if isinstance(value, bool) else str(value or "").lower() in _YES
        return said or polarity in _NEGATIVE or by_name
