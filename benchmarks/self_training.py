"""What a local model gains by training on its own runs, against controls that hold no lesson.

    python -m benchmarks.self_training [--model local/qwen2.5-coder-0.5b] [--train 300] [--test 150]
        [--recipe edits] [--arms trained unfiltered shuffled] [--memory] [--beside local/qwen2.5-coder-1.5b]

GeoQuery: a question becomes a query, and the database says whether it is right. The bare model is `base`; `trained` is
trained on what the recipe makes of its attempts at the training questions, `unfiltered` and `shuffled` on as many
examples without a lesson. All answer the same held-out questions. `--memory` adds the arms `memory` (cases of the
training questions, no adapter) and `both`; `--beside` a second model without an adapter, as it is. Every run and
checkpoint is kept under --home, so that a benchmark that was stopped goes on.
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
from agentkit.training import LoraSettings, TrainConfig, train_adapter
from agentkit.training.recipes import RECIPES, Control
from agentkit.training.run import TrainEvent, TrainingReport
from benchmarks._results import Results, arguments, data_path, share
from benchmarks._stream_sets import read_set

CONTROLS: dict[str, Control | None] = {"trained": None, "unfiltered": "unfiltered", "shuffled": "shuffled"}
WANTED = {"trained": "≥ 0.10", "unfiltered": "≤ half of trained", "shuffled": "≤ 0"}
"""Gain over the bare model."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Questions to learn from, and those to be scored on, of which none is in both."""

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
    for arm in [None, *args.arms]:
        found = _scored(args, split.probes, arm)
        right = sum(item.score or 0.0 for item in found.results)
        results.add(arm=arm or "base", metric="probes", **share(right, found.n))
    if args.beside:
        _rows(results, args.beside, _scored(args, split.test, None, model=args.beside), scored["base"])
    results.finish(json_=args.json, folder=args.out)


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
    """Train an arm's adapter and put it in force untested: what it is worth is what the benchmark measures."""
    lora = LoraSettings(rank=args.rank, alpha=2 * args.rank, rate=args.rate, epochs=args.epochs, seed=args.seed)
    config = TrainConfig(recipe=RECIPES[args.recipe], lora=replace(lora, loss=args.loss), control=CONTROLS[arm])
    with _agent(args) as agent:
        report = train_adapter(agent, split.train, arm, config=config, on_event=_say(arm))
        change = report.rounds[-1].change
        adapters = AdapterStore(agent.store, arm, folder=agent.settings.home / "adapters")
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
        raise UserError(f"there are {len(found.tasks)} questions: fewer than {args.train} + {args.test}")
    train = found.tasks[: args.train]
    test = found.tasks[args.train : args.train + args.test]
    return Split(train=train, test=test, probes=[*PROBES])


PROBES = [
    Task(id="p1", input="Reply with the word yes in capital letters, and nothing else.", target="YES", checker="exact"),
    Task(id="p2", input="What is 7 + 5? Reply with the number alone.", target="12", checker="numeric"),
    Task(id="p3", input="Which is the capital of France? Reply with its name alone.", target="Paris", checker="exact"),
    Task(id="p4", input="Is a whale a fish?", choices=("yes", "no"), target="no", checker="exact"),
    Task(id="p5", input="Write the plural of the word mouse. Reply with one word.", target="mice", checker="exact"),
    Task(id="p6", input="Which colour results from blue and yellow?", choices=("green", "red"), target="green",
         checker="exact"),
    Task(id="p7", input="The key is under the mat. Where is the key?", choices=("under the mat", "in the car"),
         target="under the mat", checker="exact"),
    Task(id="p8", input="How many letters has the word cat? Reply with the number alone.", target="3",
         checker="numeric"),
    Task(id="p9", input="How many legs have three dogs?", schema={"type": "integer"}, target="12", checker="numeric"),
    Task(id="p10", input="What is the opposite of hot? Reply with one word.", target="cold", checker="exact"),
]  # fmt: skip
"""General instructions that a training on queries could make it forget: words, numbers, choices, JSON, given facts."""


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
    parser.add_argument("--max-tokens", type=int, default=200, help="of one answer")
    parser.add_argument("--home", type=Path, default=Path("build/benchmarks/self_training"), help="keeps every run")
    return parser.parse_args()


if __name__ == "__main__":
    main()
