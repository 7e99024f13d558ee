"""An evolution of an agent on a recorded real model: kills and concurrency change nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.evolution.recorded import RECORDING, evolve

KILLS = (
    "after:model.call",
    "before:tool.call",
    "after:tool.call#2",
    "before:evolve.step",
    "after:evolve.step",
    "after:evolve.trial",
    "before:model.call#2",
    "after:evolve.trial#2",
    "before:tool.call#2",
    "after:model.call#2",
)
"""Ten of them in one evolution. The planted world's kills are the ones that hit the writing of an accepted change."""


def run(home: Path, fault: str | None) -> subprocess.CompletedProcess[str]:
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"} | ({"AGENTKIT_FAULT": fault} if fault else {})
    command = [sys.executable, "-m", "tests.evolution.recorded", str(home), "4"]
    folder = Path(__file__).parent.parent.parent
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


async def test_two_runs_give_identical_ledgers_whatever_the_concurrency(tmp_path: Path) -> None:
    states = []
    for concurrency in (1, 4, 8):
        home = tmp_path / str(concurrency)
        home.mkdir()
        states.append(await evolve(home, concurrency=concurrency))
    assert states[0] == states[1] == states[2]
    decisions = [events[-1][0] for *_, events in states[0]["changes"]]
    assert len(decisions) >= 2, "the recording proposes nothing, so that this proves nothing"


@pytest.mark.kill
def test_ten_kills_in_one_evolution_leave_the_same_final_state(tmp_path: Path) -> None:
    calm = run(tmp_path / "calm", None)
    assert calm.returncode == 0, calm.stderr
    codes = [run(tmp_path / "killed", fault).returncode for fault in KILLS]
    assert codes == [-9] * len(KILLS)
    finished = run(tmp_path / "killed", None)
    assert json.loads(finished.stdout) == json.loads(calm.stdout)


def test_the_recording_is_small() -> None:
    assert RECORDING.stat().st_size < 1_000_000
