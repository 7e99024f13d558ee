"""Papers on many processes: workers ask about them, and write what they found when the driver says it is their turn.

So the knowledge base and its ledger are those of one process, whichever answers come first. What a dead worker had
asked but not written is asked again by its replacement, with the answers from the journal of calls.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentkit import models
from agentkit.curation.curate import Curation, CurationOptions, Report
from agentkit.curation.documents import Document, Failure
from agentkit.curation.events import CurationEvent, PaperNotice, WorkDone
from agentkit.curation.extraction.duo import Naming
from agentkit.curation.extraction.plan import CurationPlan
from agentkit.curation.grounding.grounders import Grounders, Lexicon
from agentkit.curation.grounding.linker import open_naming
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.distributed.cluster import Cluster
from agentkit.distributed.shared import Shared, SharedLimits, SharedMeter
from agentkit.distributed.workers import Crew, Workers, in_a_line
from agentkit.errors import BudgetExceeded, UserError
from agentkit.graph.events import Event
from agentkit.models import Budget, Limits
from agentkit.models.caller import Retry
from agentkit.models.load import options_for
from agentkit.protocols import Recaller
from agentkit.settings import Settings
from agentkit.store import Store
from agentkit.store.owner import this_process

OpenRecallers = Callable[[KnowledgeBase, Settings], Sequence[Recaller]]
"""Opens the recallers of a curation, as `recallers_of` does; a function that workers can import."""


@dataclass(frozen=True)
class DuoNames:
    """The models of a curation, by name, so that every worker can load its own.

    Attributes:
        evaluator: None for a single pass.
        options: options of both models, such as the address of a server.
    """

    explorer: str
    evaluator: str | None
    options: dict[str, object]

    def load(self) -> tuple[Any, Any]:
        """Explorer and evaluator; the same object if they have the same name."""
        explorer = models.load_model(self.explorer, **options_for(self.explorer, self.options))
        if self.evaluator is None or self.evaluator == self.explorer:
            return explorer, self.evaluator and explorer
        return explorer, models.load_model(self.evaluator, **options_for(self.evaluator, self.options))


@dataclass(frozen=True, kw_only=True)
class PapersPlan:
    """What a worker curates with.

    Attributes:
        url: the database, with its password.
        lexicons: the lexicons that ground names, besides the tables, of which every machine has its own copy.
        tables: the version of those tables.
        decisions: the reviewers' decisions when the curation began, as counted by the driver.
        owner: the holder of the leases of this worker and its replacements.
        slots: the maximum number of model calls in flight.
    """

    url: str
    kb: str
    plan: CurationPlan
    duo: DuoNames
    lexicons: tuple[Lexicon, ...]
    tables: str
    naming_version: str
    options: CurationOptions
    recallers: OpenRecallers | None
    settings: Settings
    retry: Retry | None
    run_id: str
    decisions: int
    owner: str
    slots: int

    def naming(self) -> Naming:
        """The driver's lexicons with this machine's tables.

        Raises:
            UserError: this machine's tables differ from the driver's.
        """
        tables, version = open_naming(self.plan.ontology)
        if version != self.tables:
            line = "the name tables are not those of the machine that curates; run  agentkit kb tables --fetch  on both"
            raise UserError(f"{socket.gethostname()}: {line}")
        return replace(tables, grounders=(*self.lexicons, *tables.grounders))


@dataclass(frozen=True, kw_only=True)
class PaperAnswers:
    """The outcome of asking about a paper.

    Attributes:
        report: its report without claims, which are counted when they are written.
        found: the number of supported claims.
        whole: False if the shared budget cut the paper off.
    """

    report: Report
    events: list[CurationEvent]
    found: int
    whole: bool


class PaperWorker:
    """The actor that curates papers, each as a separate curation of the same knowledge base."""

    def __init__(self, plan: PapersPlan, purse: Any = None) -> None:
        self._plan, self._purse = plan, purse
        self._make: Callable[[], Curation] | None = None
        self._asked: dict[int, tuple[Curation, Any]] = {}

    async def ask(self, document: Document, number: int) -> PaperAnswers:
        """Ask the plan's questions about a paper, and hold the results back until `write`.

        Raises:
            UserError: an error that would fail every paper, reduced to its line, which can be sent to the driver.
        """
        with in_a_line():
            if self._make is None:
                self._make = self._maker()
            run, events = self._make(), list[CurationEvent | Event]()
            run.on_event = events.append
            paper = await run.ask(document)
            self._asked[number] = (run, paper)
        run.report.calls, run.report.tokens, run.report.cost = run.meter.calls, run.meter.tokens, run.meter.cost
        notices: list[CurationEvent] = [event for event in events if isinstance(event, PaperNotice)]
        return PaperAnswers(report=run.report, events=notices, found=run.found, whole=not paper.cut_off)

    async def write(self, number: int) -> Report | None:
        """Write the results for a paper, and return its report; None if this process has not asked about it.

        Raises:
            UserError: the database can't be written.
        """
        if number not in self._asked:
            return None
        run, paper = self._asked[number]
        run.report = Report()  # what was asked has already been reported
        with in_a_line():
            run.write(paper)
        del self._asked[number]
        return run.report

    def _maker(self) -> Callable[[], Curation]:
        """A factory of curations, one per paper, which share a store, models, limits and recallers."""
        plan, purse = self._plan, self._purse
        store, naming = Store.open(plan.url), plan.naming()
        explorer, evaluator = plan.duo.load()
        recallers = plan.recallers(KnowledgeBase(store, plan.kb), plan.settings) if plan.recallers else ()
        limits = Limits(plan.slots) if purse is None else SharedLimits(purse, plan.slots, error=BudgetExceeded)

        def make() -> Curation:
            run = Curation(
                KnowledgeBase(store, plan.kb),
                plan.plan,
                explorer=explorer,
                evaluator=evaluator,
                naming=naming,
                naming_version=plan.naming_version,
                options=plan.options,
                recallers=recallers,
                retry=plan.retry,
                limits=limits,
                run_id=plan.run_id,
                owner=plan.owner,
            )
            run.decisions = plan.decisions
            run.meter = run.meter if purse is None else SharedMeter(purse, Budget())
            return run

        return make


class PaperCrew:
    """The workers of one curation; `Curation` takes them as its readers.

    Args:
        run: the curation, whose papers they ask about and write.
        recallers: opens the recallers of each worker; those of `run` are not sent.

    Raises:
        UserError: only this process can ground the names, or workers can't reach the database.
    """

    def __init__(
        self,
        cluster: Cluster,
        run: Curation,
        duo: DuoNames,
        settings: Settings,
        *,
        per_minute: float | None = None,
        recallers: OpenRecallers | None = None,
    ) -> None:
        crew = Crew.of(cluster, (duo.explorer, duo.evaluator), run.options.papers, settings)
        shared = Shared(per_minute=per_minute, budget=run.options.run_budget)
        plan = PapersPlan(
            url=cluster.check_store(run.kb.store.engine.url.render_as_string(hide_password=False)),
            kb=run.kb.name,
            plan=run.plan,
            duo=duo,
            lexicons=_lexicons(run.naming),
            tables=open_naming(run.plan.ontology)[1],
            naming_version=run.naming_version,
            options=replace(run.options, run_budget=Budget()),
            recallers=recallers,
            settings=settings,
            retry=run.retry,
            run_id=run.run_id,
            decisions=run.decisions,
            owner="",
            slots=crew.slots,
        )
        plans = [replace(plan, owner=f"{this_process()}:{number}") for number in range(crew.count)]
        run.work.free()
        self._workers = Workers(cluster, PaperWorker, plans, crew, shared)
        self._at: dict[int, int] = {}

    async def ask(self, run: Curation, document: Document, number: int) -> bool:
        """Give a paper to the least busy worker; False if the shared budget cut it off."""
        worker = self._at[number] = self._workers.take()
        try:
            asked: PaperAnswers = await self._workers.ask(worker, document.source, "ask", document, number)
        finally:
            self._workers.leave(worker)
        run.report.add(asked.report)
        run.found += asked.found
        for event in asked.events:
            run.on_event(event)
        claims, tokens, cost = run.found, run.report.tokens, run.report.cost
        run.on_event(WorkDone(source=document.source, state="done", claims=claims, tokens=tokens, cost=cost))
        if asked.report.states["over_budget"]:
            run.report.stopped = run.report.stopped or await self._workers.spent()
        return asked.whole

    async def write(self, run: Curation, document: Document, number: int) -> None:
        """Let the worker that asked about a paper, or its replacement, write it."""
        worker = self._at.pop(number)
        while (written := await self._workers.ask(worker, document.source, "write", number)) is None:
            await self._workers.ask(worker, document.source, "ask", document, number)
        run.report.add(written)

    def let_go(self) -> None:
        """Do nothing: leases are held in the name of this process, and end with it."""


async def curate_on(
    cluster: Cluster,
    run: Curation,
    documents: Iterable[Document | Failure],
    duo: DuoNames,
    settings: Settings,
    *,
    per_minute: float | None = None,
    recallers: OpenRecallers | None = None,
) -> Report:
    """`Curation.run` on a cluster: the same knowledge base, and the same ledger.

    Args:
        run: the curation; `run.options.papers` papers are in progress at once over all workers, which share its budget.
            Its `on_event` receives a paper's notices and the totals, but no events of the state machine.
        duo: the names of its models, which every worker loads for itself.
        settings: the workers' settings; `concurrency` is divided among workers with hosted models.
        per_minute: the most model calls that all workers together start per minute.
        recallers: opens the recallers of each worker; those of `run` are not sent.

    Raises:
        UserError: an error that would fail every paper, or a curation or database that workers can't use.
        RunError: workers die again and again.
    """
    run.readers = PaperCrew(cluster, run, duo, settings, per_minute=per_minute, recallers=recallers)
    return await run.run(documents)


def _lexicons(naming: Naming) -> tuple[Lexicon, ...]:
    if not isinstance(naming, Grounders):
        raise UserError("Ray's workers ground names by lexicons and tables only: give the curation `open_naming(…)`")
    return tuple(each for each in naming.grounders if isinstance(each, Lexicon))
