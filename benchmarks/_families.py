"""Families of tasks as a user would ask them: instructions separate from the input, and a form for the answer if it has
one."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from agentkit.ledger import digest
from agentkit.tasks import Task
from agentkit.tools.database import open_database
from benchmarks import _bfcl
from benchmarks._results import data_path

OUT_OF_SCOPE = "oos"
"""The label of rows that fit no category: declining them is right."""
_OUTSIDE = 5
"""One row in this many is out of scope, about as in the published test part of CLINC150 (1,000 of 5,500)."""
_SQL = (
    "Write one SQLite SELECT statement that answers the question on the database below. Reply with the SQL alone.\n\n"
)


def load(family: str, folder: Path | None, limit: int, *, seed: int = 0) -> list[Task]:
    """The first tasks of a family, in an order determined by the seed.

    Args:
        folder: laid out like the data folder; None takes AGENTKIT_DATA.
    """
    return FAMILIES[family](folder, limit, seed)


def ordered(rows: list[Any], seed: int) -> list[Any]:
    """Rows in a random but reproducible order."""
    return sorted(rows, key=lambda row: digest([seed, row]))


def read(folder: Path | None, *parts: str) -> list[dict[str, Any]]:
    """The rows of a JSONL file, compressed or not."""
    path = data_path(None if folder is None else folder.joinpath(*parts), *parts)
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def banking77(folder: Path | None, limit: int, seed: int) -> list[Task]:
    rows = read(folder, "streams", "banking77", "train.jsonl.gz")
    return list(_sorted("banking77", "message of a bank's customer", rows, ordered(rows, seed)[:limit]))


def clinc150(folder: Path | None, limit: int, seed: int) -> list[Task]:
    rows = read(folder, "streams", "clinc150", "val.jsonl.gz")
    outside = ordered([row for row in rows if row["label"] == OUT_OF_SCOPE], seed)[: limit // _OUTSIDE]
    inside = ordered([row for row in rows if row["label"] != OUT_OF_SCOPE], seed)[: limit - len(outside)]
    return list(_sorted("clinc150", "request to an assistant", rows, ordered([*inside, *outside], seed)))


def _sorted(name: str, kind: str, rows: list[Any], chosen: list[Any]) -> Iterator[Task]:
    labels = sorted({str(row["label"]) for row in rows} - {OUT_OF_SCOPE})
    told = f"Sort the {kind} into one of these categories and answer with the category alone: {', '.join(labels)}."
    for number, row in enumerate(chosen):
        yield Task(
            id=f"{name}-{number}-{digest(row)[:8]}",
            input=row["text"],
            instructions=told,
            choices=tuple(labels),
            target=row["label"],
            metadata={"category": row["label"]},
        )


def humaneval(folder: Path | None, limit: int, seed: int) -> list[Task]:
    told = "Complete the function. Reply with the whole function in one Python code block and nothing else."
    rows = read(folder, "humaneval", "HumanEval.jsonl.gz")
    return [
        Task(
            id=row["task_id"].replace("/", "-"),
            input=row["prompt"],
            instructions=told,
            checker={"name": "tests", "code": f"{row['test']}\ncheck({row['entry_point']})\n"},
        )
        for row in ordered(rows, seed)[:limit]
    ]


def formula(folder: Path | None, limit: int, seed: int) -> list[Task]:
    rows = read(folder, "formula", "val.jsonl")
    return [
        Task(
            id=f"formula-{number}-{digest(row)[:8]}",
            input=row["context"],
            target=str(row["target"]),
            checker={"name": "numeric"},
        )
        for number, row in enumerate(ordered(rows, seed)[:limit])
    ]


def geoquery(folder: Path | None, limit: int, seed: int) -> list[Task]:
    base = ("streams", "geoquery")
    rows = [row for row in read(folder, *base, "questions.jsonl") if not row["empty"]]
    database = data_path(folder and folder.joinpath(*base, "geography.sqlite"), *base, "geography.sqlite")
    told = _SQL + open_database(database).schema()
    return [
        Task(
            id=f"geoquery-{row['id']}",
            input=row["question"],
            instructions=told,
            target=row["sql"],
            checker={"name": "sql", "database": str(database)},
        )
        for row in ordered(rows, seed)[:limit]
    ]


def spider(folder: Path | None, limit: int, seed: int) -> list[Task]:
    """The questions of one database follow each other, as in practice."""
    base = ("streams", "spider")
    path = data_path(folder and folder.joinpath(*base, "questions.jsonl"), *base, "questions.jsonl")
    rows = ordered(read(folder, *base, "questions.jsonl"), seed)[:limit]
    return [_spider(row, path.parent) for row in sorted(rows, key=lambda row: str(row["db_id"]))]


def _spider(row: dict[str, Any], folder: Path) -> Task:
    database = folder / "database" / row["db_id"] / f"{row['db_id']}.sqlite"
    suites = [str(folder / name) for name in row["suites"]]
    return Task(
        id=f"spider-{row['id']}",
        input=row["question"],
        target=row["sql"],
        instructions=_SQL + open_database(database).schema(),
        checker={"name": "sql", "database": str(database), "suites": suites},
    )


FAMILIES: dict[str, Callable[[Path | None, int, int], list[Task]]] = {
    "banking77": banking77,
    "clinc150": clinc150,
    "humaneval": humaneval,
    "formula": formula,
    "geoquery": geoquery,
    "spider": spider,
    "bfcl": _bfcl.tasks,
}
CALLS = frozenset({"bfcl"})
"""Families whose answer is a call of a tool that comes with the task."""
CLOSED = frozenset({"banking77", "clinc150"})
"""Families whose answer is one of several choices."""
