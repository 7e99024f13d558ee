"""Curation by pairs: papers, an ontology and names in; a knowledge base of pairs judged by the verifier out.

It needs no model; if there is one, it gives each pair a verdict of one word.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from functools import partial

from sqlalchemy import Connection

from agentkit import faults
from agentkit.aio import run_sync
from agentkit.curation.claims import Entity, digest
from agentkit.curation.curate import Report, summary_of
from agentkit.curation.documents import Document, Failure
from agentkit.curation.events import OnCuration, PaperBusy, PaperRead, PaperUnread, WorkDone, WorkFailed, silent
from agentkit.curation.extraction.pairs import CandidatePair, candidates, judged, pairable
from agentkit.curation.extraction.verdicts import PairJudge
from agentkit.curation.grounding.grounders import Grounders, Lexicon
from agentkit.curation.grounding.mentions import Spotter
from agentkit.curation.kb.knowledge_base import Author, KnowledgeBase, Write
from agentkit.curation.kb.records import BY_PAIRS
from agentkit.curation.kb.work import State, Work, WorkKey, WorkLog, WorkValues
from agentkit.curation.learning.decisions import judging
from agentkit.curation.ontology.schema import Ontology, Relation
from agentkit.curation.paper_run import PaperRun
from agentkit.errors import BudgetExceeded, ModelError, UserError
from agentkit.models.journal import SqlJournal
from agentkit.store.run_log import RunLog

PAIRS = 1
"""Version of how pairs are made and judged; a new number has every paper processed again."""


class PairCuration:
    """One run over papers: every pair of entities that a relation may join becomes a claim.

    The verifier, fitted to reviewers' decisions so far, judges the pairs. Names in accepted claims are looked for in
    further papers.

    Args:
        kb: the knowledge base that it fills.
        grounders: the sources of names: the user's lexicon, tables.
        naming_version: changes when `grounders` would name differently; part of every work key.
        judge: asks a model about each pair whose quote supports it; each paper is then a run, with its calls.
        on_event: receives events as they happen; see `agentkit.curation.events`.

    Raises:
        UserError: the ontology has no relation between two kinds of named entities, or no names are known.
    """

    def __init__(
        self,
        kb: KnowledgeBase,
        ontology: Ontology,
        *,
        grounders: Grounders,
        naming_version: str = "",
        judge: PairJudge | None = None,
        on_event: OnCuration = silent,
        owner: str = "",
    ) -> None:
        self.kb, self.ontology, self.judge, self.on_event = kb, ontology, judge, on_event
        self.relations = pairable(ontology)
        if not self.relations:
            raise UserError(f"{ontology.name}: no relation joins two things that have names, so there are no pairs")
        accepted = accepted_names(kb)
        if not grounders.grounders and not accepted:
            raise UserError("pairs need names: give --lexicon FILE, or get tables with  agentkit kb tables --fetch")
        learnt = (Lexicon(accepted, name="accepted"),) if accepted else ()
        self.spotter = Spotter(Grounders(grounders=(*grounders.grounders, *learnt), prefixes=grounders.prefixes))
        self.verifier, self.known, version = judging(kb)
        self._version = digest(PAIRS, naming_version, accepted, version, length=16)
        self.work = WorkLog(kb.store, kb.name, owner=owner)
        self.report = Report()

    def run(self, documents: Iterable[Document | Failure]) -> Report:
        """Process every paper; a paper that can't be read or fails is reported, and the others continue."""
        started = time.monotonic()
        for document in documents:
            if isinstance(document, Failure):
                self.report.unread.append(document)
                self.on_event(PaperUnread(source=document.source, reason=document.reason))
                continue
            try:
                self._paper(document)
            except BudgetExceeded as error:
                self.report.stopped = str(error)
                break
            self.report.papers += 1
            self.on_event(PaperRead(source=document.source, id=document.id, title=document.title))
        if self.judge is not None:
            meter = self.judge.meter
            self.report.calls, self.report.tokens, self.report.cost = meter.calls, meter.tokens, meter.cost
        self.report.seconds = time.monotonic() - started
        return self.report

    def _paper(self, document: Document) -> None:
        self.kb.add_document(document)
        record = None
        if self.judge is not None:
            log, options = RunLog(self.kb.store), {"pairs": True}
            record = PaperRun(log, self.kb.name, document, model=self.judge.name, options=options, emit=self.on_event)
        with nullcontext() if record is None else record.ended_by_errors():
            failed = [problem for relation in self.relations if (problem := self._relation(document, relation, record))]
        if record is not None:
            summary = partial(summary_of, self.kb, document)
            record.end("failed" if failed else "done", answer=summary, error=failed[-1] if failed else None)

    def _relation(self, document: Document, relation: Relation, record: PaperRun | None) -> str:
        """Process a relation, if nobody has; returns why it failed, or an empty text."""
        models = (BY_PAIRS,) if self.judge is None else (BY_PAIRS, self.judge.name)
        key = WorkKey(
            document=document.id,
            parser=document.parser,
            element=self.ontology.elements[relation.element],
            prompt="",
            models=models,
            params={"pairs": self._version},
        ).digest
        work = self.work.lease(Work(key=key, document=document.id, element=element_of(relation)))
        if work is None:
            self.on_event(PaperBusy(source=document.source, reason="another process is working on it"))
        elif work.state != "leased":
            self.report.reused += 1
        else:
            return self._do(document, relation, work, record)
        return ""

    def _do(self, document: Document, relation: Relation, work: Work, record: PaperRun | None) -> str:
        found = candidates(document, relation, self.spotter)
        values = WorkValues()
        if self.judge is not None and record is not None:
            record.begin()
            journal = SqlJournal(self.kb.store, record.id)
            try:
                found = run_sync(self.judge.judge(found, relation, journal))
            except BudgetExceeded as error:
                self._broke(document, work, "over_budget", str(error))
                raise
            except ModelError as error:
                return self._broke(document, work, "failed_retryable", str(error))
            values = {"run_id": record.id, "called": journal.used}
        self._store(document, found, work, values)
        return ""

    def _broke(self, document: Document, work: Work, state: State, message: str) -> str:
        self.work.fail(work.key, state, message)
        self.report.states[state] += 1
        self.report.failed.append((document.source or document.id[:12], message))
        self.on_event(WorkFailed(source=document.source, reason=message, state=state))
        return message

    def _store(self, document: Document, found: Sequence[CandidatePair], work: Work, values: WorkValues) -> None:
        """Judge the pairs and replace the previous claims by them, in one transaction with the state of the work."""
        run_id = values.get("run_id", work.key[:16])
        records = judged(document, found, self.verifier, self.known, run_id=run_id)
        values["claims"] = ids = [record.claim.id for record in records]
        earlier = [w for w in self.work.live(document.id) if w.element == work.element and w.key != work.key]
        gone = sorted({claim for w in earlier for claim in w.claims} - set(ids))
        state: State = "done" if records else "done_empty"

        def finish(connection: Connection) -> None:
            self.work.finish(connection, work.key, state, **values)
            self.work.supersede(connection, [w.key for w in earlier])

        entities = {entity.id: entity for item in found for entity in item.entities}
        author = Author(role="explorer", model=BY_PAIRS, run_id=run_id, source=document.source)
        content = Write(records=records, entities=list(entities.values()), retired=gone)
        faults.point("before:curation.work")
        self.kb.write(content, key=f"work:{work.key}:{work.attempts}", author=author, also=finish)
        faults.point("after:curation.work")
        supported = sum(record.claim.status == "supported" for record in records)
        self.report.supported += supported
        self.report.unsupported += len(records) - supported
        self.report.retired += len(gone)
        self.report.states[state] += 1
        tokens, cost = (self.judge.meter.tokens, self.judge.meter.cost) if self.judge is not None else (0, 0.0)
        claims = self.report.supported
        self.on_event(WorkDone(source=document.source, state=state, claims=claims, tokens=tokens, cost=cost))


def element_of(relation: Relation) -> str:
    """The name of the work on a relation's pairs, distinct from that of questions about the relation."""
    return f"{BY_PAIRS}:{relation.element}"


def accepted_names(kb: KnowledgeBase) -> list[tuple[str, str, str, str]]:
    """The names of the ends of accepted claims, as entries of a lexicon: name, identifier, class, label."""
    entities: dict[str, Entity] = {entity.id: entity for entity in kb.entities()}
    found = {
        (name, id_, entities[id_].cls, name)
        for record in kb.records(status="accepted")
        for id_, names in record.names.items()
        if id_ in entities and entities[id_].groundable and not entities[id_].ambiguous and ":" in id_
        for name in names
    }
    return sorted(row for row in found if not row[1].startswith("name:"))
