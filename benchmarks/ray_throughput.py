"""How close evaluations and curations on Ray's workers come to the ideal of a model server, compared with one process.

    python -m benchmarks.ray_throughput --work eval,curate                 # a local Ray, two workers
    python -m benchmarks.ray_throughput --work eval,curate --nodes 3       # a cluster of three local node processes

A local stub server answers with a latency that varies by half. The same tasks and papers go through one process and
through workers, each with its own PostgreSQL database. The clock starts once workers are running and have solved their
first tasks, since starting them takes seconds, once. The ideal is calls × latency / calls at once. No arm reaches it:
at the end, calls run out before all have ended, and a paper's six follow one another. With 2,048 tasks or 1,536 papers,
and no overhead at all, .95 is left; with 384 papers .85. Processor time is that of all processes of an arm, without the
database and the model server; the nodes of a cluster start when the arms of one process are done.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from agentkit.agent import Agent
from agentkit.curation.curate import Curation, CurationOptions
from agentkit.curation.documents import read_folder
from agentkit.curation.extraction.plan import make_plan
from agentkit.curation.grounding.linker import open_naming
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.ontology.files import load_ontology
from agentkit.distributed import Cluster, DuoNames
from agentkit.distributed.papers import PaperCrew
from agentkit.distributed.rollouts import RolloutCrew
from agentkit.distributed.shared import Shared
from agentkit.evaluation import evaluate_tasks
from agentkit.models import Limits
from agentkit.settings import Settings
from agentkit.store import Store
from agentkit.tasks import Task
from benchmarks._results import Results, arguments
from tests.curation.papers import ONTOLOGY, write_papers
from tests.distributed.nodes import nodes
from tests.support import postgres
from tests.support.stub_server import stub_server

MODEL = "openai/gpt-4.1-mini"
Work = Callable[[str, int], Awaitable[int]]
"""Does a number of pieces of work of the named kind, and returns the number of model calls."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """The usage of an arm.

    Attributes:
        seconds: wall time.
        calls: model calls.
        processor: processor seconds of this process and its descendants.
    """

    seconds: float
    calls: int
    processor: float


def main() -> None:
    parser = arguments("ray_throughput", __doc__.split("\n", 1)[0])
    parser.add_argument("--work", default="eval,curate")
    parser.add_argument("--runs", type=int, default=2048, help="tasks of eval")
    parser.add_argument("--papers", type=int, default=1536, help="papers of curate; each takes six calls")
    parser.add_argument("--concurrency", type=int, default=128, help="calls at once, over all workers")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--nodes", type=int, default=1, help="if more than one, a cluster of local node processes")
    parser.add_argument("--latency", type=float, default=2.0, help="latency of the stub server in seconds, on average")
    args = parser.parse_args()
    results = Results("ray_throughput", settings=vars(args), label=args.label)
    works = args.work.split(",")
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        alone = {name: arm(name, args, home / f"{name}-alone", None) for name in works}
        address = stack.enter_context(nodes(args.nodes))[0] if args.nodes > 1 else "local"
        for name in works:
            with Cluster(address, workers=args.workers, home=home) as cluster:
                spread = arm(name, args, home / f"{name}-ray", cluster)
            report(results, args, name, alone[name], spread)
            results.save(args.out)
    results.finish(json_=args.json, folder=args.out)


def report(results: Results, args: argparse.Namespace, name: str, alone: Spent, spread: Spent) -> None:
    where = f"{args.nodes} nodes" if args.nodes > 1 else "one machine"
    ray = f"{name}, Ray, {args.workers} workers, {where}"
    for label, spent, target in ((f"{name}, one process", alone, ""), (ray, spread, "≥ 0.9")):
        ideal = spent.calls * args.latency / args.concurrency
        n = spent.calls
        results.add(arm=label, metric="share of the ideal throughput", value=ideal / spent.seconds, n=n, target=target)
        results.add(arm=label, metric="model calls a second", value=n / spent.seconds, n=n)
        results.add(arm=label, metric="processor time a call", value=1000 * spent.processor / n, n=n, unit="ms")
    both = f"{name}, Ray over one process"
    results.add(arm=both, metric="time, as a ratio", value=spread.seconds / alone.seconds, n=spread.calls)
    ratio = spread.processor / spread.calls / (alone.processor / alone.calls)
    results.add(arm=both, metric="processor time a call, as a ratio", value=ratio, n=spread.calls)


def arm(name: str, args: argparse.Namespace, home: Path, cluster: Cluster | None) -> Spent:
    """One arm on its own database and model server: warmed up, then timed."""
    makes, count, rule = {"eval": (evaluations, args.runs, "none"), "curate": (curations, args.papers, "papers")}[name]
    with postgres.server() as database, stub_server(args.latency, rule=rule, spread=0.5) as url:
        settings = Settings(
            home=home, concurrency=args.concurrency, api_base=url, model=MODEL, database=database or None
        )
        with makes(settings, args.concurrency, cluster) as work:
            return asyncio.run(timed(work, count, args.concurrency))


async def timed(work: Work, count: int, concurrency: int) -> Spent:
    await work("warm", concurrency)
    began, before = time.perf_counter(), processor()
    calls = await work("timed", count)
    seconds, after = time.perf_counter() - began, processor()
    used = sum(worked - before.get(process, 0.0) for process, worked in after.items())
    return Spent(seconds=seconds, calls=calls, processor=used)


@contextlib.contextmanager
def evaluations(settings: Settings, concurrency: int, cluster: Cluster | None) -> Iterator[Work]:
    with Agent(MODEL, tools=[], settings=settings) as agent:
        crew = None if cluster is None else RolloutCrew(cluster, agent, concurrency, Shared())

        async def work(name: str, count: int) -> int:
            tasks = [Task(id=f"{name}{number}", input=f"{name} {number}", target="42") for number in range(count)]
            elsewhere = None if crew is None else crew.score
            report = await evaluate_tasks(agent, tasks, concurrency=concurrency, elsewhere=elsewhere)
            assert (report.failed, report.accuracy) == (0, 1.0)
            return report.calls

        yield work


@contextlib.contextmanager
def curations(settings: Settings, concurrency: int, cluster: Cluster | None) -> Iterator[Work]:
    settings.home.mkdir(parents=True)
    ontology = settings.home / "ontology.yaml"
    ontology.write_text(ONTOLOGY, encoding="utf-8")
    plan, duo = make_plan(load_ontology(ontology)), DuoNames(MODEL, MODEL, {"api_base": settings.api_base})
    store, (naming, version) = Store.open(settings.database_url), open_naming(plan.ontology)
    explorer, evaluator = duo.load()
    limits, crews = Limits(concurrency), list[Any]()

    async def work(name: str, count: int) -> int:
        run = Curation(
            KnowledgeBase(store, "papers"),
            plan,
            explorer=explorer,
            evaluator=evaluator,
            naming=naming,
            naming_version=version,
            options=CurationOptions(papers=concurrency),
            limits=limits,
        )
        if cluster is not None:
            crews.append(crews[0] if crews else PaperCrew(cluster, run, duo, settings))
            run.readers = crews[0]
        first = 0 if name == "warm" else concurrency
        report = await run.run(read_folder(write_papers(settings.home / name, count, first=first)))
        assert report.papers == count and report.supported == 2 * count and not report.failed
        return report.calls

    yield work
    store.close()


def processor() -> dict[psutil.Process, float]:
    """Processor seconds used by this process and by each of its descendants, without the database and the model
    server."""
    used, me = dict[psutil.Process, float](), psutil.Process()
    for process in [me, *me.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            command = " ".join(process.cmdline())
            if "postgres" not in command and "stub_server" not in command:
                times = process.cpu_times()
                used[process] = times.user + times.system
    return used


if __name__ == "__main__":
    main()
