"""Learning from curation: reviewers' decisions and gold labels become episodes for playbooks and memories.

Everything is separated by relation (the task's `category`), because errors differ by relation: missing chemicals and
getting directions wrong are different lessons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlalchemy import select

from agentkit.curation.claims import digest
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.kb.records import BY_PERSON, Record
from agentkit.curation.ontology.schema import Ontology
from agentkit.json_types import JsonObject
from agentkit.protocols import CallModel, Episode, Learner, Learnt, Step
from agentkit.store.curation import OPEN, KbClaimRow
from agentkit.tasks import Channel, Feedback, Labels, Task


def statement(record: Record, labels: dict[str, str]) -> str:
    """A claim in words."""
    claim = record.claim
    told = "; ".join(f"{key}: {value}" for key, value in sorted(claim.qualifiers.items()))
    ends = [labels.get(id_, id_) for id_ in (claim.subject, claim.object)]
    return f"{ends[0]} — {claim.predicate} → {ends[1]}" + (f" ({told})" if told else "")


def episode_of(
    record: Record,
    feedback: Feedback,
    *,
    labels: dict[str, str],
    category: str,
    question: str = "",
    target: str | None = None,
    gold: bool = False,
    untrusted: bool = True,
    since: int = 0,
) -> Episode:
    """One claim with its feedback, as an episode for learners. Its quote is text from outside and so untrusted, unless
    the papers are a corpus that the user vouches for.

    Args:
        since: the version of the knowledge base since which the decision has been in force; a decision that is undone
            and made again is a new episode.
    """
    claim = record.claim
    quote = claim.evidence[0].quote if claim.evidence else ""
    used: Labels = "gold" if gold else "none"
    task = Task(
        id=f"{claim.document[:16]}:{claim.id[:16]}",
        input=f"{question or 'Does the paper state this?'}\n{statement(record, labels)}\nQuote: {quote}",
        target=target if gold else None,
        metadata={"category": category, "predicate": claim.predicate},
    )
    steps = (
        Step(actor="explorer", name="answer", text=statement(record, labels)),
        Step(actor="tool", name="evidence", text=claim.reason or "the quote carries the claim", ok=not claim.reason),
    )
    return Episode(
        run_id=f"review-{digest(claim.id, feedback.model_dump(), *([since] if since else []), length=24)}",
        task=task,
        labels=used,
        answer=statement(record, labels),
        steps=steps,
        feedback=(feedback,),
        model=claim.model,
        untrusted=untrusted,
        source=f"document:{claim.document}",
    )


def reviewed(kb: KnowledgeBase, ontology: Ontology | None = None, *, untrusted: bool = True) -> list[Episode]:
    """An episode for each claim that a person decided about, by the current decision; that of a correction says what
    is right.

    Args:
        untrusted: whether quotes count as text from outside; False if the reviewer saw them.
    """
    labels = {entity.id: entity.label for entity in kb.entities()}
    since = decided_since(kb)
    return [
        episode_of(
            record,
            _feedback("user", record.claim.status == "accepted", record.claim.reason),
            labels=labels,
            category=record.claim.predicate,
            untrusted=untrusted,
            since=since[record.claim.id],
        )
        for record in kb.records()
        if record.by_person
    ]


def decided_since(kb: KnowledgeBase) -> dict[str, int]:
    """For each claim that a person decided about, the version since which the decision has been in force."""
    query = select(KbClaimRow.id, KbClaimRow.since).where(KbClaimRow.kb == kb.name, KbClaimRow.until == OPEN)
    with kb.store.read() as connection:
        return {id_: since for id_, since in connection.execute(query.where(KbClaimRow.status.in_(BY_PERSON)))}


def labelled(
    records: Iterable[Record], right: Callable[[Record], bool], *, labels: dict[str, str], why: str = ""
) -> list[Episode]:
    """An episode for each claim that a gold standard can judge; its papers count as trusted, like its labels."""
    return [
        episode_of(
            record,
            _feedback("label", right(record), why),
            labels=labels,
            category=record.claim.predicate,
            gold=True,
            untrusted=False,
        )
        for record in records
    ]


def compared(
    kb: KnowledgeBase, gold: Mapping[str, Mapping[tuple[str, str, str], str]], *, question: str = ""
) -> list[Episode]:
    """An episode for each paper and relation that a gold standard covers, with what was claimed and what is right, so
    that missed claims teach as much as wrong ones.

    Args:
        gold: by document, the right claims: (subject, predicate, object), each in words.
        question: the question that was asked.
    """
    labels = {entity.id: entity.label for entity in kb.entities()}
    claimed: dict[tuple[str, str], list[Record]] = {}
    for record in kb.records():
        if record.claim.exported:
            claimed.setdefault((record.claim.document, record.claim.predicate), []).append(record)
    predicates = sorted({triple[1] for triples in gold.values() for triple in triples})
    return [
        _paper_episode(
            kb, (document, predicate), claimed.get((document, predicate), []), gold[document], labels, question
        )
        for document in sorted(gold)
        for predicate in predicates
    ]


def _paper_episode(
    kb: KnowledgeBase,
    key: tuple[str, str],
    records: list[Record],
    gold: Mapping[tuple[str, str, str], str],
    labels: dict[str, str],
    question: str,
) -> Episode:
    document, predicate = key
    right = {triple: words for triple, words in gold.items() if triple[1] == predicate}
    found = {(r.claim.subject, r.claim.predicate, r.claim.object) for r in records}
    score = 2 * len(found & right.keys()) / max(1, len(found) + len(right))
    paper = kb.document(document)
    lines = [statement(record, labels) for record in records]
    answer = "\n".join(lines) or "(nothing)"
    task = Task(
        id=f"{document[:16]}:{predicate}",
        input=f"{question or f'Find every {predicate} claim of this paper.'}\n{paper.text if paper else ''}",
        target="\n".join(sorted(right.values())) or "(nothing)",
        metadata={"category": predicate, "predicate": predicate},
    )
    return Episode(
        run_id=f"gold-{digest(key, answer, task.target, length=24)}",
        task=task,
        labels="gold",
        answer=answer,
        steps=(Step(actor="explorer", name="answer", text=answer),),
        feedback=(_feedback("label", score >= 1, "", score),),
        model=records[0].claim.model if records else "",
        untrusted=False,
        source=f"document:{document}",
    )


def _feedback(channel: Channel, right: bool, note: str, score: float | None = None) -> Feedback:
    text = note or ("the claim is right" if right else "the claim is wrong")
    return Feedback(channel=channel, score=float(right) if score is None else score, text=text)


async def learn(episodes: Sequence[Episode], learners: Sequence[Learner], *, call: CallModel) -> JsonObject:
    """Give episodes to the learners, one after another; each learns from an episode only once."""
    outcomes: list[Learnt] = []
    for episode in episodes:
        for learner in learners:
            outcomes.append(await learner.learn(episode, call=call))
    return {"episodes": len(episodes), "applied": sum(outcome.status == "applied" for outcome in outcomes)}
