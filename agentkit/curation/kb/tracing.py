"""From a claim to its origin, and from a paper's run to its results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from agentkit.curation.kb.episodes import statement
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.kb.records import Record
from agentkit.curation.kb.work import Work, WorkLog
from agentkit.json_types import JsonObject
from agentkit.store.run_log import RunLog, RunRecord
from agentkit.store.runs import ModelCallRow

_CALL = ("key", "role", "model", "input_tokens", "output_tokens", "cached_tokens", "cost", "seconds")


def behind(kb: KnowledgeBase, record: Record) -> JsonObject:
    """The origin of a claim: `run`, `question`, the model `calls` that were made for it, and what was `recalled`.

    The run's status is None if it was pruned, or if an earlier version of AgentKit made the claim without a run; claims
    that people wrote have no question.
    """
    claim = record.claim
    work = WorkLog(kb.store, kb.name).behind(claim.id, claim.document)
    run_id = (work.run_id if work is not None else None) or claim.run_id
    run = RunLog(kb.store).find(run_id) if run_id else None
    return {
        "run": {"id": run_id, "status": None if run is None else run.status},
        "question": None if work is None else _question(work),
        "calls": [] if work is None else _calls(kb, work),
        "recalled": [] if work is None else [_shown(block) for block in work.recalled or ()],
    }


def of_paper(log: RunLog, record: RunRecord) -> JsonObject:
    """The content of a paper's run: its `questions` with what was recalled for each, and its `claims`."""
    about = record.options["curation"]
    kb = KnowledgeBase(log.store, about["kb"])
    works = WorkLog(log.store, kb.name).of_run(record.id, about["document"])
    claims = [found for found in kb.records(document=about["document"]) if found.claim.run_id == record.id]
    named = {end for item in claims for end in (item.claim.subject, item.claim.object)}
    named |= {id_ for work in works for id_ in work.subject.split(" · ")}
    labels = {entity.id: entity.label for entity in kb.entities(ids=sorted(named))}
    return {
        "kb": kb.name,
        "questions": [
            {
                **_question(work),
                "subject": _named(work.subject, labels),
                "recalled": [_shown(b) for b in work.recalled or ()],
            }
            for work in works
        ],
        "claims": [
            {"id": item.claim.id, "status": item.claim.status, "statement": statement(item, labels)} for item in claims
        ],
    }


def _named(subject: str, labels: dict[str, str]) -> str:
    return " · ".join(labels.get(id_, id_) for id_ in subject.split(" · ")) if subject else ""


def _question(work: Work) -> JsonObject:
    kept = ("element", "state", "rounds", "calls", "tokens", "cost")
    return {"key": work.key, **{name: getattr(work, name) for name in kept}, "claims": list(work.claims)}


def _calls(kb: KnowledgeBase, work: Work) -> list[JsonObject]:
    """The model calls of a question, in order, except those that were pruned with their run."""
    columns = [getattr(ModelCallRow, name) for name in _CALL]
    query = select(*columns).where(ModelCallRow.key.in_(list(work.called or ())))
    with kb.store.read() as connection:
        return [dict(row) for row in connection.execute(query.order_by(ModelCallRow.created_at)).mappings()]


def _shown(block: Mapping[str, Any]) -> JsonObject:
    """A recalled block: the items of it that were in the prompt, by id."""
    ids = [offer["id"] for offer in block["offers"] if offer["shown"]]
    return {
        "kind": block["kind"],
        "target": block["target"],
        "version": block["version"],
        "shown": ids,
        "text": block["text"],
    }
