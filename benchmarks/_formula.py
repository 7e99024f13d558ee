"""The Formula set: its rows as tasks, with or without the text of the formula."""

from __future__ import annotations

import json
import re
from pathlib import Path

from agentkit.ledger import digest
from agentkit.tasks import Task, read_jsonl

_PARTS = re.compile(
    r"(?s)^Use formula (?P<name>.+?) to answer the question\. (?P<format>Answer with .+?)\s*Formula:(?P<formula>.*?)"
    r"Question:\s*\"?(?P<question>.*?)\"?\.?\s*Answer:\s*$"
)

BAD_LABELS = Path(__file__).with_name("formula_bad_labels.jsonl")


def load(path: Path, *, arm: str = "full", tolerance: float | None = None, split: str = "") -> list[Task]:
    """Formula rows as tasks.

    Args:
        arm: "full" keeps the formula's text; "question" keeps only the question and the format, as ACE's parser does.
        tolerance: relative tolerance of the score; None asks for exact equality.
        split: first part of each task's id.
    """
    checker = {"name": "numeric", "rel": tolerance or 0.0}
    tasks = []
    for number, row in read_jsonl(path):
        text = str(row["context"])
        found = _PARTS.match(text)
        name = found["name"].strip() if found else "?"
        shown = text if arm == "full" or found is None else f"{found['format']}\nQuestion: {found['question']}\nAnswer:"
        tasks.append(
            Task(
                id=f"{split}{number}",
                input=shown,
                target=str(row["target"]),
                checker=checker,
                metadata={"category": name} | ({"context": text} if arm == "question" else {}),
            )
        )
    return tasks


def bad_labels() -> dict[str, str]:
    """Ids of rows whose published label is wrong, with the reason."""
    if not BAD_LABELS.exists():
        return {}
    rows = (json.loads(line) for line in BAD_LABELS.read_text(encoding="utf-8").splitlines() if line.strip())
    return {f"{row['split']}{row['line']}": row["reason"] for row in rows}


def without_bad(tasks: list[Task]) -> list[Task]:
    bad = bad_labels()
    return [task for task in tasks if task.id not in bad]


def of_formulas(tasks: list[Task], count: int, *, seed: int = 0) -> list[Task]:
    """The tasks of some formulas, drawn at random; the same formulas for every file that contains all of them."""
    names = sorted({str(task.metadata["category"]) for task in tasks}, key=lambda name: digest([seed, name]))
    return [task for task in tasks if task.metadata["category"] in names[:count]]


def sample(tasks: list[Task], count: int | None, *, seed: int = 0) -> list[Task]:
    """A fixed random sample, in a fixed order; all of them if `count` is None."""
    ordered = sorted(tasks, key=lambda task: digest([seed, task.id]))
    return ordered if count is None else ordered[:count]
