"""FiNER: four of 139 US-GAAP tags per row, scored per tag; before and after learning.

python -m benchmarks.finer [--model …] [--train-n 64] [--val-n 60] [--test-n 60]
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from agentkit.tasks import Task
from benchmarks._evolving import agent_for, learn, options, rows
from benchmarks._formula import sample
from benchmarks._results import Results, data_path

LEARN_ROWS = 350
"""The published training file is missing: the first 350 rows of the validation file are learned from instead."""


def main() -> None:
    args = options("finer", "accuracy a tag on FiNER before and after learning").parse_args()
    results = Results("finer", settings=vars(args), label=args.label)
    tasks = load(data_path(args.val, "finer", "val500.jsonl.gz"))
    train = sample(tasks[:LEARN_ROWS], args.train_n, seed=args.seed)
    held = sample(tasks[LEARN_ROWS:], None)
    test, val = held[: args.test_n], held[args.test_n : args.test_n + args.val_n]
    with agent_for(args, "finer", []) as agent:
        for what in args.learn:
            rows(results, learn(agent, args, "finer", train, val, test, what), what, folder=args.out)
    results.finish(json_=args.json, folder=args.out)


def load(path: Path) -> list[Task]:
    """Rows as tasks; a row that occurs twice is kept once."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    lines = list(dict.fromkeys(line for line in text.split("\n") if line.strip()))
    found = [json.loads(line) for line in lines]
    return [
        Task(id=f"finer{number}", input=row["context"], target=row["target"], checker="finer")
        for number, row in enumerate(found)
    ]


if __name__ == "__main__":
    main()
