"""The curation run: papers and a plan in, a knowledge base out. Durable, within budgets; redoes only changes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Protocol

from langchain_core.language_models import BaseChatModel
from sqlalchemy import Connection

from agentkit import faults
from agentkit.aio import Turns
from agentkit.curation.claims import Entity, digest
from agentkit.curation.documents import Document, Failure
from agentkit.curation.events import (
    OnCuration,
    PaperBusy,
    PaperRead,
    PaperStopped,
    PaperTooLong,
    PaperUnread,
    WorkDone,
    WorkFailed,
    silent,
)
from agentkit.curation.extraction.answers import MAX_ITEMS
from agentkit.curation.extraction.directions import DIRECTIONS, DirectionJudge
from agentkit.curation.extraction.duo import Duo, Naming, Part, QuestionOutcome, curate_item, records_of
from agentkit.curation.extraction.findings import Finding, Findings, findings_of
from agentkit.curation.extraction.passages import PAPER_LIMIT, reading
from agentkit.curation.extraction.plan import CurationPlan, PlanStep
from agentkit.curation.extraction.prompts import PROMPT_VERSION, Question, explorer_messages, question_text, render
from agentkit.curation.kb.knowledge_base import Author, KnowledgeBase, Write
from agentkit.curation.kb.records import BY_PAIRS, merged
from agentkit.curation.kb.work import State, Work, WorkKey, WorkLog
from agentkit.curation.paper_run import PaperRun
from agentkit.errors import AgentKitError, BudgetExceeded, ModelError
from agentkit.graph.nodes.recall import recalled
from agentkit.json_types import JsonObject
from agentkit.models.budget import Budget, Meter, Usage
from agentkit.models.caller import Caller, Retry, model_name
from agentkit.models.journal import SqlJournal
from agentkit.models.limits import Limits
from agentkit.protocols import Learnt, Recaller
from agentkit.store.run_log import RunLog
from agentkit.tasks import Task

CHECKS = 2
"""Version of the checks of claims; a new number has earlier answers checked again, from the journal of calls."""


@dataclass(frozen=True, kw_only=True)
class CurationOptions:
    """How papers are curated.

    Attributes:
        max_rounds: the most answers that the explorer may give to one question.
        around: sentences on each side of a quote that may help to support its claim.
        paper_limit: papers of up to this many characters are read whole.
        papers: papers in progress at once.
        paper_budget, run_budget: limits of one paper and of the whole run.
        floor, patience: early stopping: a paper is left when its last `patience` questions gave fewer than `floor`
            verified claims per 1,000 tokens; 0 never stops early.
        retry_failed: retry questions that failed for good in an earlier run.
        ask_anew: repeat questions that were answered with other learnt context; if off, what has been learnt since
            helps only with new questions.
        evaluator_vetoes: whether an objection that still stands at the end makes a claim unsupported.
        max_items: the most items in the list of one answer.
    """

    max_rounds: int = 2
    around: int = 0
    paper_limit: int = PAPER_LIMIT
    papers: int = 4
    paper_budget: Budget = field(default_factory=Budget)
    run_budget: Budget = field(default_factory=Budget)
    floor: float = 0.0
    patience: int = 4
    retry_failed: bool = False
    ask_anew: bool = True
    evaluator_vetoes: bool = True
    max_items: int = MAX_ITEMS


@dataclass
class Report:
    """What a run did: papers, questions and claims by outcome, usage, and seconds."""

    papers: int = 0
    unread: list[Failure] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    reused: int = 0
    supported: int = 0
    unsupported: int = 0
    retired: int = 0
    calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    stopped: str = ""

    @property
    def answered(self) -> int:
        """The number of questions that were answered, if only with nothing found."""
        return self.states["done"] + self.states["done_empty"]

    def add(self, other: Report) -> None:
        """Add what another process did; the seconds remain those of this process."""
        for name, value in vars(other).items():
            if name not in ("seconds", "stopped"):
                setattr(self, name, getattr(self, name) + value)

    def to_json(self) -> JsonObject:
        rows = {"unread": [vars(failure) for failure in self.unread], "failed": [list(pair) for pair in self.failed]}
        return vars(self) | rows | {"states": dict(self.states), "seconds": round(self.seconds, 2)}


class _PaperMeter(Meter):
    """Charges a paper's budget and the run's; either may stop a call."""

    def __init__(self, budget: Budget, run: Meter, **used: Any) -> None:
        super().__init__(budget, **used)
        self._run = run

    def check(self, after: Exception | None = None) -> None:
        self._run.check(after)
        super().check(after)

    @property
    def left(self) -> float | None:
        both = [left for left in (self._run.left, super().left) if left is not None]
        return min(both, default=None)

    def charge(self, usage: Usage) -> None:
        super().charge(usage)
        self._run.charge(usage)


class Readers(Protocol):
    """Asks about papers and writes them, here or in other processes. `number` is a paper's position among all."""

    async def ask(self, run: Curation, document: Document, number: int) -> bool:
        """Like `Curation.ask`, counted in the report of `run`; returns False if the run's budget cut the paper off."""
        ...

    async def write(self, run: Curation, document: Document, number: int) -> None:
        """Like `Curation.write`, for a paper that was asked about."""
        ...

    def let_go(self) -> None:
        """The run has ended: release papers that are not written to whoever resumes it."""
        ...


