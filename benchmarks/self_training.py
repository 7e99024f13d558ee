"""What a local model gains by training on its own runs, compared with controls without a lesson.

    python -m benchmarks.self_training [--model local/qwen2.5-coder-0.5b] [--train 300] [--test 150]
        [--recipe edits] [--arms trained unfiltered shuffled] [--memory] [--beside local/qwen2.5-coder-1.5b]

GeoQuery: a question becomes a query, and the database shows whether it is right. `base` is the bare model; `trained` is
trained on the examples that the recipe makes from its attempts at the training questions, `unfiltered` and `shuffled`
on as many examples without the lesson. All answer the same held-out questions. `--memory` adds the arms `memory` (cases
from the training questions, no adapter) and `both`; `--beside` adds another model without an adapter. Every run and
checkpoint is kept under --home, so a stopped benchmark continues.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentkit.adapters import AdapterStore
from agentkit.agent import Agent
from agentkit.aio import run_sync
from agentkit.errors import AgentKitError, UserError
from agentkit.evaluation import EvalReport, evaluate_tasks
from agentkit.ledger import Ledger, Verdict
from agentkit.settings import load_settings
from agentkit.statistics.estimates import paired
from agentkit.tasks import Task
from agentkit.training import LoraSettings, TrainConfig, general_probes, train_adapter
from agentkit.training.making import TrainEvent
from agentkit.training.recipes import RECIPES, Control
from agentkit.training.run import TrainingReport
from benchmarks._results import Results, arguments, data_path, share
from benchmarks._stream_sets import read_set

CONTROLS: dict[str, Control | None] = {"trained": None, "unfiltered": "unfiltered", "shuffled": "shuffled"}
WANTED = {"trained": "≥ 0.10", "unfiltered": "≤ half of trained", "shuffled": "≤ 0"}
"""Gain over the bare model."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Questions to learn from and questions to be scored on, which don't overlap."""

    train: Sequence[Task]
    test: Sequence[Task]
    probes: Sequence[Task]


def main() -> None:
    args = _arguments()
    try:
        _run(args)
    except AgentKitError as error:
        sys.exit(f"error: {error}")


def _run(args: argparse.Namespace) -> None:
    split = _split(args)
    results = Results("self_training", settings=vars(args), label=args.label)
    scored = {"base": _scored(args, split.test, None)}
    for arm in args.arms:
        report = _train(args, split, arm)
        _told(results, arm, report)
        scored[arm] = _scored(args, split.test, arm)
    if args.memory:
        _remember(args, split.train)
        scored["memory"] = _scored(args, split.test, None, memory="m")
        scored["both"] = _scored(args, split.test, args.arms[0], memory="m")
    for arm, found in scored.items():
        _rows(results, arm, found, scored["base"])
    _probe(args, results, split.probes)
    if args.beside:
        _rows(results, args.beside, _scored(args, split.test, None, model=args.beside), scored["base"])
    results.finish(json_=args.json, folder=args.out)


def _probe(args: argparse.Namespace, results: Results, probes: Sequence[Task]) -> None:
    """Add how much was lost of general instructions, given text, refusals, JSON and plain text."""
    kinds = {task.id: str(task.metadata["category"]) for task in probes}
    before: dict[str, float] = {}
    for arm in [None, *args.arms]:
        found = {item.task_id: item.score or 0.0 for item in _scored(args, probes, arm).results}
        for kind in dict.fromkeys(kinds.values()):
            right = [score for id, score in found.items() if kinds[id] == kind]
            results.add(arm=arm or "base", metric=kind, **share(sum(right), len(right)))
        results.add(arm=arm or "base", metric="all probes", **share(sum(found.values()), len(found)))
        if before:
            fallen = paired([before[id] for id in found], list(found.values())).to_json()["difference"]
            results.add(arm=arm or "base", metric="probes fell by", **fallen, target="≤ 0.02")
        before = before or found


def _rows(results: Results, arm: str, found: EvalReport, base: EvalReport) -> None:
    scores = {item.task_id: item.score or 0.0 for item in found.results}
    results.add(arm=arm, metric="success", **share(sum(scores.values()), len(scores)))
    if found is not base:
        before = {item.task_id: item.score or 0.0 for item in base.results}
        compared = paired([scores[id] for id in before], [before[id] for id in before]).to_json()
        gained = compared["difference"]
        results.add(arm=arm, metric="more than base", **gained, p=compared["p"], target=WANTED.get(arm, ""))
    results.add(arm=arm, metric="tokens a task", value=found.tokens / found.n, n=found.n)
    spent = sum(float(item.usage.get("model_seconds") or item.seconds) for item in found.results)
    results.add(arm=arm, metric="seconds a task", value=spent / found.n, n=found.n)


