"""What experience is worth on a stream of real tasks: the same tasks in the same order, with and without it.

    python -m benchmarks.streams --set geoquery --data FOLDER [--holdout FOLDER] [--tasks 200] [--orders 3]
        [--feedback corrections] [--arms stateless random self-streamicl neighbours ours]

Sets: geoquery, ddxplus, banking77, clinc150, spider (each database its own stream) and formula; a folder has the files
as published. Arms are those of `agentkit eval stream --arms`. Every run is stored under --home as it ends, so a stopped
benchmark continues; the arms may also be run one after another in separate calls.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from agentkit.aio import run_sync
from agentkit.errors import AgentKitError
from agentkit.evolution.streams import ARMS, StreamPlan, compare_arms, stream_report
from agentkit.evolution.streams.comparing import ArmRun, FeedbackKind, StreamAnswer
from agentkit.evolution.streams.picture import draw_stream
from agentkit.ledger import digest
from agentkit.models import load_model
from agentkit.settings import load_settings
from benchmarks._results import Results, arguments, data_path
from benchmarks._stream_sets import SETS, StreamSet, read_set

WANTED: dict[tuple[str, str], dict[str, str]] = {
    ("geoquery", "corrections"): {
        "success": "≥ 0.55",
        "success, last quarter": "≥ 0.70",
        "hold-out": "≥ 0.78",
        "more than random": "≥ 0.15",
        "more than self-streamicl": "≥ 0.05",
    },
    ("geoquery", "binary"): {"normalised gain": "≥ 0.25", "more than self-streamicl": "≥ 0"},
    ("ddxplus", "binary"): {"more than stateless": "≥ 0.20", "more than stateless, last quarter": "≥ 0.30"},
    ("spider", "corrections"): {"more than stateless": "> 0"},
}
"""Targets of the arm `ours`, by set and feedback."""
ALWAYS = {"tokens, times stateless": "≤ 1.5", "more than stateless": "≥ −0.02"}
"""Targets of the arm `ours` on every set."""
HARMED = {"more than stateless, last quarter": "≥ −0.02"}
"""Targets of the arm `ours` with a harmful teacher."""


def main() -> None:
    args = _arguments()
    try:
        _run(args)
    except AgentKitError as error:
        sys.exit(f"error: {error}")


def _run(args: argparse.Namespace) -> None:
    streams = _streams(args)
    runs = [
        replace(run, order=place * args.orders + run.order)
        for place, found in enumerate(streams)
        for run in _compared(args, found)
    ]
    report = stream_report(runs)
    results = Results("streams", settings=vars(args), label=args.label)
    for arm in report["arms"]:
        _rows(results, arm, args)
    for place, found in enumerate(streams if len(streams) > 1 else []):
        _own_rows(results, found.name, [run for run in runs if run.order // args.orders == place])
    args.out.mkdir(parents=True, exist_ok=True)
    draw_stream(report, args.out / f"streams-{args.label}.png")
    results.finish(json_=args.json, folder=args.out)


def _rows(results: Results, arm: Mapping[str, Any], args: argparse.Namespace) -> None:
    """One arm's figures, with the targets of `ours`."""

    def add(metric: str, found: Mapping[str, Any] | None, **more: Any) -> None:
        ours = arm["name"] == "ours"
        wanted = HARMED if args.harm else {**ALWAYS, **WANTED.get((args.name, args.feedback), {})}
        if found is not None:
            target = wanted.get(metric, "") if ours else ""
            results.add(arm=arm["name"], metric=metric, **found, target=target, **more)

    add("success", arm["stream"], curve=[round(value, 3) for value in arm["curve"]], forms=arm["forms"])
    for number, quarter in enumerate(arm["quarters"], 1):
        add(f"success, quarter {number}" if number < len(arm["quarters"]) else "success, last quarter", quarter)
    add("hold-out", arm["holdout"])
    add("hold-out, unseen kinds", arm["unseen"])
    add("forgotten", arm["forgotten"])
    if "gain" in arm:
        add("normalised gain", {"value": arm["gain"], "n": arm["stream"]["n"]})
    for other, found in arm["over"].items():
        for part, compared in found.items():
            behind = "" if part == "stream" else f", {part}"
            add(f"more than {other}{behind}", compared["difference"], p=compared["p"])
    add("tokens a task", {"value": arm["tokens"], "n": arm["stream"]["n"]})
    if arm.get("tokens_ratio") is not None:
        add("tokens, times stateless", {"value": arm["tokens_ratio"], "n": arm["stream"]["n"]})
    add("seconds a task", {"value": arm["seconds"], "n": arm["stream"]["n"]})


