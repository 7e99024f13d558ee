"""`python -m benchmarks.streams`: the sets as tasks, what comes out, and a pass that is repeated."""

from __future__ import annotations

import json
import runpy
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from benchmarks import streams
from benchmarks._stream_sets import read_set


def bank(folder: Path, count: int = 48) -> Path:
    """Messages of three kinds, whose words tell them apart."""
    folder.mkdir()
    words = ("parcel", "refund", "password")
    rows = [{"text": f"about the {words[n % 3]} of order {n}", "label": words[n % 3]} for n in range(count)]
    (folder / "train.jsonl.gz").write_bytes(_packed(rows))
    return folder


def _packed(rows: list[dict[str, Any]]) -> bytes:
    import gzip

    return gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())


def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *words: str) -> dict[tuple[str, str], Any]:
    """The rows that the benchmark writes."""
    monkeypatch.setenv("AGENTKIT_EMBEDDER", "hash-256")
    given = ["streams", *words, "--home", str(tmp_path / "home"), "--out", str(tmp_path / "out"), "--label", "t"]
    monkeypatch.setattr(sys, "argv", given)
    streams.main()
    found = json.loads((tmp_path / "out" / "streams-t.json").read_text())
    return {(row["arm"], row["metric"]): row for row in found["rows"]}


def test_a_pass_that_is_repeated_gives_the_same_figures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = bank(tmp_path / "bank")
    words = ("--set", "banking77", "--data", str(data), "--arms", "neighbours", "--tasks", "32", "--kept", "16")
    first = ran(monkeypatch, tmp_path, *words)
    assert first["neighbours", "success"]["n"] == 32 and first["neighbours", "hold-out"]["n"] == 16
    assert 0.6 < first["neighbours", "success"]["value"] < 1
    again = ran(monkeypatch, tmp_path, *words)
    assert again["neighbours", "success"] == first["neighbours", "success"]
    assert (tmp_path / "out" / "streams-t.png").stat().st_size > 5000


def test_a_folder_of_its_own_is_the_hold_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data, other = bank(tmp_path / "bank"), bank(tmp_path / "other", 9)
    words = ("--set", "banking77", "--data", str(data), "--holdout", str(other), "--arms", "neighbours")
    rows = ran(monkeypatch, tmp_path, *words)
    assert rows["neighbours", "success"]["n"] == 48 and rows["neighbours", "hold-out"]["n"] == 9


def test_what_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="holds none of train"):
        ran(monkeypatch, tmp_path, "--set", "clinc150", "--data", str(tmp_path / "empty"))
    with pytest.raises(SystemExit, match="at least two tasks"):
        one = bank(tmp_path / "one", 1)
        ran(monkeypatch, tmp_path, "--set", "banking77", "--data", str(one), "--arms", "neighbours")
    with pytest.raises(SystemExit, match=r"can't be reached: no such file"):
        ran(monkeypatch, tmp_path, "--set", "geoquery", "--data", str(tmp_path / "empty"))


def test_it_is_a_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["streams", "--help"])
    monkeypatch.delitem(sys.modules, "benchmarks.streams")
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("benchmarks.streams", run_name="__main__")
    assert "--feedback" in capsys.readouterr().out


def test_questions_of_a_database_are_tasks_whose_sql_is_run(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "geography.sqlite")) as made:
        made.executescript("CREATE TABLE peak (name text, height int); INSERT INTO peak VALUES ('a', 1)")
    rows = [
        {"id": 0, "question": "which", "sql": "SELECT name FROM peak", "query_split": "train", "empty": False},
        {"id": 1, "question": "none", "sql": "SELECT name FROM peak", "query_split": "train", "empty": True},
        {"id": 2, "question": "rare", "sql": "SELECT height FROM peak", "query_split": "dev", "empty": False},
    ]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (found,) = read_set("geoquery", tmp_path)
    assert [task.id for task in found.tasks] == ["0"] and [task.id for task in found.unseen] == ["2"]
    assert "CREATE TABLE peak" in (found.tasks[0].instructions or "") and found.tasks[0].input == "which"