def _told(results: Results, arm: str, report: TrainingReport) -> None:
    last = report.rounds[-1]
    results.add(arm=arm, metric="examples", value=last.examples, n=1, collected=last.collected, skipped=last.skipped)
    if last.speed:
        results.add(arm=arm, metric="training, tokens/s", value=last.speed, n=len(last.losses))
    results.add(arm=arm, metric="last loss", value=last.losses[-1], n=len(last.losses), engines=last.agreement)


def _train(args: argparse.Namespace, split: Split, arm: str) -> TrainingReport:
    """Train an arm's adapter and put it in force untested, since the benchmark itself measures its worth."""
    lora = LoraSettings(rank=args.rank, alpha=2 * args.rank, rate=args.rate, epochs=args.epochs, seed=args.seed)
    config = TrainConfig(recipe=RECIPES[args.recipe], lora=replace(lora, loss=args.loss), control=CONTROLS[arm])
    with _agent(args) as agent:
        report = train_adapter(agent, split.train, arm, config=config, on_event=_say(arm))
        change = report.rounds[-1].change
        adapters = AdapterStore.open(agent.store, arm, settings=agent.settings)
        if Ledger(agent.store).get(change.id).status != "applied":
            adapters.apply(change, Verdict(decision="accept", reason="an arm of a benchmark"))
    return report


def _say(arm: str) -> Any:
    def say(event: TrainEvent) -> None:
        step = event.step
        if step is None or step.step % 10 == 0 or step.step == step.steps:
            text = event.text if step is None else f"step {step.step}/{step.steps}, loss {step.loss:.3f}"
            speed = "" if step is None else f", {step.tokens_per_second:.0f} tokens/s, {step.seconds_left:.0f} s left"
            print(f"{arm}: {text}{speed}", file=sys.stderr, flush=True)

    return say


def _remember(args: argparse.Namespace, tasks: Sequence[Task]) -> None:
    """Let a case memory learn from the training questions, with their right answers."""
    with _agent(args, memory="m", gate="off") as agent:
        for number, task in enumerate(tasks):
            run_id = f"memory-{args.seed}-{number}"
            result = run_sync(agent.arun(task.model_copy(update={"target": None}), run_id=run_id, batch="memory"))
            feedback = run_sync(agent.checker_for(task).check(result.answer or "", task))  # type: ignore[union-attr]
            if feedback.score is not None:
                right = feedback.score >= 0.5
                agent.feedback(run_id, score=1.0 if right else None, answer=None if right else task.target, by="label")


def _scored(
    args: argparse.Namespace,
    tasks: Sequence[Task],
    adapter: str | None,
    *,
    memory: str | None = None,
    model: str | None = None,
) -> EvalReport:
    with _agent(args, adapter=adapter, memory=memory, model=model) as agent:
        return run_sync(evaluate_tasks(agent, tasks, seed=args.seed))


def _agent(args: argparse.Namespace, *, model: str | None = None, **options: Any) -> Agent:
    settings = load_settings(home=args.home.resolve(), concurrency=1)
    limits = {"max_tokens": args.max_tokens, "n_ctx": 4096}
    name = model or args.model
    return Agent(name, tools=[], settings=settings, model_options=limits, max_rounds=1, evaluate=False, **options)


def _split(args: argparse.Namespace) -> Split:
    (found,) = read_set("geoquery", data_path(args.data, "streams", "geoquery"), seed=args.seed)
    if len(found.tasks) < args.train + args.test:
        raise UserError(f"there are only {len(found.tasks)} questions, fewer than {args.train} + {args.test}")
    train = found.tasks[: args.train]
    test = found.tasks[args.train : args.train + args.test]
    return Split(train=train, test=test, probes=general_probes())


def _arguments() -> argparse.Namespace:
    parser = arguments("self_training", "what a local model gains by training on its own runs")
    parser.add_argument("--data", type=Path, help="folder of GeoQuery (default: streams/geoquery below AGENTKIT_DATA)")
    parser.add_argument("--model", default="local/qwen2.5-coder-0.5b")
    parser.add_argument("--beside", help="another model, without an adapter, on the same questions")
    parser.add_argument("--train", type=int, default=300, help="questions to learn from")
    parser.add_argument("--test", type=int, default=150, help="held-out questions")
    parser.add_argument("--recipe", choices=list(RECIPES), default="edits")
    parser.add_argument("--arms", nargs="+", choices=list(CONTROLS), default=list(CONTROLS))
    parser.add_argument("--memory", action="store_true", help="also the arms with a case memory")
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--loss", choices=["sft", "dpo", "simpo"], default="sft")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-tokens", type=int, default=200, help="the most tokens of one answer")
    parser.add_argument("--home", type=Path, default=Path("build/benchmarks/self_training"), help="keeps every run")
    return parser.parse_args()


if __name__ == "__main__":
    main()
