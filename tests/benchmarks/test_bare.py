"""The bare call beside the agent: tasks as users ask them, rows that outlive a stop, figures that follow the rows."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from benchmarks import _families, bare
from benchmarks._results import Results


def packed(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    labels = [{"text": f"text {number}", "label": f"label{number % 3}"} for number in range(30)]
    packed(tmp_path / "streams/banking77/train.jsonl.gz", labels)
    outside = [{"text": f"outside {number}", "label": "oos"} for number in range(30)]
    packed(tmp_path / "streams/clinc150/val.jsonl.gz", labels + outside)
    database = tmp_path / "streams/geoquery/geography.sqlite"
    database.parent.mkdir()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE lake (name TEXT)")
    row = {"id": 1, "question": "Which lakes?", "sql": "SELECT name FROM lake", "empty": False}
    packed(tmp_path / "streams/geoquery/questions.jsonl", [row, row | {"id": 2, "empty": True}])
    return tmp_path


def test_a_message_is_the_input_and_the_categories_are_instructions(data: Path) -> None:
    tasks = _families.load("banking77", data, 10)
    assert len(tasks) == len({task.id for task in tasks}) == 10
    assert tasks == _families.load("banking77", data, 10)
    assert tasks[0].choices == ("label0", "label1", "label2")
    assert tasks[0].input.startswith("text ")
    assert "label2" in str(tasks[0].instructions)


def test_one_row_in_five_of_clinc150_is_out_of_scope_and_no_choice_says_so(data: Path) -> None:
    tasks = _families.load("clinc150", data, 20)
    assert sum(task.target == "oos" for task in tasks) == 4
    assert all("oos" not in (task.choices or ()) for task in tasks)


def test_a_question_comes_with_its_schema_and_without_those_that_find_nothing(data: Path) -> None:
    [task] = _families.load("geoquery", data, 10)
    assert "CREATE TABLE" in str(task.instructions)
    assert bare._score(task, "SELECT * FROM lake") == 1.0
    assert bare._score(task, "SELECT 1") == 0.0


def test_rows_that_are_there_are_not_answered_again(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"arm": "bare", "id": "a", "score": 1.0}\n{"arm": "bare", "id": "b", "sco', encoding="utf-8")
    assert list(bare.finished(rows)) == [("bare", "a")]


def test_the_figures_are_those_of_the_rows(data: Path, tmp_path: Path) -> None:
    tasks = _families.load("clinc150", data, 100)
    done = {}
    for number, task in enumerate(tasks):
        sure = -0.1 if task.target != "oos" else -3.0
        features = {"total": sure, "lowest": sure, "entropy": -0.1, "free": 0.0, "margin": sure, "judge": 0.0}
        row = {
            "answer": "label0",
            "calls": 1,
            "read": 10,
            "written": 2,
            "seconds": 1.0,
            "wall": 1.0,
            "features": features | {"agreement": 0.0},
            "score": float(number % 2),
        }
        done["bare", task.id] = row
        done["agent", task.id] = row | {"score": 1.0, "seconds": 2.0}
    results = Results("bare")
    bare.report(results, "clinc150", ["bare", "agent"], tasks, done)
    found = {(row["arm"], row["metric"]): row for row in results.rows}
    accuracy = found["bare", "accuracy"]["value"]
    assert found["agent", "accuracy less bare"]["value"] == pytest.approx(1 - accuracy)
    assert found["agent", "model seconds by those of bare"]["value"] == 2.0
    assert found["bare", "tokens a task"]["value"] == 12
    assert found["agent", "out of scope declined, F1"]["value"] == 1.0
