"""Texts on workers: the memory of one process, whoever is killed."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from agentkit.cli.memory import app
from agentkit.distributed import embedder_on
from agentkit.distributed.embedding import PART, TextWorker
from agentkit.embedding import HashEmbedder
from agentkit.errors import ModelFileError, UserError
from agentkit.ledger import Ledger
from agentkit.memory import CaseMemory
from agentkit.memory.opening import stored_cases
from agentkit.memory.transfer import export_cases, import_cases
from agentkit.settings import Settings
from agentkit.store import Store
from agentkit.store.cases import CaseRow, CaseVectorRow, MemoryRow

from .here import HereCluster
from .nodes import workers_of
from .test_eval_on_ray import ROOT, until

Content = tuple[list[str], list[Any], list[Any], list[int]]


@pytest.fixture(autouse=True)
def ray() -> None:
    pytest.importorskip("ray", reason="the ray extra is not installed")  # its errors are told from others


def write_cases(path: Path, count: int, words: int = 12) -> Path:
    """A file of cases; each state is of so many words, and every third state occurs twice."""
    rows = []
    for number in range(count):
        state = " ".join(f"parcel{(number - (number % 3 == 2)) * word}" for word in range(1, words + 1))
        made = {"id": f"c{number}", "state": state, "plan": f"count lot {number}", "created_at": "2026-01-01T00:00:00Z"}
        rows.append(json.dumps(made) + "\n")
    path.write_text("".join(rows), encoding="utf-8")
    return path


def content(database: str) -> Content:
    """A memory: its cases in their order, their vectors, its embedder, and the versions of its ledger."""
    store = Store.open(database)
    memory = stored_cases(store)
    assert memory is not None
    with store.read() as connection:
        order = [tuple(row) for row in connection.execute(select(CaseRow.seq, CaseRow.id).order_by(CaseRow.seq))]
        columns = (CaseVectorRow.embedder, CaseVectorRow.hash, CaseVectorRow.vector)
        vectors = sorted(tuple(row) for row in connection.execute(select(*columns)))
        made = [tuple(row) for row in connection.execute(select(MemoryRow.embedder, MemoryRow.dimension))]
    versions = Ledger(store).verify(memory.target)
    found = list(export_cases(memory)), order, [*vectors, *made], [versions]
    store.close()
    return found


def started(home: Path, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "agentkit", "memory", *command, "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "AGENTKIT_HOME": str(home), "AGENTKIT_EMBEDDER": "hash-64"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


@pytest.mark.kill
@pytest.mark.timeout(900)
def test_a_memory_imported_on_ray_is_that_of_one_process_though_a_worker_is_killed(tmp_path: Path) -> None:
    path = write_cases(tmp_path / "cases.jsonl", 2000, words=100)
    process = started(tmp_path, "import", str(path), "--ray", "local", "--workers", "2")
    until(lambda: workers_of(psutil.Process(process.pid)), process)
    os.kill(workers_of(psutil.Process(process.pid))[0], signal.SIGKILL)
    alone = f"sqlite:///{tmp_path / 'alone.db'}"
    store = Store.open(alone)
    import_cases(CaseMemory.open(store, embedder=HashEmbedder(64)), path)
    store.close()
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    assert json.loads(out) == {"imported": 2000}
    assert content(f"sqlite:///{tmp_path / 'agentkit.db'}") == content(alone)


@pytest.mark.parametrize("count", [0, 1, 2, PART, PART + 1, 20 * PART + 3])
def test_vectors_come_in_the_order_of_the_texts_whichever_worker_is_lost(count: int) -> None:
    numbers = itertools.count(1)
    cluster = HereCluster(3, loses=lambda name: name == "embed" and next(numbers) % 4 == 0)
    here, there = HashEmbedder(64), embedder_on(cluster, "hash-64")  # type: ignore[arg-type]  # all that is asked of it
    texts = [f"how many parcels has lot {number}" for number in range(count)]
    assert (there.name, there.dimension) == (here.name, here.dimension)
    assert there.embed_documents(texts) == here.embed_documents(texts)
    assert there.embed_query("parcels") == here.embed_query("parcels")


def called(*args: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*args, "--json"], catch_exceptions=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def test_import_and_rebuild_give_the_same_memory_in_one_process_and_on_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []

    @contextmanager
    def cluster(address: str, *, workers: int | None, home: Path) -> Iterator[HereCluster]:
        used.append((address, workers))
        yield HereCluster(workers or 1)

    monkeypatch.setattr("agentkit.distributed.Cluster", cluster)
    cases, found = str(write_cases(tmp_path / "cases.jsonl", 300)), []
    for name, more in (("alone", ()), ("many", ("--ray", "local", "--workers", "3"))):
        monkeypatch.setenv("AGENTKIT_HOME", str(tmp_path / name))
        told = [
            called("import", cases, "--embedder", "hash-64", *more),
            called("rebuild", "--embedder", "hash-32", *more),
            called("verify"),
        ]
        found.append((told, content(Settings(home=tmp_path / name).database_url)))
    assert found[0] == found[1]
    assert found[0][0][1] == {"cases": 300, "embedder": HashEmbedder(32).name}
    assert used == [("local", 3)] * 2


def test_a_worker_without_the_driver_s_embedder_says_so_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"has hash-64@\d+, not hash-64@1: install the same version"):
        asyncio.run(TextWorker(("hash-64", "hash-64@1")).embed(["a"]))

    def missing(name: str) -> None:
        raise ModelFileError(f"{name} is not downloaded")

    monkeypatch.setattr("agentkit.distributed.embedding.named_embedder", missing)
    with pytest.raises(UserError, match="local/x is not downloaded"):
        asyncio.run(TextWorker(("local/x", "local/x@1")).embed(["a"]))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("rebuild", "--ray", "local"), "--ray goes with --embedder"),
        (("rebuild", "--embedder", "hash-32", "--workers", "2"), "--workers goes with --ray"),
        (("import", "cases.jsonl", "--workers", "2"), "--workers goes with --ray"),
        (("import", "cases.jsonl", "--ray", "nowhere"), "write  local,  auto  or  HOST:PORT"),
    ],
)
def test_options_that_would_do_nothing_are_refused(command: tuple[str, ...], said: str, tmp_path: Path) -> None:
    write_cases(Path("cases.jsonl"), 3)
    with pytest.raises(UserError, match=said):
        called(*command)