def _own_rows(results: Results, name: str, runs: Sequence[ArmRun]) -> None:
    """The results of one of several streams."""
    for arm in stream_report(runs)["arms"]:
        results.add(arm=arm["name"], metric=f"success, {name}", **arm["stream"])


def _arguments() -> argparse.Namespace:
    parser = arguments("streams", "what experience is worth along a stream of tasks")
    parser.add_argument("--set", choices=list(SETS), required=True, dest="name")
    parser.add_argument("--data", type=Path, help="folder of the set (default: streams/SET below AGENTKIT_DATA)")
    parser.add_argument("--holdout", type=Path, help="a folder of the same set whose tasks are the hold-out")
    parser.add_argument("--model", default="local/qwen2.5-coder-1.5b")
    parser.add_argument("--tasks", type=int, default=200, help="tasks of the stream")
    parser.add_argument("--skip", type=int, default=0, help="leave out this many of the shuffled tasks at the start")
    parser.add_argument("--kept", type=int, default=100, help="tasks of the hold-out")
    parser.add_argument("--unseen", type=int, default=0, help="tasks of unseen kinds, if the set has such")
    parser.add_argument("--streams", type=int, default=5, help="the largest streams of a set that has several")
    parser.add_argument("--orders", type=int, default=1)
    parser.add_argument("--feedback", choices=get_args(FeedbackKind), default="corrections")
    parser.add_argument("--harm", type=float, default=0.0, help="share of the tasks with a wrong correction")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-tokens", type=int, default=200, help="the most tokens of one answer")
    parser.add_argument("--home", type=Path, default=Path("build/benchmarks/streams"), help="keeps every run")
    args = parser.parse_args()
    if args.label == "default":
        args.label = f"{args.name}-{args.feedback}"
    return args


def _streams(args: argparse.Namespace) -> list[StreamSet]:
    folder = data_path(args.data, *(("formula",) if args.name == "formula" else ("streams", args.name)))
    return read_set(args.name, folder, seed=args.seed)[: args.streams]


def _compared(args: argparse.Namespace, found: StreamSet) -> list[ArmRun]:
    """One stream with all arms; if there are several streams, each counts as one order."""
    tasks = found.tasks[args.skip : args.skip + args.tasks]
    kept = found.tasks[args.skip + args.tasks :]
    if args.holdout is not None:
        kept = next(one.tasks for one in read_set(args.name, args.holdout, seed=args.seed) if one.name == found.name)
    kept = kept[: args.kept]
    unseen = found.unseen[: args.unseen]
    settings = load_settings(home=args.home.resolve(), model=args.model, tools=[])
    model: Any = None

    def opened() -> Any:
        nonlocal model
        model = model or load_model(args.model, **({} if args.model.startswith("replay/") else _limits(args)))
        return model

    key = digest([[task.model_dump(exclude={"checker"}) for task in (*tasks, *kept)], args.model, args.feedback,
                  args.seed, args.harm, args.max_tokens])[:12]  # fmt: skip
    plan = StreamPlan(
        tasks=tasks, holdout=kept, unseen=unseen, arms=args.arms, orders=args.orders, feedback=args.feedback,
        harm=args.harm, seed=args.seed, folder=settings.home / f"{args.label}-{key}", model=opened,
    )  # fmt: skip
    return run_sync(compare_arms(plan, settings, on_answer=_tell))


def _limits(args: argparse.Namespace) -> dict[str, int]:
    return {"max_tokens": args.max_tokens}


def _tell(arm: str, order: int, place: int, answered: StreamAnswer) -> None:
    if place % 10 == 9:
        print(f"{arm}, order {order + 1}: {place + 1} tasks", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
