"""A run whose process has ended is not shown as running."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import pytest
from sqlalchemy import update

from agentkit.store import Store
from agentkit.store.base import now
from agentkit.store.heartbeat import SILENCE
from agentkit.store.owner import is_gone, this_process
from agentkit.store.run_log import RunLog
from agentkit.store.runs import RunRow
from agentkit.tasks import Task

TASK = Task(id="t", input="x")


def begun(store: Store, owner: str | None, seen: dt.datetime) -> RunLog:
    log = RunLog(store)
    log.start("r1", TASK, model="m", options={})
    with store.write() as connection:
        connection.execute(update(RunRow).values(owner=owner, updated_at=seen))
    return log


def test_a_run_of_this_process_is_running_however_long_it_takes(any_store: Store) -> None:
    assert begun(any_store, this_process(), now() - dt.timedelta(days=1)).get("r1").status == "running"


@pytest.mark.parametrize("owner", ["elsewhere:1:2", None])
def test_a_run_of_another_machine_is_interrupted_after_a_silence(owner: str | None, any_store: Store) -> None:
    log = begun(any_store, owner, now())
    assert log.get("r1").status == "running"
    with any_store.write() as connection:
        connection.execute(update(RunRow).values(updated_at=now() - 2 * SILENCE))
    assert log.get("r1").status == "interrupted"
    assert [run.id for run in log.runs(status="interrupted", limit=1)] == ["r1"]
    assert log.runs(status="running") == []
    with log.heartbeat.of("r1"):
        log.heartbeat.beat()
    assert log.get("r1").status == "running"


def test_a_process_with_the_number_of_a_dead_one_is_another() -> None:
    host, pid, start = this_process().split(":")
    assert is_gone(f"{host}:{pid}:{start}:more") is False
    if start != "0":
        assert is_gone(f"{host}:{pid}:{int(start) + 1}") is True
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert is_gone(f"{host}:{ended.pid}:{start}") is True
