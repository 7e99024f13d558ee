"""`make learn`: an agent gets better at a job, compared with no experience and with chance.

The default model turns a small company's questions into SQL. What the company means by its words is not in the schema,
so at first most answers are wrong; each wrong one is corrected, as a colleague would. At the end come questions that it
was never asked, which are answered three times: without experience (half of them), with solved questions drawn at
random, and with those that the agent chooses. Nothing here is prepared: `--seed` draws other questions.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from demo import pull
from learn_company import INSTRUCTIONS, make_database, questions
from rich.console import Console
from rich.table import Table

from agentkit import Agent, AgentKitError, Task
from agentkit.aio import run_sync
from agentkit.memory import FormRecaller, FormSettings, open_cases
from agentkit.memory.forms import Demonstrations
from agentkit.statistics.estimates import paired, wilson

MODEL = "qwen2.5-coder-1.5b"
EMBEDDER = "bge-small-en-v1.5"
MEMORY = "company"
BLOCKS = 4
console = Console(stderr=True, highlight=False)


def learn(agent: Agent, tasks: Sequence[Task]) -> list[float]:
    """Answer every question and give feedback, with the right query if the answer was wrong; returns the scores."""
    scores = []
    for task in tasks:
        result = agent.run(task)
        score = _score(agent, task, result.answer)
        agent.feedback(result.run_id, score=score, answer=None if score else task.target)
        scores.append(score)
        console.print(f"{'✓' if score else '✗'} {task.input}", style="green" if score else "yellow", markup=False)
    return scores


def examine(agent: Agent, tasks: Sequence[Task]) -> dict[str, list[float]]:
    """The scores of questions it was never asked, by the kind of help it gets; nothing is learnt from them."""
    memory = open_cases(agent.store, MEMORY, settings=agent.settings)
    at_random = FormSettings(forms=(Demonstrations(),), size=4, ranking="random")
    ways = {
        "no experience": [],
        "four solved at random": [FormRecaller(memory, settings=at_random)],
        "what it chooses": None,
    }
    asked = {"no experience": tasks[: (len(tasks) + 1) // 2]}  # enough to tell, and the slowest to answer
    return {way: [_score(agent, task, agent.run(task, learn=False, recallers=recallers).answer)
                  for task in asked.get(way, tasks)]
            for way, recallers in ways.items()}  # fmt: skip


def _score(agent: Agent, task: Task, answer: str | None) -> float:
    checker = agent.checker_for(task)
    return (run_sync(checker.check(answer or "", task)).score if checker is not None else None) or 0.0


def curve(scores: Sequence[float]) -> Iterator[str]:
    """The share of right answers along the way, one line for each part of it."""
    for block in range(BLOCKS):
        part = scores[len(scores) * block // BLOCKS : len(scores) * (block + 1) // BLOCKS]
        share = sum(part) / len(part)
        yield f"questions {len(scores) * block // BLOCKS + 1:>3}–{len(scores) * (block + 1) // BLOCKS:<3} " \
              f"{'█' * round(30 * share):<30} {share:.0%}"  # fmt: skip


def proof(found: dict[str, list[float]]) -> Table:
    """The hold-out: how often each kind of help led to right answers, and how much more often the last one did."""
    last = found["what it chooses"]
    table = Table("new questions", "asked", "right", "95 %", "more with what it chooses")
    for way, scores in found.items():
        right = wilson(int(sum(scores)), len(scores))
        more = paired(last[: len(scores)], scores)
        gain = more.difference
        told = "" if scores is last else f"{gain.value:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}], p = {more.p:.2g}"
        table.add_row(way, str(len(scores)), f"{right.value:.2f}", f"{right.low:.2f} … {right.high:.2f}", told)
    return table


def play(folder: Path, *, seed: int, tasks: int, kept: int, kinds: int | None = None) -> dict[str, list[float]]:
    """Run the whole experiment in its own database, printing along the way; returns the scores of the hold-out."""
    for name in (MODEL, EMBEDDER):
        pull(name)
    asked = questions(make_database(folder / "company.sqlite"), seed=seed, kinds=kinds)[: tasks + kept]
    home = f"sqlite:///{folder / 'learn.db'}"
    with Agent(f"local/{MODEL}", instructions=INSTRUCTIONS, tools=[], memory=MEMORY, store=home) as agent:
        scores = learn(agent, asked[:tasks])
        console.print(*curve(scores), sep="\n")
        return examine(agent, asked[tasks:]) if kept else {}


def excerpt(folder: Path, *, seed: int) -> None:
    """Two minutes of it: few kinds of questions, so that experience helps soon."""
    play(folder, seed=seed, tasks=24, kept=0, kinds=4)


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; returns 0 if experience was worth something beyond chance."""
    options = argparse.ArgumentParser(prog="learn", description="An agent gets better at a job, with the proof.")
    options.add_argument("--seed", type=int, default=7, help="which questions, in which order")
    options.add_argument("--tasks", type=int, default=60, help="questions to learn from")
    options.add_argument("--kept", type=int, default=40, help="new questions at the end")
    options.add_argument("--kinds", type=int, help="only this many kinds of questions, for a slow machine")
    given = options.parse_args(argv)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="agentkit-learn-") as folder:
        try:
            found = play(Path(folder), seed=given.seed, tasks=given.tasks, kept=given.kept, kinds=given.kinds)
        except AgentKitError as error:
            console.print(f"error: {error}", style="red", markup=False)
            return 2
        except KeyboardInterrupt:
            return 130
    Console().print(proof(found))
    print(f"{(time.perf_counter() - started) / 60:.1f} minutes")
    your_own()
    last = found.pop("what it chooses")
    return 0 if all(paired(last[: len(scores)], scores).difference.low > 0 for scores in found.values()) else 1


def your_own() -> None:
    """Print how to do the same with your own database."""
    command = Path(sys.executable).parent / "agentkit"
    print("With your own database, from the first question on:")
    print(f'  {command} run "QUESTION" --database sales.sqlite --tools schema,sql --memory sales')
    print(f"  {command} feedback RUN --up            # it was right")
    print(f'  {command} feedback RUN --answer "SELECT …"   # it was wrong, and this is right')
    print(f"  {command} eval stream questions.jsonl --arms stateless,ours   # what it is worth to you")


if __name__ == "__main__":
    sys.exit(main())
