"""Pairs of entities that a paper names, as candidates for a relation: each with its best sentence, checked by machine
and judged by the learned verifier; before that, a model may give a verdict (`extraction.verdicts`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from agentkit.curation.claims import Claim, Entity
from agentkit.curation.documents import Document
from agentkit.curation.evidence import evidence_of, verify
from agentkit.curation.grounding.mentions import Span, Spotted, Spotter
from agentkit.curation.kb.records import BY_PAIRS, Record
from agentkit.curation.language.sentences import boundaries
from agentkit.curation.learning.signals import Known, PaperSignals
from agentkit.curation.learning.verifier import Verifier
from agentkit.curation.ontology.schema import Ontology, Relation

MOST = 150
"""The most pairs per relation and paper; beyond that, only the entities that the paper names most are paired."""
_LOOKED_AT = 8
"""The number of sentences with both ends that are tried as the quote."""


@dataclass(frozen=True, kw_only=True)
class CandidatePair:
    """A pair: its claim, and why its quote does not support it (empty if it does)."""

    record: Record
    entities: tuple[Entity, Entity]
    problem: str


def pairable(ontology: Ontology) -> tuple[Relation, ...]:
    """The relations between two kinds of named entities that require no qualifier."""
    return tuple(
        relation
        for relation in ontology.relations
        if ontology.concepts[relation.head].kind == ontology.concepts[relation.tail].kind == "entity"
        and not relation.directed
        and not any(qualifier.required for qualifier in relation.qualifiers)
    )


def candidates(document: Document, relation: Relation, spotter: Spotter) -> list[CandidatePair]:
    """Every pair in a paper that a relation may join, in both orders if both ends are of one class."""
    subjects, objects = (_foremost(spotter.spot(document, end), document) for end in (relation.head, relation.tail))
    lines = list(pairwise(boundaries(document.text)))
    return [
        _candidate(document, relation, one, other, lines)
        for one in subjects
        for other in objects
        if one.entity.id != other.entity.id and not set(other.spans) <= set(one.spans)
    ]


def _foremost(things: Sequence[Spotted], document: Document) -> list[Spotted]:
    """The entities named in a paper's title, then those named most often, up to the limit."""
    ends = len(document.title)
    ranked = sorted(things, key=lambda thing: (thing.spans[0][0] >= ends, -len(thing.spans), thing.spans[0]))
    kept = {thing.entity.id for thing in ranked[: int(MOST**0.5)]}
    return [thing for thing in things if thing.entity.id in kept]


def _candidate(
    document: Document, relation: Relation, one: Spotted, other: Spotted, lines: Sequence[Span]
) -> CandidatePair:
    names = {one.entity.id: one.names, other.entity.id: other.names}
    claim = Claim(subject=one.entity.id, predicate=relation.name, object=other.entity.id, document=document.id)
    both = [line for line in lines if all(_within(line, thing.spans) for thing in (one, other))]
    problem, quote = "no sentence names both", _line_of(other.spans[0], lines)
    for number, line in enumerate(both[:_LOOKED_AT]):
        tried = replace(claim, evidence=(evidence_of(document, line),), id="")
        verdict = verify(tried, document, names, asserting=relation.asserting)
        if number == 0 or verdict.supported:
            problem, quote = verdict.reason, line
        if verdict.supported:
            break
    record = Record(claim=replace(claim, evidence=(evidence_of(document, quote),), model=BY_PAIRS, id=""), names=names)
    return CandidatePair(record=record, entities=(one.entity, other.entity), problem=problem)


def _within(line: Span, spans: Sequence[Span]) -> bool:
    return any(line[0] <= start and end <= line[1] for start, end in spans)


def _line_of(span: Span, lines: Sequence[Span]) -> Span:
    return next((line for line in reversed(lines) if line[0] <= span[0]), span)


def judged(
    document: Document, found: Sequence[CandidatePair], verifier: Verifier, known: Known, *, run_id: str = ""
) -> list[Record]:
    """The claims of a paper's candidates: supported if the quote supports the claim and the verifier considers it
    likely enough; the confidence is the verifier's probability, or that of the model that judged it."""
    read = PaperSignals(document, [item.record for item in found], known)
    return [
        decided(item, verifier.probability(read.of(item.record)), verifier.threshold, run_id=run_id) for item in found
    ]


def decided(item: CandidatePair, probability: float, threshold: float, *, run_id: str = "") -> Record:
    """A candidate as a record, with its status."""
    likely = probability >= threshold
    reason = item.problem or ("" if likely else f"unlikely: {probability:.0%}, where {threshold:.0%} is asked for")
    verdict = item.record.claim.confidence
    claim = replace(
        item.record.claim,
        status="unsupported" if reason else "supported",
        reason=reason,
        confidence=round(probability, 4) if verdict is None else verdict,
        run_id=run_id,
    )
    return Record(claim=claim, names=item.record.names, disagreement=1 - abs(2 * probability - 1))
