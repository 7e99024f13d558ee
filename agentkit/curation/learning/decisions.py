"""From reviews to a verifier: fitting it to people's decisions, using it, and measuring what it gains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agentkit.confidence.risk import RiskCoverage, auroc, risk_coverage
from agentkit.curation.documents import Document
from agentkit.curation.kb.contradictions import contradictions
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.kb.records import Record
from agentkit.curation.learning.signals import Decided, Known, PaperSignals, Signals, signals_of
from agentkit.curation.learning.store import VerifierStore
from agentkit.curation.learning.verifier import LEAST, Verifier, cross_fitted, fit, prior
from agentkit.curation.learning.wording import Worded, WordOdds
from agentkit.json_types import JsonObject

_RESAMPLES = 300


def learn_decisions(kb: KnowledgeBase, *, again: bool = False) -> int:
    """Fit the knowledge base's verifier to all decisions, and return its version.

    Args:
        again: fit even if a person rolled back to an earlier verifier.
    """
    store = VerifierStore(kb.store, kb.name)
    if store.current().kept and not again:
        return store.version
    found = decided(kb)
    verifier = fit(found.signals, found.accepted, papers=found.papers, words=found.words)
    return store.save(verifier, source=f"{kb.target} version {kb.version}")


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """Claims that people decided about: the signals, decision and paper of each; and the log-odds of words that follow
    from the decisions."""

    signals: tuple[Signals, ...] = ()
    accepted: tuple[bool, ...] = ()
    papers: tuple[str, ...] = ()
    words: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.accepted)


def decided(kb: KnowledgeBase) -> Decisions:
    """All of people's decisions, each about the claim as the machine made it.

    Claims that a person wrote are left out: they say nothing about what machines get right.
    """
    judged = [record for record in list(kb.decided()) if not record.by_hand]
    papers = list(_papers(kb, {r.claim.document for r in judged}))
    wording = _wording(papers, {record.claim.id for record in judged})
    seen = signals_of(papers, _known(judged, wording))
    kept = [record for record in judged if record.claim.id in seen]
    return Decisions(
        signals=tuple(seen[record.claim.id] for record in kept),
        accepted=tuple(record.claim.status == "accepted" for record in kept),
        papers=tuple(record.claim.document for record in kept),
        words=wording.weights,
    )


def _wording(papers: Iterable[tuple[Document, Sequence[Record]]], judged: Container[str]) -> WordOdds:
    """The log-odds of words, from decisions."""
    told: list[Worded] = []
    for document, records in papers:
        read = PaperSignals(document, records)
        told += [
            Worded(paper=document.id, words=read.words(r.claim), accepted=r.claim.status == "accepted")
            for r in records
            if r.claim.id in judged
        ]
    return WordOdds(told)


def probabilities(kb: KnowledgeBase, *, documents: Iterable[str] | None = None) -> dict[str, float]:
    """For each claim (of these papers), the probability that a person would accept it; 1 or 0 if one decided."""
    verifier, known, _ = judging(kb)
    found: dict[str, float] = {}
    for document, records in _papers(kb, None if documents is None else set(documents)):
        for id_, signals in signals_of([(document, records)], known).items():
            found[id_] = verifier.probability(signals)
        decisions = {r.claim.id: float(r.claim.status == "accepted") for r in records if r.by_person}
        found |= decisions
    return found


def doubts(kb: KnowledgeBase, ids: Sequence[str]) -> dict[str, float]:
    """How much reviewing each of these claims would gain: the probability that its status is wrong, that is, that a
    supported claim would be rejected or an unsupported one accepted. If two claims contradict each other, the higher
    probability counts for both."""
    wanted = set(ids)
    heads = [head for head in kb.heads() if head.id in wanted]
    told = probabilities(kb, documents={head.document for head in heads})
    found = {h.id: 1 - told[h.id] if h.exported else told[h.id] for h in heads if h.id in told}
    for clash in contradictions(heads):
        sides = [id_ for side in clash.sides.values() for id_ in side if id_ in found]
        highest = max((found[id_] for id_ in sides), default=0.0)
        found |= dict.fromkeys(sides, highest)
    return found


@dataclass(frozen=True, kw_only=True)
class LearntSoFar:
    """How much a knowledge base has learnt from its reviewers.

    Attributes:
        decisions, accepted: the numbers of claims decided about, and accepted.
        version: the version of the verifier in force.
        auroc: the probability that an accepted claim is ranked above a rejected one, by verifiers that saw no decisions
            about its paper; None if there are too few decisions.
        before: the AUROC of the prior, which knows no decisions.
        gain: the difference, with its 95 % interval (bootstrap over papers).
        picture: the risk–coverage curve: errors among the likeliest claims, for each share of them.
    """

    decisions: int
    accepted: int
    version: int
    auroc: float | None = None
    before: float | None = None
    gain: tuple[float, float, float] | None = None
    picture: RiskCoverage | None = None

    def to_json(self) -> JsonObject:
        picture = None if self.picture is None else self.picture.to_json()
        return vars(self) | {"gain": None if self.gain is None else list(self.gain), "picture": picture}


def progress(kb: KnowledgeBase) -> LearntSoFar:
    """Evaluate the verifier on the decisions so far, by cross-validation over papers."""
    found = decided(kb)
    accepted, version = sum(found.accepted), VerifierStore(kb.store, kb.name).version
    if min(accepted, len(found) - accepted) < LEAST or len(set(found.papers)) < 2:
        return LearntSoFar(decisions=len(found), accepted=accepted, version=version)
    scores = [float(right) for right in found.accepted]
    learnt = cross_fitted(found.signals, found.accepted, found.papers)
    first = [prior().probability(signals.alone()) for signals in found.signals]
    return LearntSoFar(
        decisions=len(found),
        accepted=accepted,
        version=version,
        auroc=auroc(learnt, scores),
        before=auroc(first, scores),
        gain=_gain(learnt, first, scores, found.papers),
        picture=risk_coverage(learnt, scores),
    )


def _gain(
    learnt: Sequence[float], first: Sequence[float], scores: Sequence[float], papers: Sequence[str]
) -> tuple[float, float, float] | None:
    """The difference in AUROC with its bootstrap interval over papers."""
    import numpy as np

    members: dict[str, list[int]] = defaultdict(list)
    for index, paper in enumerate(papers):
        members[paper].append(index)
    groups = list(members.values())
    picks = np.random.default_rng(0).integers(0, len(groups), size=(_RESAMPLES, len(groups)))
    draws = [[index for group in pick for index in groups[group]] for pick in picks]
    values = [value for draw in draws if (value := _difference(learnt, first, scores, draw)) is not None]
    whole = _difference(learnt, first, scores, range(len(scores)))
    if whole is None or not values:
        return None
    low, high = np.quantile(values, [0.025, 0.975])
    return whole, float(low), float(high)


def _difference(
    learnt: Sequence[float], first: Sequence[float], scores: Sequence[float], chosen: Iterable[int]
) -> float | None:
    index = list(chosen)
    after, before = (auroc([told[i] for i in index], [scores[i] for i in index]) for told in (learnt, first))
    return None if after is None or before is None else after - before


def _known(records: Iterable[Record], wording: WordOdds) -> Known:
    decisions = (Decided(claim=r.claim, accepted=r.claim.status == "accepted") for r in records)
    return Known(decisions, wording=wording)


def judging(kb: KnowledgeBase) -> tuple[Verifier, Known, int]:
    """What is needed to judge new claims: the verifier in force, people's decisions, and the version of both."""
    stored = VerifierStore(kb.store, kb.name).current()
    return stored.verifier, _known(list(kb.decided()), WordOdds.stored(stored.verifier.words)), stored.version


def _papers(kb: KnowledgeBase, wanted: set[str] | None) -> Iterator[tuple[Document, list[Record]]]:
    """Papers with all of their claims, one paper at a time."""
    ids = sorted({head.document for head in kb.heads()} if wanted is None else wanted)
    for id_ in ids:
        document = kb.document(id_)
        if document is not None:
            yield document, list(kb.records(document=id_))


__all__ = ["Decisions", "LearntSoFar", "decided", "doubts", "judging", "learn_decisions", "probabilities", "progress"]