class _Here:
    """The readers of one process."""

    def __init__(self) -> None:
        self._asked: dict[int, _Paper] = {}

    async def ask(self, run: Curation, document: Document, number: int) -> bool:
        paper = self._asked[number] = await run.ask(document)
        return not paper.cut_off

    async def write(self, run: Curation, document: Document, number: int) -> None:
        run.write(self._asked.pop(number))

    def let_go(self) -> None:
        for paper in self._asked.values():
            paper.let_go()


class Curation:
    """One run over papers.

    Several papers are asked about at once, and the results of each are written once all papers before it have been
    written, so the ledger is the same whichever answers come first. A paper that was cut off before it was written, by
    a kill or by the run's budget, is asked about again from the journal of calls; the papers after it wait for it.

    Args:
        kb: the knowledge base that it fills.
        plan: the questions and their order.
        explorer, evaluator: models; without an evaluator there is a single pass.
        naming: turns names into entities.
        naming_version: changes when `naming` would name differently; part of every work key.
        recallers: playbook and case memory, which receive the relation as the task's category.
        run_id: distinguishes the random draws of recallers from those of other curations of the same papers.
        on_event: receives events as they happen: those of `agentkit.curation.events`, and those of the state machine
            (`agentkit.graph.events`) through which every question passes.
        readers: ask and write in other processes; None does both in this process.
    """

    def __init__(
        self,
        kb: KnowledgeBase,
        plan: CurationPlan,
        *,
        explorer: BaseChatModel,
        evaluator: BaseChatModel | None,
        naming: Naming,
        naming_version: str = "",
        options: CurationOptions | None = None,
        recallers: Sequence[Recaller] = (),
        on_event: OnCuration = silent,
        retry: Retry | None = None,
        limits: Limits | None = None,
        run_id: str = "",
        owner: str = "",
        readers: Readers | None = None,
    ) -> None:
        self.kb, self.plan, self.explorer, self.evaluator = kb, plan, explorer, evaluator
        self.naming, self.naming_version = naming, naming_version
        self.options = options or CurationOptions()
        self.recallers, self.on_event = recallers, on_event
        self.retry, self.limits = retry, limits or Limits(concurrency=self.options.papers)
        self.run_id, self.runs = run_id, RunLog(kb.store)
        self.work = WorkLog(kb.store, kb.name, owner=owner)
        self.meter = self.options.run_budget.start()
        self.report = Report()
        self.readers = readers or _Here()
        self.directions = DirectionJudge()
        self._turns = Turns()
        self._cut_off = False
        self.found = 0
        """Supported claims so far, including those not written yet."""

    @cached_property
    def decisions(self) -> int:
        """The number of reviewers' decisions when the run began; after further decisions, recall chooses again."""
        return len(self.kb.reviews())

    async def run(self, documents: Iterable[Document | Failure]) -> Report:
        """Curate every paper; a paper that can't be read or fails is reported, and the others continue.

        Raises:
            AgentKitError: an error that would fail every other paper too, such as an unavailable store.
        """
        started = time.monotonic()
        waiting = iter(documents)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(max(1, self.options.papers)):
                    group.create_task(self._take(waiting, group))
        except ExceptionGroup as failures:  # before 3.11.4, what `except*` raises is wrapped in a group again
            known, others = failures.split(AgentKitError)
            if known is None or others is not None:
                raise
            raise known.exceptions[0] from None
        finally:
            self.readers.let_go()
        self._sweep()
        report = self.report
        report.calls += self.meter.calls
        report.tokens += self.meter.tokens
        report.cost += self.meter.cost
        report.seconds = time.monotonic() - started
        return report

    async def _take(self, waiting: Iterator[Document | Failure], group: asyncio.TaskGroup) -> None:
        while not self.report.stopped and (document := next(waiting, None)) is not None:
            if isinstance(document, Failure):
                self.report.unread.append(document)
                self.on_event(PaperUnread(source=document.source, reason=document.reason))
                continue
            number = self._turns.take()
            whole = await self.readers.ask(self, document, number)
            group.create_task(self._write_in_turn(document, number, whole=whole))

    async def _write_in_turn(self, document: Document, number: int, *, whole: bool) -> None:
        async with self._turns.turn(number):
            self._cut_off = self._cut_off or not whole
            if self._cut_off:
                reason = "the budget is used up: answers are kept, and are written when the curation continues"
                self.on_event(PaperStopped(source=document.source, reason=reason))
                return
            await self.readers.write(self, document, number)
        self.report.papers += 1
        self.on_event(PaperRead(source=document.source, id=document.id, title=document.title))

    async def ask(self, document: Document) -> _Paper:
        """Ask all of the plan's questions about a paper; the results are held back until `write`."""
        self.kb.add_document(document)
        paper = _Paper(self, document)
        try:
            paper.whole = await paper.run()
        except BaseException:
            paper.let_go()
            raise
        return paper

    def write(self, paper: _Paper) -> None:
        """Write the results for a paper, and how its run ended."""
        with paper.record.ended_by_errors():
            paper.write()
            self.report.supported += paper.supported
            self.report.unsupported += paper.unsupported
            if paper.whole:
                self.report.retired += self._retire(paper.document, paper.asked)
        paper.end()

    def _retire(self, document: Document, asked: Sequence[str]) -> int:
        """Close the claims of questions that this plan no longer asks, except those that a person decided about."""
        works = list(self.work.live(document.id))
        keep = set(asked)
        old = [work for work in works if work.key not in keep and not work.element.startswith(f"{BY_PAIRS}:")]
        if not old:
            return 0
        kept = {claim for work in works if work not in old for claim in work.claims}
        gone = sorted({claim for work in old for claim in work.claims} - kept)
        keys = [work.key for work in old]
        self.kb.write(
            Write(retired=gone),
            key=f"retire:{digest(document.id, keys, gone, self.kb.version)}",
            author=Author(role="curator", source=document.source, note="no longer asked by the plan"),
            also=lambda connection: self.work.supersede(connection, keys),
        )
        return len(gone)

    def _sweep(self) -> None:
        """After retiring claims: drop entities that no claim names any more, and relabel the others by what is left."""
        if not self.work.any_superseded():
            return
        named: dict[str, Entity] = {}
        for work in self.work.live():
            for row in work.findings:
                entity = Entity.from_json(row["entity"])
                named[entity.id] = merged(named[entity.id], entity) if entity.id in named else entity
        self.kb.sweep_entities(named)


