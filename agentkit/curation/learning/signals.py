"""The signals from which the acceptance of a claim is predicted; computing them needs no model."""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from functools import lru_cache
from itertools import pairwise

from agentkit.curation.claims import Claim
from agentkit.curation.documents import Document
from agentkit.curation.evidence import WHATEVER, verify
from agentkit.curation.kb.records import BY_PAIRS, Record
from agentkit.curation.language.assertion import Asserting, Category, assertion, polarity_named
from agentkit.curation.language.names import occurrences, synonyms_in
from agentkit.curation.language.sentences import boundaries
from agentkit.curation.language.spelling import folded
from agentkit.curation.learning.wording import GROUPS, Sentence, WordOdds, words_of
from agentkit.statistics.odds import log_odds

Span = tuple[int, int]
_UNSAID: frozenset[Category] = frozenset({"aim", "method", "background", "advice"})
_DENIED: frozenset[Category] = frozenset({"opposite", "negation"})
_OPEN: frozenset[Category] = frozenset({"hypothesis", "question", "conditional"})
_HEDGED: frozenset[Category] = frozenset({"hedge", "cited"})
_BRIEF = 3
_LEARNT = ("known", "known_subject", "known_object", *GROUPS)


@dataclass(frozen=True, kw_only=True)
class Signals:
    """The signals of one claim, each between about −3 and 3; 0 if nothing is known.

    Attributes:
        checks: whether the checks of names, numbers, negation and direction hold.
        found, hedged, unsaid, denied, open: what the quote's sentence does with the claim (see `language.assertion`).
        together: the number of sentences in the paper that name both ends, on a log scale.
        asserted: the number of those that assert the claim, on a log scale.
        apart: the number of words between the ends in the sentence where they are closest, on a log scale.
        title_subject, title_object: whether the title names the end.
        subject_rank, object_rank: how often the paper names the end, relative to the most frequent end, on a log scale.
        late: the relative position of the quote in the paper.
        rivals: the number of other claims of the same relation in the paper, on a log scale.
        verdict: the log-odds given by the evaluator, or by the model that judged a pair; 0 if neither did.
        disagreement: the disagreement between explorer, evaluator and checks.
        known, known_subject, known_object: decisions in other papers about the same statement, and about others of its
            relation with the same end: from −1 to 1.
        between, sentence, named, beside: decisions about claims with similar wording (see `learning.wording`).
        far: the number of sentences between the ends where they are closest, on a log scale.
        brief: whether an end has only names of up to three letters, which often mean something else.
    """

    checks: float = 0.0
    found: float = 0.0
    hedged: float = 0.0
    unsaid: float = 0.0
    denied: float = 0.0
    open: float = 0.0
    together: float = 0.0
    asserted: float = 0.0
    apart: float = 0.0
    title_subject: float = 0.0
    title_object: float = 0.0
    subject_rank: float = 0.0
    object_rank: float = 0.0
    late: float = 0.0
    rivals: float = 0.0
    verdict: float = 0.0
    disagreement: float = 0.0
    known: float = 0.0
    known_subject: float = 0.0
    known_object: float = 0.0
    between: float = 0.0
    sentence: float = 0.0
    named: float = 0.0
    beside: float = 0.0
    far: float = 0.0
    brief: float = 0.0

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(item.name for item in fields(cls))

    def vector(self) -> tuple[float, ...]:
        return astuple(self)

    @property
    def carried(self) -> bool:
        """Whether the quote supports the claim."""
        return self.checks > 0 and self.found + self.hedged > 0

    def alone(self) -> Signals:
        """The signals without those learnt from decisions, as before the first decision."""
        return replace(self, **dict.fromkeys(_LEARNT, 0.0))


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A decision about a statement in a paper."""

    claim: Claim
    accepted: bool


class Known:
    """People's decisions, as signals for claims of other papers.

    Args:
        wording: the log-odds of words in claims, from the decisions.
    """

    def __init__(self, decisions: Iterable[Decided] = (), *, wording: WordOdds | None = None) -> None:
        self.wording = wording or WordOdds()
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._own: Counter[tuple[str, ...]] = Counter()
        for decision in decisions:
            for key in _keys(decision.claim):
                self._counts[*key, str(decision.accepted)] += 1
                self._own[decision.claim.document, *key, str(decision.accepted)] += 1

    def of(self, claim: Claim) -> tuple[float, float, float]:
        """For the statement, its subject and its object: (accepted − rejected) / (decisions + 2), without decisions
        about the claim's own paper."""
        statement, subject, object_ = (self._share(claim.document, key) for key in _keys(claim))
        return statement, subject, object_

    def informed(self, signals: Signals, claim: Claim, words: Iterable[str]) -> Signals:
        """The signals of a claim with these words, with those that follow from decisions filled in."""
        both, subject, object_ = self.of(claim)
        worded = self.wording.of(words, claim.document)
        return replace(signals, known=both, known_subject=subject, known_object=object_, **worded)

    def _share(self, document: str, key: tuple[str, ...]) -> float:
        accepted, rejected = (
            self._counts[*key, said] - self._own[document, *key, said] for said in (str(True), str(False))
        )
        return (accepted - rejected) / (accepted + rejected + 2)


