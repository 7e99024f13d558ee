"""SIGKILL at random instants. AGENTKIT_KILLS=500 in `python -m benchmarks.memory_kills` runs the full count."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.memory_kills import torture


@pytest.mark.kill
def test_a_killed_writer_loses_nothing_doubles_nothing_and_leaves_a_whole_policy(tmp_path: Path) -> None:
    report = torture(tmp_path, kills=4)
    assert report["kills"] == 4
    assert report["acknowledged"] > 0
    assert report["problems"] == []