@dataclass(frozen=True, kw_only=True)
class _Used:
    """The usage of a paper at the time when a question was asked."""

    calls: int
    tokens: int
    cost: float


class _Paper:
    """One paper and its progress through the plan."""

    def __init__(self, run: Curation, document: Document) -> None:
        self.run_, self.document = run, document
        self.findings = Findings()
        self.asked: list[str] = []
        used = list(run.work.live(document.id))
        self.meter = _PaperMeter(
            run.options.paper_budget,
            run.meter,
            calls=sum(w.calls for w in used),
            tokens=sum(w.tokens for w in used),
            cost=sum(w.cost for w in used),
        )
        self.yields: list[tuple[int, int]] = []
        self.whole = self.cut_off = False
        self.supported = self.unsupported = 0
        self.problem = ""
        self._held: dict[str, tuple[Callable[[], None], JsonObject]] = {}
        model, chosen = model_name(run.explorer), asdict(run.options)
        self.record = PaperRun(run.runs, run.kb.name, document, model=model, options=chosen, emit=run.on_event)

    def write(self) -> None:
        """Write the results of its questions, in their order."""
        while self._held:
            key = next(iter(self._held))
            self._held[key][0]()
            del self._held[key]

    def end(self) -> None:
        """Record how its run ended, once everything is written."""
        summary = partial(summary_of, self.run_.kb, self.document)
        if self.whole:
            self.record.end("done", answer=summary)
        else:
            self.record.end("failed", answer=summary, error=self.problem or "another process is working on it")

    def let_go(self) -> None:
        """Release work that is not written, so that whoever resumes it need not wait for a lease."""
        for key, (_, used) in self._held.items():
            self.run_.work.fail(key, "pending", "", **used)
        self._held.clear()
        self.record.end("interrupted", error=self.problem or None)

    async def run(self) -> bool:
        """Ask the plan's questions as one run; returns whether every question got an answer."""
        with self.record.ended_by_errors():
            whole = await self._ask_all()
        self.record.asked()
        return whole

    async def _ask_all(self) -> bool:
        """Ask the plan's questions in order; returns whether every question got an answer."""
        size, limit = len(self.document.text), self.run_.options.paper_limit
        if size > limit:
            reason = f"{size:,} characters: each question gets the {limit:,} that fit it best"
            self.run_.on_event(PaperTooLong(source=self.document.source, reason=reason))
        for step in self.run_.plan.steps:
            for subjects in list(self.findings.forks(step)):
                if _exhausted(self.yields, self.run_.options):
                    self.run_.on_event(PaperStopped(source=self.document.source, reason="few new claims"))
                    return True
                work = await self._question(step, subjects)
                if work is None or not work.finished:
                    return False
                self.findings.add(Finding.from_json(row) for row in work.findings)
        return True

    async def _question(self, step: PlanStep, subjects: tuple[Entity, ...]) -> Work | None:
        """Do one piece of work, unless it is already done; None if another process is working on it."""
        run = self.run_
        question = self._asked(step, subjects)
        bare = _key(run, self.document, question)
        known = None if run.options.ask_anew else run.work.answered(self.document.id, bare)
        if known is None:
            question = await self._with_context(question)
        wanted = known or Work(
            key=_key(run, self.document, question) if question.blocks else bare,
            document=self.document.id,
            element=step.element,
            subject=" · ".join(subject.id for subject in subjects),
            question=bare,
        )
        self.asked.append(wanted.key)
        work = run.work.lease(wanted, again=run.options.retry_failed)
        if work is None:
            run.on_event(PaperBusy(source=self.document.source, reason="another process is working on it"))
            return None
        if work.state != "leased":
            run.report.reused += 1
            self.yields.append((len(work.claims), work.tokens))
            if not work.finished:
                self._failed(work.error, "failed_final")
            return work
        return await self._do(work, question, subjects)

    def _asked(self, step: PlanStep, subjects: tuple[Entity, ...]) -> Question:
        """The question without any learnt context."""
        names = tuple(subject.label for subject in subjects)
        bare = Question(
            step=step,
            ontology=self.run_.plan.ontology,
            document=self.document,
            paper="",
            subjects=names,
            context=self.findings.context(step, subjects),
        )
        return replace(bare, paper=reading(self.document, question_text(bare), limit=self.run_.options.paper_limit))

    async def _with_context(self, question: Question) -> Question:
        """The question with its learnt context, which is then fixed for the state machine's first node: it is part of
        the work's key, so recall comes before leasing the work."""
        run, text = self.run_, question_text(question)
        task = Task(id=f"{self.document.id[:16]}:{question.step.element}", input=text, metadata=scope_of(question.step))
        run_id = f"curate-{digest(run.run_id, run.kb.name, run.decisions, task.id, text, length=20)}"
        found = await recalled(run.recallers, task, run_id=run_id)
        return replace(question, blocks=tuple(block for block in found if block.text))

    async def _do(self, work: Work, question: Question, subjects: tuple[Entity, ...]) -> Work:
        """Take the question through the state machine; the learning node holds its claims back."""
        run, record = self.run_, self.record
        record.begin()
        journal = SqlJournal(run.kb.store, record.id)
        before = _Used(calls=self.meter.calls, tokens=self.meter.tokens, cost=self.meter.cost)
        duo, stored = _duo(run, self.meter, journal), list[Work]()

        def keep(outcome: QuestionOutcome) -> Learnt:
            values = self._used(work, before) | {"called": journal.used} | self._behind(question)
            stored.append(self._store(work, question, outcome, duo, values))
            return Learnt(status="applied" if stored[0].claims else "nothing")

        scope = question.step.element[:80] + (f"/{work.attempts}" if run.options.retry_failed else "")
        part = Part(run_id=record.id, emit=run.on_event, keep=keep)
        try:
            await curate_item(question, subjects, duo, run.naming, scope=scope, part=part)
        except BudgetExceeded as error:
            return self._broke(work, "over_budget", error, before)
        except ModelError as error:
            return self._broke(work, "failed_retryable" if error.retryable else "failed_final", error, before)
        except asyncio.CancelledError:
            used = self._used(work, before)
            run.work.fail(work.key, "pending", "", **used)  # whoever resumes it need not wait for the lease
            raise
        return stored[0]

    def _behind(self, question: Question) -> JsonObject:
        """The provenance of an answer: its run and the recalled context."""
        kept = ("kind", "target", "version", "text", "offers")
        recalled = [{name: block.to_json()[name] for name in kept} for block in question.blocks]
        return {"run_id": self.record.id, "recalled": recalled}

    def _store(self, work: Work, question: Question, outcome: QuestionOutcome, duo: Duo, values: JsonObject) -> Work:
        """Hold back claims, findings and the state of the work, to be written in one transaction."""
        run = self.run_
        model = model_name(run.explorer)
        records = records_of(outcome, question, duo, run_id=self.record.id, model=model)
        self.record.rounds = max(self.record.rounds, outcome.rounds)
        found = findings_of(outcome.items, question.step)
        ends = {item.subject.id: item.subject for item in outcome.items if item.subject is not None}
        named = {item.value.id: item.value for item in outcome.items if item.subject or item.evidence}
        state: State = "done" if records or found else "done_empty"
        values = values | {
            "findings": [finding.to_json() for finding in found],
            "claims": [record.claim.id for record in records],
            "rounds": outcome.rounds,
        }

        def finish(connection: Connection) -> None:
            run.work.finish(connection, work.key, state, **values)

        content = Write(records=records, entities=[*ends.values(), *named.values()])
        author = Author(role="explorer", model=model, run_id=self.record.id, source=self.document.source)

        def write() -> None:
            faults.point("before:curation.work")
            run.kb.write(content, key=f"work:{work.key}:{work.attempts}", author=author, also=finish)
            faults.point("after:curation.work")

        self._held[work.key] = write, {name: values[name] for name in ("calls", "tokens", "cost")}
        supported = sum(record.claim.status == "supported" for record in records)
        self.supported += supported
        run.found += supported
        self.unsupported += len(records) - supported
        run.report.states[state] += 1
        self.yields.append((supported, values["tokens"]))
        self._tell(state)
        return Work(**{**vars(work), **values, "state": state})

    def _broke(self, work: Work, state: State, error: Exception, before: _Used) -> Work:
        message = str(error)
        self.run_.work.fail(work.key, state, message, **self._used(work, before))
        self.run_.report.states[state] += 1
        self._failed(message, state)
        if state == "over_budget":
            self.cut_off = not self.meter.spent  # by the paper's own budget: then it is written
            self.run_.report.stopped = self.run_.meter.spent or self.run_.report.stopped
        return Work(**{**vars(work), "state": state, "error": message})

    def _used(self, work: Work, before: _Used) -> JsonObject:
        """The usage of a question: since `before`, plus that of earlier attempts that were cut off."""
        return {
            "calls": work.calls + self.meter.calls - before.calls,
            "tokens": work.tokens + self.meter.tokens - before.tokens,
            "cost": work.cost + self.meter.cost - before.cost,
        }

    def _failed(self, message: str, state: State) -> None:
        self.problem = message
        self.run_.report.failed.append((self.document.source or self.document.id[:12], message))
        self.run_.on_event(WorkFailed(source=self.document.source, reason=message, state=state))

    def _tell(self, state: State) -> None:
        run = self.run_
        claims, tokens, cost = run.found, run.meter.tokens, run.meter.cost
        run.on_event(WorkDone(source=self.document.source, state=state, claims=claims, tokens=tokens, cost=cost))


