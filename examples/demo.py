"""`make demo`: an explorer and an evaluator solve three real tasks on a local model, live.

Nothing here is prepared: the model is asked, tools and tests run, and the table shows what came of it. The answers
are compared with the right ones afterwards; no model sees those.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from agentkit import Agent, AgentKitError, Task
from agentkit.cli.live import Progress as Live
from agentkit.graph.events import Evaluated

MODEL = "qwen2.5-coder-1.5b"
LIBRARY = Path(__file__).parent / "library"
console = Console(stderr=True)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A task to show, with what its agent has at hand."""

    name: str
    title: str
    task: Task
    options: dict[str, Any]


TESTS = """\
assert mean([1, 2, 6]) == 3
assert mean([5]) == 5
try:
    got = mean([])
except ZeroDivisionError:
    raise AssertionError("mean([]) raises ZeroDivisionError; it must return None") from None
assert got is None, f"mean([]) returns {got!r}; it must return None"
"""

SCENES = (
    Scene(
        name="arithmetic",
        title="Arithmetic with a tool",
        task=Task(
            id="arithmetic",
            input="A crate holds 1234 boxes and each box holds 5678 screws. How many screws are in the crate?",
            target="7006652",
            checker="numeric",
        ),
        options={"tools": ["calculator"]},
    ),
    Scene(
        name="folder",
        title="A question over a folder of text",
        task=Task(
            id="folder",
            input="After how many months are borrowed leek seeds due back at the Harrow Lane Seed Library? Search the "
            "folder; answer with the number.",
            target="26",
            checker="numeric",
        ),
        options={"tools": ["search", "read_file"], "root": LIBRARY},
    ),
    Scene(
        name="repair",
        title="A first answer that is rejected and repaired",
        task=Task(
            id="repair",
            input="Write a Python function `mean(numbers)` that returns the average of a list of numbers. Answer with "
            "the code alone.",
            checker={"name": "tests", "code": TESTS},
        ),
        options={"tools": [], "max_rounds": 4},
    ),
)


def pull() -> None:
    """Download the model, where it is not there yet."""
    from agentkit.models.catalog import find
    from agentkit.models.download import pull as fetch

    entry = find(MODEL)
    if entry.present:
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task(entry.name, total=entry.size)
        fetch(entry, progress=lambda what, done, total: bars.update(bar, description=what, completed=done, total=total))


def play(scene: Scene) -> tuple[str, ...]:
    """Solve one task live; returns its row of the table."""
    console.rule(f"[bold]{scene.title}")
    console.print(scene.task.input, highlight=False)
    rejected, started = 0, time.perf_counter()
    with Agent(f"local/{MODEL}", **scene.options) as agent:
        run_id = ""
        try:
            with Live(console) as live:
                for event in agent.stream(scene.task):
                    run_id = event.run_id
                    rejected += isinstance(event, Evaluated) and event.outcome in ("revise", "abstain")
                    live.show(event)
        except AgentKitError as error:
            console.print(f"[red]{error}[/red]")
            return (scene.name, "failed", "–", "–", f"{time.perf_counter() - started:.0f} s", run_id)
        result = agent.result(run_id)
        right = is_right(agent, scene.task, result.answer)
    answer = " ".join((result.answer or "–").split())
    shown = answer if len(answer) <= 24 else answer[:23] + "…"
    tokens = result.usage.input_tokens + result.usage.output_tokens
    row = (scene.name, "right" if right else "WRONG", shown, f"{rejected}", f"{tokens:,}", f"{result.seconds:.0f} s")
    return (*row, run_id)


def is_right(agent: Agent, task: Task, answer: str | None) -> bool:
    """Compare the answer with the target, or run the tests once more."""
    from agentkit.aio import run_sync

    checker = agent.checker_for(task)
    return checker is not None and answer is not None and run_sync(checker.check(answer, task)).score == 1


def main() -> int:
    """Play the scenes; returns 0 where every answer is right."""
    try:
        pull()
        rows = [play(scene) for scene in SCENES]
    except AgentKitError as error:
        console.print(f"[red]error:[/red] {error}")
        return 2
    table = Table("task", "answer is", "answer", "rejected", "tokens", "took", "run", title="Summary")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    command = Path(sys.executable).parent / "agentkit"
    print("Try next:")
    print(f"  {command} runs show {rows[-1][-1]}")
    print(f'  {command} run "What is 17 % of 2340? Use the calculator."')
    print(f"  {command} chat --tools search,read_file --root {LIBRARY}")
    print(f"  {command} eval examples/tasks.jsonl")
    print(f"  {command} doctor")
    return 0 if all(row[1] == "right" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
