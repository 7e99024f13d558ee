"""The sets of `benchmarks.streams` as tasks: the question, the form of the answer, and how to tell whether an answer is
right.

Each is read from a folder with the files as published, laid out as in AGENTKIT_DATA/streams/SET.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentkit.ledger import digest
from agentkit.tasks import Task, read_jsonl
from agentkit.text import parse_json
from agentkit.tools.database import open_database
from benchmarks import _formula


@dataclass(frozen=True, kw_only=True)
class StreamSet:
    """One stream's tasks.

    Attributes:
        name: of the stream, if a set has several.
        tasks: in the order of the stream, followed by a hold-out if it has no folder of its own.
        unseen: tasks of kinds that occur nowhere else, if the set marks them.
    """

    name: str = ""
    tasks: Sequence[Task]
    unseen: Sequence[Task] = ()


def read_set(name: str, folder: Path, *, seed: int = 0) -> list[StreamSet]:
    """The streams of a set, each in its own order determined by the seed."""
    found = SETS[name](folder)
    return [
        replace(one, tasks=_formula.sample(list(one.tasks), None, seed=seed),
                unseen=_formula.sample(list(one.unseen), None, seed=seed)) for one in found
    ]  # fmt: skip


SQL = """\
Write one SQLite query that answers the question about this database. Reply with the SQL alone.

"""


def _geoquery(folder: Path) -> list[StreamSet]:
    """Questions with an answer; those whose template occurs in `query_split: dev` are held out."""
    database = folder / "geography.sqlite"
    told = SQL + open_database(database).schema()
    rows = [row for row in _rows(folder / "questions.jsonl") if not row["empty"]]
    tasks = {split: [_query(row, told, database) for row in rows if row["query_split"] == split]
             for split in ("train", "dev", "test")}  # fmt: skip
    return [StreamSet(tasks=tasks["train"] + tasks["test"], unseen=tasks["dev"])]


def _spider(folder: Path) -> list[StreamSet]:
    """Each database as its own stream, the largest first."""
    by_database: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(folder / "questions.jsonl"):
        by_database.setdefault(row["db_id"], []).append(row)
    found = []
    for name, rows in sorted(by_database.items(), key=lambda item: (-len(item[1]), item[0])):
        database = folder / "database" / name / f"{name}.sqlite"
        told = SQL + open_database(database).schema()
        tasks = [_query(row, told, database, [folder / suite for suite in row["suites"]]) for row in rows]
        found.append(StreamSet(name=name, tasks=tasks))
    return found


def _query(row: dict[str, Any], told: str, database: Path, suites: Sequence[Path] = ()) -> Task:
    checker = {"name": "sql", "database": str(database), "suites": [str(suite) for suite in suites]}
    return Task(id=str(row["id"]), input=row["question"], instructions=told, target=row["sql"], checker=checker)


def _ddxplus(folder: Path) -> list[StreamSet]:
    return _closed(folder, ["patients.jsonl.gz"], "Diagnose the patient.")


def _banking77(folder: Path) -> list[StreamSet]:
    return _closed(folder, ["train.jsonl.gz", "test.jsonl.gz"], "Say what the bank's customer wants.")


def _clinc150(folder: Path) -> list[StreamSet]:
    return _closed(folder, ["train.jsonl.gz", "val.jsonl.gz", "test.jsonl.gz"], "Say what the user wants.")


def _closed(folder: Path, names: Iterable[str], told: str) -> list[StreamSet]:
    """Texts whose answer is one of the labels that occur; all existing files of those names, in one stream."""
    files = [folder / name for name in names if (folder / name).exists()]
    if not files:
        sys.exit(f"error: {folder} holds none of {', '.join(names)}")
    rows = [row for file in files for row in _rows(file)]
    choices = tuple(sorted({row["label"] for row in rows}))
    told = f"{told} Answer with one of: {', '.join(choices)}."
    unique = {row["text"]: row for row in rows}
    tasks = [Task(id=digest([text])[:12], input=text, instructions=told, choices=choices, target=row["label"],
                  checker="exact") for text, row in unique.items()]  # fmt: skip
    return [StreamSet(tasks=tasks)]


def _financial(folder: Path) -> list[StreamSet]:
    """The Formula set, with the text of each formula."""
    files = [folder / name for name in ("train.jsonl", "val.jsonl", "test.jsonl") if (folder / name).exists()]
    if not files:
        sys.exit(f"error: {folder} holds no train.jsonl, val.jsonl or test.jsonl")
    tasks = [task for file in files for task in _formula.load(file, tolerance=0.005, split=file.stem)]
    return [StreamSet(tasks=_formula.without_bad(tasks))]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file, compressed or not; ends the program with one line if it is missing."""
    if not path.exists():
        sys.exit(f"error: {path} is missing")
    if path.suffix != ".gz":
        yield from (row for _, row in read_jsonl(path))
        return
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from (parse_json(line, path=path, line=number) for number, line in enumerate(lines, 1) if line.strip())


SETS: dict[str, Callable[[Path], list[StreamSet]]] = {
    "geoquery": _geoquery,
    "ddxplus": _ddxplus,
    "banking77": _banking77,
    "clinc150": _clinc150,
    "spider": _spider,
    "formula": _financial,
}
"""By name."""
