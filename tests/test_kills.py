"""Kills and interrupts at random instants; `python -m benchmarks.kills --kills 300 --interrupts 60` is the whole."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from agentkit.store import Store
from tests.support.kills.kinds import KINDS
from tests.support.kills.work import torture


@pytest.mark.kill
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_stopped_loses_nothing_and_does_nothing_twice(kind: str, tmp_path: Path) -> None:
    toll = torture(KINDS[kind], tmp_path, kills=2, interrupts=1, longest=1.5)
    assert toll.problems == []
    assert (toll.kills, toll.interrupts) == (2, 1)


@pytest.mark.parametrize("kind", ["runs", "memory"])
def test_what_was_acknowledged_and_is_not_there_is_a_problem(kind: str, tmp_path: Path) -> None:
    KINDS[kind].prepare(tmp_path)
    Store.open(tmp_path / "a.db").close()
    (tmp_path / "made").touch()
    assert any("7" in text for text in KINDS[kind].problems(tmp_path, ["7"], 1, random.Random(0)))
