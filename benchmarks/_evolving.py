"""Shared by the learning benchmarks: an agent in its own store, one evolution per arm, rows with paired tests."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agentkit.agent import Agent
from agentkit.aio import run_sync
from agentkit.evolution.arms import Arm, run_arm
from agentkit.evolution.config import EvolveConfig
from agentkit.evolution.events import EvolutionEvent
from agentkit.evolution.harness import trials_for
from agentkit.evolution.run import EvolutionReport, aevolve, parts_of
from agentkit.memory import RecallSettings
from agentkit.models import load_model
from agentkit.settings import load_settings
from agentkit.tasks import Task
from agentkit.testing import RecordedModel
from benchmarks._results import Results, arguments, share

PARTS: dict[str, tuple[bool, bool]] = {"playbook": (True, False), "memory": (False, True), "both": (True, True)}

RECALL = RecallSettings(successes=1, failures=0)
"""One solved case per prompt: a small model on a CPU reads 30 tokens a second."""


def options(name: str, about: str) -> argparse.ArgumentParser:
    parser = arguments(name, about)
    parser.add_argument("--model", default="local/qwen2.5-coder-1.5b")
    parser.add_argument("--train", type=Path, help="training rows (default: below AGENTKIT_DATA)")
    parser.add_argument("--val", type=Path, help="rows for the gate and for scoring, kept apart")
    parser.add_argument("--train-n", type=int, default=64, help="training tasks")
    parser.add_argument("--val-n", type=int, default=80, help="tasks for the gate and the choice of a version")
    parser.add_argument("--test-n", type=int, default=100, help="tasks scored before and after, used for nothing else")
    parser.add_argument("--learn", nargs="+", choices=list(PARTS), default=list(PARTS), help="what evolves")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--labels", choices=["gold", "check", "none"], default="gold")
    parser.add_argument(
        "--hints", type=int, default=0, help="further attempts at wrong training tasks, told the answer"
    )
    parser.add_argument("--gate", choices=["strict", "off"], default="strict")
    parser.add_argument("--controls", action=argparse.BooleanOptionalAction, default=True, help="run the control arms")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument(
        "--max-tokens", type=int, default=400, help="of one answer: a small model may repeat itself until it is cut off"
    )
    parser.add_argument(
        "--home", type=Path, default=Path("build/benchmarks"), help="keeps every call: a repeat is free"
    )
    return parser


def agent_for(args: argparse.Namespace, name: str, tools: Sequence[str], *, recorded: bool = True) -> Agent:
    """An agent in its own store, whose model calls are recorded there: calls that also occur in another evolution, such
    as the training runs before anything was learned, are paid for only once. To measure seconds, switch the recording
    off."""
    home = (args.home / name / args.model.replace("/", "_")).resolve()
    home.mkdir(parents=True, exist_ok=True)
    model: Any = args.model
    if not args.model.startswith("replay/"):
        real = load_model(args.model, max_tokens=args.max_tokens)
        model = RecordedModel(home / "calls.jsonl", real, name=args.model) if recorded else real
    settings = load_settings(home=home, concurrency=args.concurrency)
    return Agent(model, tools=list(tools), evaluate=False, max_rounds=1, settings=settings)


def learn(
    agent: Agent,
    args: argparse.Namespace,
    arm: str,
    train: list[Task],
    val: list[Task],
    test: list[Task],
    what: str,
) -> EvolutionReport:
    """Run one evolution; `what` says whether the playbook, the memory or both evolve."""
    playbook, memory = PARTS[what]
    name = f"{arm}-{what}-{args.seed}"
    config = EvolveConfig(
        name=name,
        epochs=args.epochs,
        batch=args.batch,
        labels=args.labels,
        hints=args.hints,
        seed=args.seed,
        mode=args.gate,
        selection=1.0 if args.gate == "off" else 0.3,
    )
    return run_sync(
        aevolve(
            agent,
            train,
            val=val,
            test=test,
            playbook=name if playbook else None,
            memory=name if memory else None,
            recall=RECALL,
            config=config,
            controls=args.controls,
            on_event=_tell,
        )
    )


def both(
    agent: Agent, args: argparse.Namespace, arm: str, test: list[Task], learned: Mapping[str, EvolutionReport]
) -> tuple[Arm, Arm]:
    """The start, and the separately learned playbook and memory used together."""
    names = {what: f"{arm}-{what}-{args.seed}" for what in ("playbook", "memory")}
    evolvables, _ = parts_of(agent, **names, recall=RECALL)
    chosen = {name: version for done in learned.values() for name, version in done.evolved.chosen.items()}
    trials = trials_for(agent, seed=args.seed)
    shown = [item.at(chosen[item.target]) for item in evolvables]
    start = run_sync(run_arm("start", trials, test, []))
    return start, run_sync(run_arm("both", trials, test, shown))


def rows(results: Results, done: EvolutionReport, arm: str, *, folder: Path, target: str = "") -> None:
    """Add the rows of one evolution: accuracy of every arm, its paired difference to the start, and what it cost; its
    plot is stored in `folder`, beside the figures."""
    picture = folder / f"{results.name}-{results.label}-{arm.replace(', ', '-')}.png"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(done.paths["png"], picture)
    results.note(f"{arm}: the curve is in {picture.name}")
    for item in done.report["arms"]:
        arm_rows(results, item, arm, target=target if item["name"] == "learned" else "")
    decisions = [change["decision"] for change in done.report["changes"]]
    for name in ("accept", "reject", "quarantine"):
        results.add(arm=arm, metric=f"changes: {name}", value=decisions.count(name))
    for text in sorted({f"{change['decision']}: {change['reason']}" for change in done.report["changes"]}):
        results.note(f"{arm}: {text}")
    solved = sum(len(batch.learned.hinted) for batch in done.evolved.batches)
    wrong = sum(score is not None and score < 1 for batch in done.evolved.batches for score in batch.learned.scores)
    results.add(arm=arm, metric="wrong training tasks solved with a hint", **share(solved, wrong))
    learned = sum(len(batch.learned.tasks) for batch in done.evolved.batches)
    results.add(
        arm=arm, metric="tokens a learned sample, gate included", value=done.evolved.usage.tokens / max(1, learned)
    )


def arm_rows(results: Results, item: Mapping[str, Any], arm: str, *, target: str = "") -> None:
    """Add the rows of one arm of a report."""
    found, compared = item["accuracy"], item["against_start"]
    name = f"{arm}: {item['label']}"
    results.add(arm=name, metric="accuracy", **found)
    results.add(arm=name, metric="tokens a task", value=item["per_task"]["tokens"])
    if compared is not None:
        results.add(
            arm=name,
            metric="difference to the start",
            **compared["difference"],
            wins=compared["wins"],
            losses=compared["losses"],
            p=compared["p"],
            target=target,
        )


def _tell(event: EvolutionEvent) -> None:
    import sys

    print(event, file=sys.stderr, flush=True)