def summary_of(kb: KnowledgeBase, document: Document) -> str:
    """The results of a paper, in words."""
    counted = Counter(claim.status for claim in kb.claims(document=document.id))
    return ", ".join(f"{count} {status}" for status, count in sorted(counted.items())) or "no claims"


def _exhausted(yields: Sequence[tuple[int, int]], options: CurationOptions) -> bool:
    """Whether a paper's last questions gave too few claims for their tokens; see `CurationOptions.floor`."""
    last = yields[-options.patience :]
    tokens = sum(tokens for _, tokens in last)
    few = sum(claims for claims, _ in last) * 1000 < options.floor * tokens
    return bool(options.floor and len(last) == options.patience and tokens and few)


def _key(run: Curation, document: Document, question: Question) -> str:
    """The key of the work on a question, including its learnt context."""
    options = run.options
    models = tuple(model_name(model) for model in (run.explorer, run.evaluator) if model is not None)
    return WorkKey(
        document=document.id,
        parser=document.parser,
        element=run.plan.ontology.elements[question.step.element],
        prompt=digest(PROMPT_VERSION, render(explorer_messages(question))),
        models=models,
        playbook=tuple(f"{block.target}@{digest(block.text, length=16)}" for block in question.blocks),
        params={
            "rounds": options.max_rounds,
            "around": options.around,
            "vetoes": options.evaluator_vetoes,
            "naming": run.naming_version,
            "evaluated": run.evaluator is not None,
            "items": options.max_items,
            "checks": CHECKS,
            **({"directions": DIRECTIONS} if _by_verdict(run, question) else {}),
        },
    ).digest


def _by_verdict(run: Curation, question: Question) -> bool:
    """Whether verdicts decide the direction of what a question finds."""
    return run.directions.judges(Caller(run.explorer), question.step.relation)


def _duo(run: Curation, meter: Meter, journal: SqlJournal) -> Duo:
    """The explorer and evaluator of a run, whose calls are charged to the meter and kept in the journal."""
    options = run.options

    def caller(model: BaseChatModel) -> Caller:
        return Caller(model, journal=journal, budget=meter, retry=run.retry, limits=run.limits)

    return Duo(
        explorer=caller(run.explorer),
        evaluator=None if run.evaluator is None else caller(run.evaluator),
        max_rounds=options.max_rounds,
        around=options.around,
        evaluator_vetoes=options.evaluator_vetoes,
        max_items=options.max_items,
        directions=run.directions,
    )


def scope_of(step: PlanStep) -> JsonObject:
    """A step's metadata for learning: playbooks and memories separate what they know by relation (`category`)."""
    return {"category": step.key, "element": step.element, "concept": step.concept.name}