def _keys(claim: Claim) -> tuple[tuple[str, ...], ...]:
    return (
        ("both", claim.subject, claim.predicate, claim.object),
        ("subject", claim.subject, claim.predicate),
        ("object", claim.predicate, claim.object),
    )


class PaperSignals:
    """The signals of all claims of one paper.

    Args:
        records: all claims of the paper, which are each other's rivals.
    """

    def __init__(self, document: Document, records: Sequence[Record], known: Known | None = None) -> None:
        self.document, self.known = document, known or Known()
        self.marks = boundaries(document.text)
        self.rivals = Counter(record.claim.predicate for record in records)
        self._names: dict[str, tuple[str, ...]] = {}
        for record in records:
            for end in (record.claim.subject, record.claim.object):
                names = (*self._names.get(end, ()), *(record.names.get(end) or (end,)))
                self._names[end] = tuple(dict.fromkeys(names))
        texts = [folded(document.text[low:high]) for low, high in pairwise(self.marks)]
        self._places = self._located(texts)
        objects = {record.claim.object for record in records}
        self._sentences = [
            Sentence(text=text, masks=_masks({end: places[n] for end, places in self._places.items()}, objects))
            for n, text in enumerate(texts)
        ]
        title = folded(document.title)
        self._titled = {end for end in self._names if _found(self._written(end), title)}
        self._counts = {end: sum(map(len, places)) for end, places in self._places.items()}
        self._most = {
            end: max((self._counts[_end(r.claim, end)] for r in records), default=0) for end in ("subject", "object")
        }

    def words(self, claim: Claim) -> frozenset[str]:
        """The words of a claim, in the form that `WordOdds` takes."""
        return words_of(self._sentences, self._places[claim.subject], self._places[claim.object])

    def of(self, record: Record) -> Signals:
        """The signals of one of its claims."""
        claim = record.claim
        wanted = Asserting(polarity=polarity_named(claim.predicate))
        told = {n: said for n in range(len(self._sentences)) if (said := self._said(n, claim, wanted))}
        quoted = [told[n] for n in self._quoted(claim) if n in told]
        category = next((s for s in quoted if s == "finding"), quoted[0] if quoted else None)
        by_machine = claim.model == BY_PAIRS  # its confidence is the verifier's own probability
        signals = Signals(
            checks=float(verify(claim, self.document, record.names, asserting=WHATEVER).supported),
            found=float(category == "finding"),
            hedged=float(category in _HEDGED),
            unsaid=float(category in _UNSAID),
            denied=float(category in _DENIED),
            open=float(category in _OPEN),
            together=math.log1p(len(told)),
            asserted=math.log1p(sum(said == "finding" for said in told.values())),
            apart=self._apart(claim),
            title_subject=float(claim.subject in self._titled),
            title_object=float(claim.object in self._titled),
            subject_rank=self._rank(claim.subject, "subject"),
            object_rank=self._rank(claim.object, "object"),
            late=claim.evidence[0].start / max(1, len(self.document.text)) if claim.evidence else 0.0,
            rivals=math.log1p(self.rivals[claim.predicate] - 1),
            verdict=0.0 if by_machine else _log_odds(claim.confidence),
            disagreement=0.0 if record.paired else record.disagreement,  # that of a pair follows from these signals
            far=self._far(claim),
            brief=float(any(self._brief(end) for end in (claim.subject, claim.object))),
        )
        return self.known.informed(signals, claim, self.words(claim))

    def _located(self, texts: Sequence[str]) -> dict[str, list[list[Span]]]:
        """For each end, its mentions in each sentence; a name inside a longer name of another end does not count."""
        found: dict[str, list[list[Span]]] = {end: [] for end in self._names}
        for text in texts:
            named = {end: _found(self._written(end), text) for end in self._names}
            every = {span for spans in named.values() for span in spans}
            for end, spans in named.items():
                found[end].append([span for span in spans if not any(_within(span, other) for other in every)])
        return found

    def _written(self, end: str) -> tuple[str, ...]:
        return _known_names(self._names.get(end, (end,)), self.document.text)

    def _quoted(self, claim: Claim) -> list[int]:
        """The indices of the sentences that the quotes touch."""
        found: dict[int, None] = {}
        for evidence in claim.evidence:
            first = max(0, bisect.bisect_right(self.marks, evidence.start) - 1)
            last = max(first + 1, bisect.bisect_left(self.marks, evidence.end))
            found |= dict.fromkeys(range(first, min(last, len(self.marks) - 1)))
        return list(found)

    def _said(self, index: int, claim: Claim, wanted: Asserting) -> Category | None:
        """What a sentence that names both ends does with the claim."""
        subject, object_ = self._places[claim.subject][index], self._places[claim.object][index]
        if not subject or not object_:
            return None
        return assertion(self._sentences[index].text, subject, object_, wanted.polarity).category

    def _apart(self, claim: Claim) -> float:
        """The fewest words between the ends in one sentence, on a log scale; 60 if no sentence names both."""
        nearest = math.inf
        for sentence, ones, others in zip(
            self._sentences, self._places[claim.subject], self._places[claim.object], strict=True
        ):
            for one in ones:
                for other in others:
                    gap = sentence.text[min(one[1], other[1]) : max(one[0], other[0])]
                    nearest = min(nearest, len(gap.split()))
        return math.log1p(min(nearest, 60))

    def _far(self, claim: Claim) -> float:
        ones, others = (
            [n for n, spans in enumerate(self._places[end]) if spans] for end in (claim.subject, claim.object)
        )
        return math.log1p(min((abs(a - b) for a in ones for b in others), default=len(self._sentences)))

    def _brief(self, end: str) -> bool:
        return all(len(name) <= _BRIEF for name in self._written(end))

    def _rank(self, end: str, role: str) -> float:
        return math.log1p(self._counts[end]) - math.log1p(self._most[role])


