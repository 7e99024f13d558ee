"""Formula: financial questions with or without the formula's text, before and after learning, scored exactly and with
tolerance.

    python -m benchmarks.formula [--model local/qwen2.5-coder-1.5b] [--train-n 64] [--val-n 80] [--test-n 100]

Arms: the question alone and the full text, each with a playbook, a memory, or both. Rows whose published label is wrong
are listed in formula_bad_labels.jsonl; `--clean` leaves them out of every set.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from agentkit.agent import Agent
from agentkit.aio import run_sync
from agentkit.checkers import get_checker
from agentkit.evolution.arms import Arm
from agentkit.evolution.harness import trials_for
from agentkit.tasks import Task
from benchmarks import _formula
from benchmarks._evolving import agent_for, arm_rows, both, learn, options, rows
from benchmarks._results import Results, data_path, share

TOLERANCE = 0.005
TOOLS = ["calculate_answer"]


def main() -> None:
    parser = options("formula", "accuracy on Formula before and after learning")
    parser.add_argument("--arms", nargs="+", choices=["full", "question"], default=["full", "question"])
    parser.add_argument("--formulas", type=int, help="keep only this many of the 50 formulas, drawn at random")
    parser.add_argument("--clean", action="store_true", help="leave out rows whose label is known to be wrong")
    parser.add_argument("--baseline-only", action="store_true", help="score before learning and stop")
    args = parser.parse_args()
    results = Results("formula", settings=vars(args), label=args.label)
    train_file = data_path(args.train, "formula", "train.jsonl")
    val_file = data_path(args.val, "formula", "val.jsonl")
    for arm in args.arms:
        train = _formula.sample(_rows(args, train_file, arm, "train"), args.train_n, seed=args.seed)
        held = _formula.sample(_rows(args, val_file, arm, "val"), None)
        test, val = held[: args.test_n], held[args.test_n : args.test_n + args.val_n]
        with agent_for(args, "formula", TOOLS) as agent:
            _baseline(results, agent, arm, test, args.seed)
        learned = {}
        for what in [] if args.baseline_only else args.learn:
            with agent_for(args, "formula", TOOLS) as agent:
                if what == "both" and len(learned) == 2:
                    _both(results, *both(agent, args, arm, test, learned), arm)
                else:
                    learned[what] = learn(agent, args, arm, train, val, test, what)
                    target = "≥ +0.15" if arm == "full" else ""
                    rows(results, learned[what], f"{arm}, {what}", folder=args.out, target=target)
            results.save(args.out)
    results.note("random controls must stay near zero for a gain to count as learned")
    results.finish(json_=args.json, folder=args.out)


def _both(results: Results, start: Arm, shown: Arm, arm: str) -> None:
    arm_rows(results, shown.to_json(start), f"{arm}, playbook and memory learned apart", target="≥ +0.15")


def _rows(args: argparse.Namespace, path: Path, arm: str, split: str) -> list[Task]:
    tasks = _formula.load(path, arm=arm, split=split)
    if args.formulas:
        tasks = _formula.of_formulas(tasks, args.formulas, seed=args.seed)
    return _formula.without_bad(tasks) if args.clean else tasks


def _baseline(results: Results, agent: Agent, arm: str, tasks: list[Task], seed: int) -> None:
    """Exact and tolerant scores before learning, with and without the labels known to be wrong."""
    trials = trials_for(agent, seed=seed)
    made = run_sync(trials.many(tasks, []))
    bad = _formula.bad_labels()
    for name, rel in (("exact", 0.0), (f"within {TOLERANCE:.1%}", TOLERANCE)):
        checker = get_checker({"name": "numeric", "rel": rel})
        hits = {
            task.id: (run_sync(checker.check(trial.answer or "", task)).score or 0.0)
            for task, trial in zip(tasks, made, strict=True)
        }
        results.add(arm=f"{arm}: before learning", metric=f"accuracy, {name}", **share(sum(hits.values()), len(hits)))
        good = [score for id, score in hits.items() if id not in bad]
        results.add(
            arm=f"{arm}: before learning", metric=f"accuracy, {name}, sound labels", **share(sum(good), len(good))
        )


if __name__ == "__main__":
    main()
