"""`make demo`: an explorer and an evaluator solve three real tasks on a local model, live, and an agent gets better.

Nothing here is prepared: the tasks are drawn again each time (`--seed` repeats a draw), the model is asked, tools and
tests run, and the table shows the results. The answers are compared with the right ones afterwards; no model sees
those.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from demo_tasks import Scene, draw
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from agentkit import Agent, AgentKitError, Task
from agentkit.cli.live import Progress as Live
from agentkit.errors import SandboxUnavailable
from agentkit.graph.events import Evaluated
from agentkit.tools import Sandbox

MODEL = "qwen2.5-coder-1.5b"
LIBRARY = Path(__file__).parent / "library"
console = Console(stderr=True)


@dataclass(frozen=True)
class Row:
    """The outcome of a scene: a row of the summary, whatever happened."""

    task: str
    verdict: str
    answer: str = "–"
    rejected: str = "–"
    tokens: str = "–"
    took: str = "–"
    run: str = "–"


def pull(name: str = MODEL) -> None:
    """Download a model, if it is missing."""
    from agentkit.models.catalog import find
    from agentkit.models.download import pull as fetch

    entry = find(name)
    if entry.present:
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task(entry.name, total=entry.size)
        fetch(entry, progress=lambda what, done, total: bars.update(bar, description=what, completed=done, total=total))


def play(scene: Scene) -> Row:
    """Solve one task live."""
    console.rule(f"[bold]{scene.title}")
    console.print(scene.task.input, highlight=False, markup=False)
    rejected, run_id, started = 0, "–", time.perf_counter()
    with Agent(f"local/{MODEL}", **scene.options) as agent:
        try:
            with Live(console) as live:
                for event in agent.stream(scene.task):
                    run_id = event.run_id
                    rejected += isinstance(event, Evaluated) and event.outcome in ("revise", "abstain")
                    live.show(event)
        except AgentKitError as error:
            console.print(f"failed: {error}", style="red", markup=False)
            return Row(scene.name, "failed", took=f"{time.perf_counter() - started:.0f} s", run=run_id)
        result = agent.result(run_id)
        right = is_right(agent, scene.task, result.answer)
    answer = " ".join((result.answer or "–").split())
    tokens = result.usage.input_tokens + result.usage.output_tokens
    return Row(
        scene.name,
        "right" if right else "WRONG",
        answer if len(answer) <= 24 else answer[:23] + "…",
        f"{rejected}",
        f"{tokens:,}",
        f"{result.seconds:.0f} s",
        run_id,
    )


def left_out(scene: Scene) -> str:
    """Why this machine can't play a scene, in one line; empty if it can."""
    if not isinstance(scene.task.checker, dict):
        return ""
    try:
        Sandbox().check()
    except SandboxUnavailable as error:
        return str(error)
    return ""


def is_right(agent: Agent, task: Task, answer: str | None) -> bool:
    """Compare the answer with the target, or run the tests again."""
    from agentkit.aio import run_sync

    checker = agent.checker_for(task)
    return checker is not None and answer is not None and run_sync(checker.check(answer, task)).score == 1


def summary(rows: Sequence[Row]) -> Table:
    """The rows as a table."""
    table = Table("task", "answer is", "answer", "rejected", "tokens", "took", "run", title="Summary")
    for row in rows:
        table.add_row(*astuple(row))
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Play the scenes; returns 0 if every answer is right."""
    options = argparse.ArgumentParser(prog="demo", description="Three tasks, solved live on a local model.")
    options.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="repeat the tasks of a seed")
    seed = options.parse_args(argv).seed
    console.print(f"Tasks of seed {seed}; the same ones again: make demo SEED={seed}", highlight=False)
    rows, skipped = [], []
    with tempfile.TemporaryDirectory(prefix="agentkit-demo-") as folder:
        try:
            pull()
            for scene in draw(seed, Path(folder)):
                reason = left_out(scene)
                skipped += [f"left out: {scene.name}: {reason}"] if reason else []
                rows += [] if reason else [play(scene)]
        except AgentKitError as error:
            console.print(f"error: {error}", style="red", markup=False)
            return 2
        Console().print(summary(rows))
        get_better(seed, Path(folder))
    print(*skipped, sep="\n", end="\n" if skipped else "")
    _try_next(rows[-1].run)
    return 0 if all(row.verdict == "right" for row in rows) else 1


def get_better(seed: int, folder: Path) -> None:
    """Two minutes of `make learn`: one kind of job, with corrections along the way."""
    import learn

    console.rule("[bold]An agent gets better at a job")
    try:
        learn.excerpt(folder, seed=seed)
    except AgentKitError as error:
        console.print(f"failed: {error}", style="red", markup=False)


def _try_next(run_id: str) -> None:
    command = Path(sys.executable).parent / "agentkit"
    print("Try next:")
    print(f"  {command} runs show {run_id}")
    print(f'  {command} run "hi"')
    print(f"  {command} chat --tools search,read_file --root {LIBRARY}")
    print(f"  {command} eval examples/tasks.jsonl")
    print(f"  {command} doctor")
    print("  make learn   # what an agent learns from corrections, against chance")


if __name__ == "__main__":
    sys.exit(main())
