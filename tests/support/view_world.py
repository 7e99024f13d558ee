"""A database full of everything that `agentkit view` shows: sized for timing, or with a hostile text in every field."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert

from agentkit.curation.claims import Claim, Entity, Evidence
from agentkit.curation.documents.document import Document, Metadata, Section
from agentkit.curation.kb.knowledge_base import Author, KnowledgeBase, Write
from agentkit.curation.kb.records import Record
from agentkit.embedding import HashEmbedder
from agentkit.ledger import Verdict
from agentkit.memory import Case, CaseMemory
from agentkit.playbooks import Add, Delta, PlaybookStore, Update
from agentkit.protocols import Block, Offer
from agentkit.store import Store
from agentkit.store.cases import CaseOfferRow, CaseRecallRow
from agentkit.store.evolution import EvolutionRow, EvolutionStepRow, GateTestRow
from agentkit.store.playbooks import ExposureRow
from agentkit.store.run_log import RunLog, ToolCall
from agentkit.store.runs import ModelCallRow, OpinionRow, RunRow
from agentkit.tasks import Feedback, Task

Text = Callable[[str], str]
"""A text for a field, given an ordinary one."""
BEGAN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
RUN = "run-0"
"""The run that has steps, recalls, feedback and changes."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much of each there is."""

    runs: int = 4
    claims: int = 6
    papers: int = 2
    bullets: int = 4
    cases: int = 3
    steps: int = 3


def fill(store: Store, sizes: Sizes, text: Text = lambda plain: plain) -> None:
    """Fill a store.

    Args:
        text: makes what stands in every field that a model, a tool, a paper or a person fills.
    """
    _runs(store, sizes, text)
    _playbook(store, sizes, text)
    _memory(store, sizes, text)
    _evolution(store, sizes, text)
    _knowledge(store, sizes, text)


def _runs(store: Store, sizes: Sizes, text: Text) -> None:
    options = {
        "agent": {"model": "m", "tools": ["calculator"], "playbook": "main"},
        "run": {"planning": False, "client_tools": []},
        "in_code": [],
    }
    rows = [
        {
            "id": f"run-{number}",
            "task": Task(id="t", input=text(f"Question {number}?")).model_dump(),
            "status": ("done", "done", "done", "failed", "abstained")[number % 5],
            "model": text("m"),
            "options": options,
            "answer": text(f"answer {number}"),
            "error": text("an error") if number % 5 == 3 else None,
            "batch": text("a batch"),
            "rounds": 1,
            "seconds": 1.5,
            "effort": {"mode": "agentic", "why": text("why")},
            "created_at": BEGAN + dt.timedelta(seconds=number),
            "updated_at": BEGAN,
            "owner": None,
        }
        for number in range(sizes.runs)
    ]
    with store.write() as connection:
        for start in range(0, len(rows), 2_000):
            connection.execute(insert(RunRow), rows[start : start + 2_000])
    log = RunLog(store)
    offers = (Offer(id=text("b1"), probability=0.5, score=0.4), Offer(id="b2", shown=False, probability=0.5))
    log.save_blocks(
        RUN,
        [Block(kind=text("playbook"), target=text("playbook:main"), version=1, text=text("a lesson"), offers=offers)],
    )
    log.save_tool_call(
        RUN,
        ToolCall(
            key=f"{RUN}/1/0",
            tool=text("calculator"),
            arguments={"e": text("1+1")},
            result=text("2"),
            ok=True,
            seconds=0.1,
        ),
    )
    log.save_feedback(RUN, Feedback(channel="judge", score=0.5, text=text("so so")))
    call = {"name": text("calculator"), "args": {"e": text("1+1")}, "id": "c"}
    response = {"content": text("Let me see"), "tool_calls": [call]}
    model_call = {
        "key": "k",
        "run_id": RUN,
        "scope": "explore:0",
        "role": text("explorer"),
        "model": text("m"),
        "request_hash": "h",
        "response": response,
        "input_tokens": 100,
        "cached_tokens": 40,
    }
    opinion = {
        "key": "o",
        "run_id": RUN,
        "by": text("ada"),
        "channel": "user",
        "score": 0.0,
        "answer": text("right"),
        "text": text("because"),
    }
    with store.write() as connection:
        connection.execute(insert(ModelCallRow), [model_call])
        connection.execute(insert(OpinionRow), [opinion])


def _playbook(store: Store, sizes: Sizes, text: Text) -> None:
    book = PlaybookStore.open(store, "main")
    adds = tuple(
        Add(
            content=text(f"Lesson {number} about this and that."), section=text("strategies")[:80], scope=text("x")[:80]
        )
        for number in range(sizes.bullets)
    )
    book.apply(
        Delta(
            key="a",
            base=0,
            operations=adds,
            role="curator",
            run_id=RUN,
            source=text("a page")[:400],
            note=text("a note"),
        )
    )
    first = book.current().active[0]
    change = Update(id=first.id, expected=first.hash, content=text("Lesson 0 about something else."))
    book.apply(Delta(key="b", base=1, operations=(change,), role="curator"))
    for key, decision in (("c", "quarantine"), ("d", "ask")):
        held = Add(content=text(f"What waits: {key}."))
        verdict = Verdict(decision=decision, reason=text("it reads like an order"))  # type: ignore[arg-type]
        book.hold(Delta(key=key, base=2, operations=(held,), role="curator"), verdict)
    rng = random.Random(1)
    fixed = {"target": book.target, "probability": 0.5, "weight": 1.0, "created_at": BEGAN}
    rows = []
    for bullet in book.current().active:
        for number in range(min(200, sizes.runs)):
            shown = rng.random() < 0.5
            score = float(rng.random() < (0.7 if shown else 0.5))
            rows.append({**fixed, "bullet_id": bullet.id, "run_id": f"run-{number}", "shown": shown, "score": score})
    with store.write() as connection:
        connection.execute(insert(ExposureRow), rows)


