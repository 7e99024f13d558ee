"""Curation evolves: reviewers' decisions and gold labels become episodes that playbooks and memories learn from.

Everything is kept apart by relation (the task's `category`), because errors are: missed chemicals are another lesson
than wrong directions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from agentkit.curation.claims import digest
from agentkit.curation.knowledge_base import KnowledgeBase
from agentkit.curation.ontology import Ontology
from agentkit.curation.records import Record
from agentkit.recall import CallModel, Episode, Learner, Learnt, Step
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
) -> Episode:
    """One claim with what is known about it, as learners take it. Its quote is text from outside: untrusted, unless the
    papers are a corpus that the user vouches for."""
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
        run_id=f"review-{digest(claim.id, feedback.model_dump(), length=24)}", task=task, labels=used,
        answer=statement(record, labels), steps=steps, feedback=(feedback,), model=claim.model, untrusted=untrusted,
        source=f"document:{claim.document}",
    )  # fmt: skip


def reviewed(kb: KnowledgeBase, ontology: Ontology | None = None) -> list[Episode]:
    """An episode for each claim that a person decided on, the newest decision counting."""
    labels = {entity.id: entity.label for entity in kb.entities()}
    last = {row["claim"]: row for row in kb.reviews()}
    return [
        episode_of(
            record,
            _feedback("user", record.claim.status == "accepted", last.get(record.claim.id, {}).get("note", "")),
            labels=labels,
            category=record.claim.predicate,
        )
        for record in kb.records()
        if record.by_person
    ]


def labelled(
    records: Iterable[Record], right: Callable[[Record], bool], *, labels: dict[str, str], why: str = ""
) -> list[Episode]:
    """An episode for each claim that a gold standard can judge; its papers count as trusted, like its labels."""
    return [
        episode_of(
            record, _feedback("label", right(record), why), labels=labels, category=record.claim.predicate, gold=True,
            untrusted=False,
        )
        for record in records
    ]  # fmt: skip


def _feedback(channel: Channel, right: bool, note: str) -> Feedback:
    text = note or ("the claim is right" if right else "the claim is wrong")
    return Feedback(channel=channel, score=1.0 if right else 0.0, text=text)


async def learn(episodes: Sequence[Episode], learners: Sequence[Learner], *, call: CallModel) -> dict[str, Any]:
    """Hand episodes to the learners, one after the other; each learns an episode once, however often it gets it."""
    outcomes: list[Learnt] = []
    for episode in episodes:
        for learner in learners:
            outcomes.append(await learner.learn(episode, call=call))
    return {"episodes": len(episodes), "applied": sum(outcome.status == "applied" for outcome in outcomes)}
