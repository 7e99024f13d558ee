"""`evolve` and `eval stream` with `--ray`: runs on workers, and the ledger of one process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from agentkit.json_types import JsonObject
from agentkit.ledger import Ledger
from agentkit.store import Store
from tests.support.stub_server import stub_server

from .nodes import in_full, workers_of
from .test_eval_on_ray import ROOT, done, until

RAY = ("--ray", "local", "--workers", "2")
pytestmark = [pytest.mark.timeout(900), pytest.mark.kill]


@pytest.fixture
def server() -> Iterator[str]:
    with stub_server(0.2, rule="lessons") as url:
        yield url


def tasks(name: str, count: int) -> str:
    """A file of tasks that the server gets wrong until it is told the lesson."""
    rows = [
        {"id": f"{name}{n}", "input": f"How many parcels has {name} lot {n}?", "target": "7", "checker": "exact"}
        for n in range(count)
    ]
    Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return f"{name}.jsonl"


def started(home: Path, url: str, *command: str) -> subprocess.Popen[str]:
    settings = {"AGENTKIT_HOME": str(home), "AGENTKIT_API_BASE": url, "AGENTKIT_EMBEDDER": "hash-64"}
    learns = ["--model", "openai/gpt-4.1-mini", "--playbook", "p", "--memory", "m", "--json"]
    return subprocess.Popen(
        [sys.executable, "-m", "agentkit", *command, *learns],
        env={**os.environ, "PYTHONPATH": str(ROOT), **settings, "AGENTKIT_CONCURRENCY": "4"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def report_of(process: subprocess.Popen[str]) -> JsonObject:
    """What it printed, without seconds and paths."""
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return dict(without(json.loads(out)))


def without(value: Any, names: tuple[str, ...] = ("seconds", "files")) -> Any:
    """JSON without fields of these names: times and paths, in which any two runs differ."""
    if isinstance(value, dict):
        return {name: without(item, names) for name, item in value.items() if name not in names}
    return [without(item, names) for item in value] if isinstance(value, list) else value


def ledger(home: Path) -> list[Any]:
    """Every change with all that was decided about it, in order, without times; each chain of hashes verifies."""
    store = Store.open(home / "agentkit.db")
    log = Ledger(store)
    for target in log.targets():
        log.verify(target)
    rows = [
        [{**vars(change), "created_at": None, "id": change.id}]
        + [(event.status, event.verdict, event.version) for event in log.events(change.id)]
        for change in log.history()
    ]
    store.close()
    return rows


@in_full
@pytest.mark.parametrize("kind", ["evolve", "stream"])
def test_what_is_learnt_is_what_one_process_learns_whoever_is_killed(kind: str, tmp_path: Path, server: str) -> None:
    pytest.importorskip("ray", reason="the ray extra is not installed")
    if kind == "evolve":
        command = ["evolve", tasks("train", 8), "--val", tasks("val", 24), "--test", tasks("test", 6), "--batch", "4"]
    else:
        command = ["eval", "stream", tasks("train", 12), "--probes", tasks("probe", 6), "--block", "4"]
    alone, many = tmp_path / "alone", tmp_path / "many"
    wanted = report_of(started(alone, server, *command))
    process = started(many, server, *command, *RAY)
    until(lambda: done(many) >= 3 and workers_of(psutil.Process(process.pid)), process)
    os.kill(workers_of(psutil.Process(process.pid))[0], signal.SIGKILL)
    assert report_of(process) == wanted
    assert ledger(many) == ledger(alone)
    assert any(row[0]["target"] == "playbook:p" and row[0]["status"] == "applied" for row in ledger(alone))