def _memory(store: Store, sizes: Sizes, text: Text) -> None:
    memory = CaseMemory.open(store, "main", embedder=HashEmbedder(32))
    memory.add_many(
        Case(
            state=text(f"Case {number}"),
            plan=text(f"Plan {number}"),
            answer=text("answer"),
            reward=0.5,
            source=text("a page"),
            status="quarantined" if number % 2 else "active",
            run_id=f"run-{number}",
        )
        for number in range(sizes.cases)
    )
    case = memory.list(limit=1)[0]
    rng = random.Random(2)
    fixed = {"memory": "main", "namespace": "default"}
    recalls = [
        {
            **fixed,
            "run_id": f"r{n}",
            "policy": "p",
            "version": 0,
            "state_hash": "h",
            "created_at": BEGAN,
            "outcome": float(rng.random() < 0.5),
            "learnt": 1,
        }
        for n in range(20)
    ]
    offers = [
        {
            **fixed,
            "run_id": f"r{n}",
            "place": 0,
            "case_id": case.id,
            "shown": bool(n % 2),
            "probability": 0.5,
            "score": 0.5,
            "features": [],
        }
        for n in range(20)
    ]
    with store.write() as connection:
        connection.execute(insert(CaseRecallRow), recalls)
        connection.execute(insert(CaseOfferRow), offers)


def _evolution(store: Store, sizes: Sizes, text: Text) -> None:
    evolution = {
        "id": "evolution-1",
        "config": {"name": text("a name")},
        "start": {"playbook:main": 0},
        "status": "done",
        "result": {"status": text("converged")},
        "created_at": BEGAN,
        "updated_at": BEGAN,
    }
    steps: list[dict[str, Any]] = [
        {
            "evolution": "evolution-1",
            "number": number,
            "kind": "learned",
            "created_at": BEGAN,
            "data": {"scores": [1.0, 0.0, None, 1.0]},
        }
        for number in range(sizes.steps)
    ]
    steps.append(
        {
            "evolution": "evolution-1",
            "number": sizes.steps,
            "kind": "validated",
            "created_at": BEGAN,
            "data": {"scores": [1.0, 0.0]},
        }
    )
    evidence = {
        "mean": 0.2,
        "interval": [0.05, 0.4],
        "wins": 9,
        "losses": 2,
        "pairs": 20,
        "threshold": 20.0,
        "curve": [1.0, 1.6, 2.4, 9.0, 24.0],
        "better": [text("a task")],
    }
    test = {
        "key": "t",
        "evolution": "evolution-1",
        "number": 1,
        "holdout": "h",
        "changes": [text("change")],
        "level": 0.05,
        "outcome": "better",
        "evidence": evidence,
        "created_at": BEGAN,
    }
    with store.write() as connection:
        connection.execute(insert(EvolutionRow), [evolution])
        connection.execute(insert(EvolutionStepRow), steps)
        connection.execute(insert(GateTestRow), [test])


def _knowledge(store: Store, sizes: Sizes, text: Text) -> None:
    kb = KnowledgeBase(store, "main")
    each = max(1, sizes.claims // sizes.papers)
    for number in range(sizes.papers):
        quotes = [text(f"Substance {number}-{place} lowers pressure {place}.") for place in range(each)]
        body = text("Title") + "\n" + "\n".join(quotes)
        document = Document(
            id=f"doc-{number:05d}",
            title=text(f"Paper {number}"),
            text=body,
            source=text("paper.txt"),
            sections=(Section(label="RESULTS", start=0, end=len(body)),),
            metadata=Metadata(journal=text("A journal")),
        )
        kb.add_document(document)
        kb.write(_write(document, quotes, number, text), key=f"w{number}", author=Author(note=text("a note")))
    if sizes.claims < 100:
        kb.review(next(kb.claims()).id, "accepted", reviewer=text("ada")[:120], note=text("I read it"))


def _write(document: Document, quotes: list[str], number: int, text: Text) -> Write:
    entities, records, at = {}, [], 0
    for place, quote in enumerate(quotes):
        at = document.text.index(quote, at)
        subject = Entity.named(text(f"Substance {number % 50}-{place % 40}"), text("Chemical")[:120])
        found = Entity.named(text(f"pressure {place % 30}"), text("Finding")[:120])
        entities |= {subject.id: subject, found.id: found}
        # A tenth of what is said is told otherwise in later papers.
        told = "increased" if number < 50 and place % 10 == 0 else "decreased"
        evidence = Evidence(
            document=document.id,
            start=at,
            end=at + len(quote),
            quote=quote,
            prefix=text("before")[:32],
            suffix=text("after")[:32],
            section=text("RESULTS"),
        )
        claim = Claim(
            subject=subject.id,
            predicate=text("lowers")[:120],
            object=found.id,
            document=document.id,
            qualifiers={text("direction"): text(told)},
            status="supported" if place % 3 else "unsupported",
            confidence=0.7,
            evidence=(evidence,),
            reason=text("why"),
            model=text("m"),
        )
        records.append(Record(claim=claim, disagreement=(place % 10) / 10))
    return Write(records=records, entities=list(entities.values()))
