"""`agentkit eval --ray`: the runs and the report of one process, whoever is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from agentkit.json_types import JsonObject
from agentkit.store import Store
from agentkit.store.runs import ModelCallRow, RunRow
from tests.support.stub_server import stub_server

from .nodes import in_full, nodes

ROOT = Path(__file__).resolve().parents[2]
TASKS = 16
pytestmark = [pytest.mark.timeout(900), pytest.mark.kill]
"""To start Ray and its workers takes seconds on an idle machine, and a minute on a busy one."""


@pytest.fixture
def server() -> Iterator[str]:
    with stub_server(1) as url:
        yield url


@pytest.fixture
def tasks() -> Path:
    """A file of tasks, every third of which the server gets wrong."""
    path = Path("tasks.jsonl").resolve()
    rows = [{"id": f"t{n}", "input": f"What is task {n}?", "target": "42" if n % 3 else "41"} for n in range(TASKS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def started(home: Path, tasks: Path, url: str, *more: str) -> subprocess.Popen[str]:
    options = ["--model", "openai/gpt-4.1-mini", "--api-base", url, "--tools", "calculator", "--concurrency", "4"]
    return subprocess.Popen(
        [sys.executable, "-m", "agentkit", "eval", str(tasks), *options, "--json", *more],
        env={**os.environ, "PYTHONPATH": str(ROOT), "AGENTKIT_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def report_of(process: subprocess.Popen[str]) -> JsonObject:
    """What it printed, without what differs between any two evaluations: the seconds."""
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    report: JsonObject = json.loads(out)
    for row in (report, *report["results"], *(row["usage"] for row in report["results"])):
        row.pop("seconds", None)
        row.pop("model_seconds", None)
    return report


def rows(home: Path) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """What the database holds of runs and of calls, without times and processes."""
    store = Store.open(home / "agentkit.db")
    runs = select(RunRow.id, RunRow.task, RunRow.status, RunRow.answer, RunRow.batch, RunRow.options)
    calls = select(ModelCallRow.run_id, ModelCallRow.key, ModelCallRow.request_hash, ModelCallRow.response)
    with store.read() as connection:
        found = [[tuple(row) for row in connection.execute(query)] for query in (runs, calls)]
    store.close()
    kept, made = (sorted(each, key=repr) for each in found)
    return kept, made


def asked(home: Path, what: str) -> list[str]:
    """One column of what the database holds while others write to it; nothing before there is any."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{home / 'agentkit.db'}?mode=ro", uri=True)) as database:
            return [row[0] for row in database.execute(what)]
    except sqlite3.OperationalError:
        return []


def done(home: Path) -> int:
    """Model calls that are complete."""
    return len(asked(home, f"SELECT key FROM {ModelCallRow.__tablename__}"))


def at_work(home: Path) -> list[int]:
    """The processes that are at a run."""
    owners = asked(home, f"SELECT owner FROM {RunRow.__tablename__} WHERE status = 'running'")
    return [int(owner.split(":")[1]) for owner in owners]


def served(url: str) -> int:
    """How many requests the server has answered."""
    reply = httpx.post(f"{url}/chat/completions", json={"model": "x", "messages": []}, timeout=30)
    return int(str(reply.json()["id"]).removeprefix("stub-"))


def until(holds: Callable[[], object], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 200
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "nothing came of it"
        time.sleep(0.1)


def test_runs_and_report_are_those_of_one_process_whoever_is_killed(tmp_path: Path, tasks: Path, server: str) -> None:
    pytest.importorskip("ray", reason="the ray extra is not installed")
    alone, many = tmp_path / "alone", tmp_path / "many"
    wanted = report_of(started(alone, tasks, server))
    begun = served(server) + 1  # its own question counts

    first = started(many, tasks, server, "--ray", "local", "--workers", "2")
    until(lambda: done(many) >= 3 and at_work(many), first)
    os.kill(at_work(many)[0], signal.SIGKILL)  # one of the two; Ray starts another
    until(lambda: done(many) >= 8, first)
    first.kill()
    first.communicate()  # closes its pipes
    kept = rows(many)[1]
    report = report_of(started(many, tasks, server, "--ray", "local", "--workers", "2"))

    assert report == wanted
    assert rows(many) == rows(alone)
    assert set(map(repr, kept)) <= set(map(repr, rows(many)[1])), "a completed call was lost or made again"
    cut_off = 2 + 4  # calls in flight at the worker, and at both when the driver was killed
    assert 0 <= served(server) - begun - TASKS <= cut_off, "completed calls were made again"


@in_full
def test_a_node_of_a_cluster_is_killed(
    tmp_path: Path, tasks: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="the ray extra is not installed")
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(name, "")  # `nodes` sets them; they are as they were afterwards
    with nodes(3) as (address, kill):
        process = started(tmp_path, tasks, server, "--ray", address, "--workers", "3")
        until(lambda: done(tmp_path) >= 3, process)
        kill()
        report = report_of(process)
    assert (report["n"], report["failed"], report["accuracy"]) == (TASKS, 0, 10 / TASKS)
    assert len(rows(tmp_path)[0]) == len(rows(tmp_path)[1]) == TASKS
    assert 0 <= served(server) - TASKS <= 4, "completed calls were made again"


@in_full
def test_a_shared_budget_stops_all_and_the_same_again_goes_on(tmp_path: Path, tasks: Path, server: str) -> None:
    pytest.importorskip("ray", reason="the ray extra is not installed")
    stopped = started(tmp_path, tasks, server, "--ray", "local", "--workers", "2", "--tokens", "100")
    out, err = stopped.communicate(timeout=400)
    assert (stopped.returncode, out) == (2, "")
    assert "shared by all workers, the budget of 100 tokens is used up" in err
    assert 0 < done(tmp_path) < TASKS
