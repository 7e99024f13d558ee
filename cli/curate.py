"""`agentkit curate`: from a folder of papers and an ontology to a knowledge base."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentkit.cli import stopping
from agentkit.cli.agent_options import Model, spelt_out
from agentkit.cli.elsewhere import Elsewhere, with_elsewhere
from agentkit.cli.output import JSON_HELP, emit, note, open_settings, open_store, print_table, say
from agentkit.errors import RunError, UserError
from agentkit.json_types import JsonObject
from agentkit.text import printable

if TYPE_CHECKING:
    from agentkit.curation.curate import Curation, CurationOptions, Report
    from agentkit.curation.documents import Document, Failure
    from agentkit.curation.documents.reading import PdfReader
    from agentkit.curation.events import CurationEvent
    from agentkit.curation.extraction.plan import CurationPlan
    from agentkit.curation.extraction.verdicts import PairJudge
    from agentkit.curation.kb.knowledge_base import KnowledgeBase
    from agentkit.curation.pairing import PairCuration
    from agentkit.distributed import Cluster
    from agentkit.distributed.papers import OpenRecallers
    from agentkit.graph.events import Event
    from agentkit.settings import Settings

app = typer.Typer()


@dataclass(frozen=True, kw_only=True)
class AskingOptions:
    """How the questions about a paper are asked, and what they may cost; see `CurationOptions`."""

    rounds: Annotated[int, typer.Option(min=1, help="How many answers the explorer may try for one question.")] = 2
    around: Annotated[int, typer.Option(min=0, help="Sentences around a quote that may also support its claim.")] = 0
    items: Annotated[
        int, typer.Option(min=1, help="Items that one answer may list; fewer for small models that repeat.")
    ] = 20
    papers: Annotated[int, typer.Option(min=1, help="Papers processed at once.")] = 4
    paper_tokens: Annotated[int | None, typer.Option(min=1, help="Token budget of one paper.")] = None
    tokens: Annotated[int | None, typer.Option(min=1, help="Token budget of the run.")] = None
    cost: Annotated[float | None, typer.Option(min=0, help="Budget of the run in US dollars.")] = None
    floor: Annotated[float, typer.Option(min=0, help="Stop a paper below this many new claims per 1,000 tokens.")] = 0.0
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Retry the questions that failed permanently.")
    ] = False
    anew: Annotated[
        bool, typer.Option("--anew", help="Ask answered questions again if reviewers have taught more since.")
    ] = False

    def given(self) -> dict[str, object]:
        """What differs from the defaults, by option."""
        own = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {f"--{name.replace('_', '-')}": value for name, (value, usual) in own.items() if value != usual}

    def chosen(self) -> CurationOptions:
        from agentkit.curation.curate import CurationOptions
        from agentkit.models.budget import Budget

        return CurationOptions(
            max_rounds=self.rounds,
            around=self.around,
            papers=self.papers,
            floor=self.floor,
            retry_failed=self.retry_failed,
            ask_anew=self.anew,
            max_items=self.items,
            paper_budget=Budget(tokens=self.paper_tokens),
            run_budget=Budget(tokens=self.tokens, cost=self.cost),
        )


with_asking = spelt_out("asking", AskingOptions, [field.name for field in fields(AskingOptions)])
"""A command whose parameter `asking` is an `AskingOptions`, spelt out as options of its own."""


@app.command()
@with_asking
@with_elsewhere
def curate(
    folder: Annotated[Path, typer.Argument(help="The papers: a folder, an archive or a file.")],
    *,
    ontology: Annotated[Path, typer.Option(help="The ontology: AgentKit's short YAML form, or a LinkML schema.")],
    kb: str = typer.Option("default", help="The knowledge base to fill."),
    model: Model = None,
    evaluator_model: str | None = typer.Option(
        None,
        help="The evaluator's model; 'none' for a single pass. Default: the same model if it is hosted, else none.",
    ),
    plan: bool = typer.Option(False, "--plan", help="Print order, context, prompts and tokens; call no model."),
    limit: int | None = typer.Option(None, min=1, help="Read at most this many papers."),
    pdf: str = typer.Option("pypdf", help="How PDF is read: pypdf (text), or docling (columns and tables; slow)."),
    lexicon: Annotated[Path | None, typer.Option(help="Names and identifiers for grounding (TSV or CSV).")] = None,
    hops: int = typer.Option(2, min=0, help="How many hops of the ontology count as context."),
    recall: bool = typer.Option(True, help="Show the explorer what reviewers decided and wrote, by relation."),
    asking: AskingOptions,
    pairs: bool = typer.Option(False, "--pairs", help="Judge pairs of known names; --model adds one-word verdicts."),
    there: Elsewhere,
    json_: bool = typer.Option(False, "--json", help=JSON_HELP),
) -> None:
    """Build a knowledge base in which every claim carries an exact quote. Run again, it continues where it stopped."""
    reader = _reader(pdf)
    from agentkit.curation.extraction.plan import make_plan
    from agentkit.curation.ontology.files import load_ontology

    made = make_plan(load_ontology(ontology), hops=hops)
    if pairs:
        given = {"--plan": plan, "--no-recall": not recall, "--evaluator-model": evaluator_model, "--ray": there.ray}
        _check_pairs({**given, **asking.given()}, model)
        judge = None if model is None else _judge(model, asking)
        _end(_run_pairs(made, _documents(folder, limit, reader), kb, lexicon, judge, quiet=json_), kb, json_=json_)
        return
    if plan:
        _print_plan(made, _documents(folder, limit, reader), json_=json_)
        return
    read, duo = partial(_documents, folder, limit, reader), (model, evaluator_model)
    report = _run(made, read, kb, duo, lexicon, asking.chosen(), there, recall=recall, quiet=json_)
    _end(report, kb, json_=json_)


def _end(report: Report, kb: str, *, json_: bool) -> None:
    """Print what a run did, and fail if a budget stopped it or nothing was answered."""
    emit(report.to_json() | {"kb": kb}, json_=json_, human=lambda data: _print_report(report, kb))
    if report.stopped:
        raise typer.Exit(3)
    if report.failed and not report.answered:
        reason = report.failed[-1][1]
        raise RunError(f"no question was answered, the last because of {reason}; run the same command again")


def _check_pairs(given: dict[str, object], model: str | None) -> None:
    """With --pairs no question is asked, so options about questions or workers would do nothing: refuse them."""
    budget = {name: given.pop(name, None) for name in ("--tokens", "--cost")}
    if name := next((name for name, value in given.items() if value), None):
        raise UserError(f"--pairs asks no questions: leave out {name}")
    if model is None and (name := next((name for name, value in budget.items() if value), None)):
        raise UserError(f"--pairs calls no model unless --model names one: leave out {name}")


def _judge(model: str, asking: AskingOptions) -> PairJudge:
    from agentkit.agent.building import chosen_options
    from agentkit.curation.extraction.verdicts import PairJudge
    from agentkit.models import Limits, load_model
    from agentkit.models.load import options_for

    settings = open_settings(model=model)
    opened = load_model(settings.model, **options_for(settings.model, chosen_options(settings, None)))
    meter, limits = asking.chosen().run_budget.start(), Limits(concurrency=settings.concurrency)
    return PairJudge(opened, meter=meter, limits=limits)


def _run_pairs(
    plan: CurationPlan,
    documents: list[Document | Failure],
    name: str,
    lexicon: Path | None,
    judge: PairJudge | None,
    *,
    quiet: bool,
) -> Report:
    from agentkit.curation.grounding.linker import open_naming
    from agentkit.curation.kb.knowledge_base import KnowledgeBase
    from agentkit.curation.pairing import PairCuration

    grounders, version = open_naming(plan.ontology, lexicon=lexicon)
    with closing(open_store()) as store:
        kb = KnowledgeBase(store, name)
        run = PairCuration(kb, plan.ontology, grounders=grounders, naming_version=version, judge=judge)
        stopping.go_on_with_this_command()
        with _Progress(run, len(documents), quiet=quiet):
            return run.run(documents)


def _reader(pdf: str) -> PdfReader:
    if pdf == "docling":
        return "docling"
    if pdf != "pypdf":
        raise UserError(f"--pdf takes pypdf or docling, not {pdf!r}")
    return "pypdf"


def _documents(
    folder: Path, limit: int | None, pdf: PdfReader, cluster: Cluster | None = None
) -> list[Document | Failure]:
    """The papers to work on. All are read first, so that the progress bar knows its length."""
    from agentkit.curation.documents import Failure, read_folder

    if cluster is None:
        papers = read_folder(folder, pdf=pdf)
    else:
        from agentkit.distributed.reading import read_on

        papers = read_on(cluster, folder, pdf=pdf)
    found: list[Document | Failure] = []
    read = 0
    for item in papers:
        found.append(item)
        read += not isinstance(item, Failure)
        if limit is not None and read >= limit:
            break
    if not read:
        note(f"no papers were read from {folder}")
    return found


def _run(
    plan: CurationPlan,
    read: Callable[[Cluster | None], list[Document | Failure]],
    name: str,
    models: tuple[str | None, str | None],
    lexicon: Path | None,
    options: CurationOptions,
    there: Elsewhere,
    *,
    recall: bool,
    quiet: bool,
) -> Report:
    from agentkit.agent.building import chosen_options
    from agentkit.aio import run_sync
    from agentkit.curation.curate import Curation
    from agentkit.curation.grounding.linker import open_naming
    from agentkit.curation.kb.knowledge_base import KnowledgeBase
    from agentkit.distributed.papers import DuoNames, curate_on
    from agentkit.models import Limits

    settings = open_settings(model=models[0])
    naming, version = open_naming(plan.ontology, lexicon=lexicon)
    duo = DuoNames(settings.model, _evaluator(models[1], settings), chosen_options(settings, None))
    explorer, evaluator = duo.load()
    with closing(open_store()) as store, there.open(settings) as cluster:
        documents, kb = read(cluster), KnowledgeBase(store, name)
        recallers = _recallers(kb, settings) if recall else None
        run = Curation(
            kb,
            plan,
            explorer=explorer,
            evaluator=evaluator,
            naming=naming,
            naming_version=version,
            options=options,
            recallers=[] if recallers is None else recallers(kb, settings),
            limits=Limits(concurrency=settings.concurrency),
        )
        stopping.go_on_with_this_command()
        with _Progress(run, len(documents), quiet=quiet):
            if cluster is None:
                return run_sync(run.run(documents))
            work = curate_on(cluster, run, documents, duo, settings, per_minute=there.per_minute, recallers=recallers)
            return run_sync(work)


def _evaluator(given: str | None, settings: Settings) -> str | None:
    """The evaluator's model. One that runs here does not judge its own answers unless that is asked for: the small
    models that do took right claims away (BC5CDR, ten abstracts: F1 .44 in one pass, .36 with the evaluator, in 1.9
    times the time)."""
    from agentkit.distributed.workers import EMBEDDED

    chosen = given or settings.evaluator_model
    if chosen is None:
        return None if settings.model.startswith(EMBEDDED) else settings.model
    return None if chosen == "none" else chosen


def _recallers(kb: KnowledgeBase, settings: Settings) -> OpenRecallers:
    """What opens the playbook and the memory of each relation, once they are up to date with all decisions, including
    those made in the browser."""
    from agentkit.curation.learning.context import recallers_of, teach

    if kb.reviews():
        teach(kb, settings=settings)
    return recallers_of


class _Progress:
    """A live line of papers, claims, tokens, cost and time left, on standard error; failures are lines above it."""

    def __init__(self, run: Curation | PairCuration, total: int, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        claims, spent = "{task.fields[claims]} claims", "{task.fields[tokens]:,} tokens ${task.fields[cost]:.4f}"
        columns = [TextColumn(text) for text in ("papers", claims, spent)]
        console = Console(stderr=True)
        self.bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            *columns,
            TimeRemainingColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self.task = self.bar.add_task("papers", total=total, claims=0, tokens=0, cost=0.0)
        run.on_event = self._event

    def _event(self, event: CurationEvent | Event) -> None:
        from agentkit.curation.events import PaperNotice, PaperRead, PaperUnread, WorkDone

        if isinstance(event, WorkDone):
            self.bar.update(self.task, claims=event.claims, tokens=event.tokens, cost=event.cost)
        elif isinstance(event, PaperRead | PaperUnread):
            self.bar.advance(self.task)
        if isinstance(event, PaperNotice):
            line = f"{event.source}: {' '.join(event.reason.split())}"
            self.bar.console.print(printable(line), markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> None:
        self.bar.__enter__()

    def __exit__(self, *exc: Any) -> None:
        self.bar.__exit__(*exc)


def _print_plan(plan: CurationPlan, documents: list[Document | Failure], *, json_: bool) -> None:
    from agentkit.curation.documents import Failure
    from agentkit.curation.extraction.prompts import plan_to_json

    papers = {d.source or d.id[:12]: d.text for d in documents if not isinstance(d, Failure)}
    emit(plan_to_json(plan, papers), json_=json_, human=_show_plan)


def _show_plan(data: JsonObject) -> None:
    rows = [
        [step["number"], step["element"], step["mode"], ", ".join(step["context"]) or "–"] for step in data["steps"]
    ]
    print_table(["", "element", "mode", "context, nearest first"], rows)
    for step in data["steps"]:
        say(f"\n── {step['number']}. {step['element']}\n{step['prompt']}")
    papers = data["papers"]
    if papers:
        totals = [sum(row[name] for row in papers) for name in ("calls", "input_tokens", "fresh_tokens")]
        say(
            f"\n{len(papers)} papers: at least {totals[0]:,} calls, about {totals[1]:,} prompt tokens a round "
            f"({totals[2]:,} with a prefix cache)"
        )


def _print_report(report: Report, kb: str) -> None:
    states = ", ".join(f"{count} {state}" for state, count in sorted(report.states.items()))
    say(f"{report.papers} papers, {report.supported} claims supported, {report.unsupported} unsupported")
    say(f"work: {states or 'nothing new'}; {report.reused} already done; {report.retired} claims retired")
    say(f"{report.calls} calls, {report.tokens:,} tokens, ${report.cost:.4f}, {report.seconds:.1f} s")
    if report.stopped:
        say(f"stopped: {report.stopped}; run the same command again to continue")
    say(f"next:  agentkit kb review {kb}")
