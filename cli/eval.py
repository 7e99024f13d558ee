"""`agentkit eval TASKS.jsonl`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentkit.cli import stopping
from agentkit.cli.agent_options import AgentOptions, Seed, parse_checker, with_agent_options
from agentkit.cli.elsewhere import Elsewhere, PerMinute, Ray, Workers
from agentkit.cli.output import JSON_HELP, emit, print_table, say
from agentkit.cli.risk import show_risk
from agentkit.errors import RunError
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.agent import Agent
    from agentkit.distributed import Cluster
    from agentkit.evaluation import EvalReport, Scored
    from agentkit.tasks import Task


app = typer.Typer()


DefaultChecker = Annotated[
    str | None, typer.Option("--checker", metavar="CHECKER", help="The checker for tasks that name none.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first N tasks.")]
Concurrency = Annotated[int, typer.Option(min=1, help="How many runs at once.")]


@app.command("eval")
@with_agent_options(without=("checker", "gate", "approve"))
def evaluate(
    file: Annotated[Path, typer.Argument(metavar="TASKS.jsonl", help='Rows of {"id", "input", "target", "checker"}.')],
    *,
    wanted: AgentOptions,
    default_checker: DefaultChecker = None,
    limit: Limit = None,
    concurrency: Concurrency = 1,
    name: Annotated[str | None, typer.Option(help="The name of the evaluation in  agentkit runs ls.")] = None,
    teach: Annotated[
        bool, typer.Option("--teach", help="Learn from the scores which mode to use and whether the evaluator helps.")
    ] = False,
    seed: Seed = 0,
    ray: Ray = None,
    workers: Workers = None,
    per_minute: PerMinute = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="With --ray: token budget of all runs together.")] = None,
    cost: Annotated[
        float | None, typer.Option(min=0, help="With --ray: budget of all runs together, in US dollars.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Run a file of tasks and score the answers. The same command again continues where it stopped."""
    there = Elsewhere(ray=ray, workers=workers, per_minute=per_minute, tokens=tokens, cost=cost)
    tasks = load_some(file, limit)
    with wanted.build() as agent:
        report = _score(agent, tasks, default_checker, there, batch=name, concurrency=concurrency, seed=seed)
        if teach:
            _teach(agent, tasks, report, default_checker)
    emit(report.to_json(), json_=json_, human=_show)
    if report.failed == report.n:
        raise RunError(f"every task failed, the last with: {report.results[-1].error}")


def load_some(file: Path, limit: int | None) -> list[Task]:
    """The tasks of a file, or only the first `limit` of them."""
    from agentkit.tasks import load_tasks

    return load_tasks(file, limit=limit)


def _score(
    agent: Agent,
    tasks: list[Task],
    checker_text: str | None,
    there: Elsewhere,
    *,
    batch: str | None,
    concurrency: int,
    seed: int,
) -> EvalReport:
    from agentkit.aio import run_sync
    from agentkit.evaluation import checkers_for

    checker = parse_checker(checker_text)
    checkers_for(agent, tasks, checker)  # reports a wrong checker before the progress bar starts
    stopping.go_on_with_this_command()
    with there.open(agent.settings) as cluster, Bar(len(tasks)) as bar:
        work = evaluation(cluster, there)(
            agent, tasks, checker=checker, batch=batch, concurrency=concurrency, seed=seed, on_result=bar.add
        )
        return run_sync(work)


def evaluation(cluster: Cluster | None, there: Elsewhere) -> Callable[..., Coroutine[Any, Any, EvalReport]]:
    """The function that evaluates: in this process, or on the workers of a cluster."""
    if cluster is None:
        from agentkit.evaluation import evaluate_tasks

        return evaluate_tasks
    from agentkit.distributed import evaluate_on

    return partial(evaluate_on, cluster, shared=there.shared)


def _teach(agent: Agent, tasks: list[Task], report: EvalReport, checker: str | None) -> None:
    from agentkit.aio import run_sync
    from agentkit.calibrating import teach
    from agentkit.cli.risk import show_levels

    levels = run_sync(teach(agent, tasks, report, checker=parse_checker(checker)))
    show_levels(None if levels is None else levels.to_json())


class Bar:
    """A progress bar with the accuracy so far."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, console=Console(stderr=True))
        self._task = self._bars.add_task("evaluating", total=total)
        self._right = self._done = 0.0

    def __enter__(self) -> Bar:
        self._bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.stop()

    def add(self, scored: Scored) -> None:
        self._done += 1
        self._right += scored.score or 0.0
        self._bars.update(self._task, advance=1, description=f"accuracy {self._right / self._done:.3f}")


def _show(report: JsonObject) -> None:
    rows = [(row["task_id"], row["status"], row["score"], row["answer"], row["run_id"]) for row in report["results"]]
    print_table(("task", "status", "score", "answer", "run"), rows[:50])
    if len(rows) > 50:
        say(f"… and {len(rows) - 50} more; --json has them all")
    show_risk(report["risk"], calibrated=report["calibrated"])
    if report["declined"] and report["answered"] is not None:
        say(f"declined {report['declined']}; {report['answered']:.3f} of the answers given are right")
    low, high = report["ci95"]
    say(
        f"accuracy {report['accuracy']:.3f} [{low:.3f}, {high:.3f}], n {report['n']}, abstained {report['abstained']},"
        f" failed {report['failed']}, {report['tokens']:,} tokens ({report['cached_tokens']:,} cached),"
        f" {report['seconds']:.1f} s"
    )