def _within(span: Span, other: Span) -> bool:
    return other != span and other[0] <= span[0] and span[1] <= other[1]


def _masks(named: Mapping[str, Sequence[Span]], objects: Container[str]) -> tuple[tuple[Span, str], ...]:
    found = {span: "O" if end in objects else "S" for end, spans in named.items() for span in spans}
    return tuple(sorted(found.items()))


def _end(claim: Claim, role: str) -> str:
    return claim.subject if role == "subject" else claim.object


def _log_odds(confidence: float | None) -> float:
    if confidence is None:
        return 0.0
    return log_odds(confidence, least=0.05)


@lru_cache(maxsize=4096)
def _known_names(names: tuple[str, ...], text: str) -> tuple[str, ...]:
    return synonyms_in(names, text)


@lru_cache(maxsize=65536)
def _found(names: tuple[str, ...], text: str) -> tuple[Span, ...]:
    return tuple(occurrences(names, text))


def signals_of(
    papers: Iterable[tuple[Document, Sequence[Record]]], known: Known | None = None
) -> Mapping[str, Signals]:
    """The signals of the claims of several papers, by claim id."""
    found: dict[str, Signals] = {}
    for document, records in papers:
        paper = PaperSignals(document, records, known)
        found |= {record.claim.id: paper.of(record) for record in records}
    return found
