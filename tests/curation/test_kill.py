"""SIGKILL at any moment: the run goes on, repeats no completed call, and ends in the same bytes.

Kills at random instants: `python -m benchmarks.kills --kinds curate`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentkit.curation.export import export
from agentkit.curation.kb.exchange import content_of
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.kb.verification import verify_kb
from agentkit.store import Store

from .papers import write_papers

ROOT = Path(__file__).resolve().parents[2]
PAPERS = 3


def start(folder: Path, database: Path, log: Path, fault: str = "") -> int:
    extra = {"AGENTKIT_FAULT": fault} if fault else {}
    command = [sys.executable, "-m", "tests.curation.kill_run", str(folder), str(database), str(log), "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **extra}
    return subprocess.run(command, cwd=ROOT, env=environment, timeout=120, check=False).returncode


def bytes_of(database: Path, where: Path) -> bytes:
    store = Store.open(database)
    try:
        kb = KnowledgeBase(store, "x")
        assert verify_kb(kb).ok
        return b"".join(file.read_bytes() for file in export(content_of(kb, everything=True), where / "kb.jsonl"))
    finally:
        store.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, list[str]]:
    """The papers, the export of a run that was left alone, and the calls it made."""
    home = tmp_path_factory.mktemp("undisturbed")
    folder = write_papers(home / "papers", PAPERS)
    assert start(folder, home / "a.db", home / "log") == 0
    return folder, bytes_of(home / "a.db", home), sorted((home / "log").read_text().split())


POINTS = ["after:model.call#5", "before:curation.work#4", "after:ledger.commit#7"]


@pytest.mark.kill
@pytest.mark.parametrize("fault", POINTS)
def test_a_killed_run_goes_on_without_repeating_a_call(
    fault: str, undisturbed: tuple[Path, bytes, list[str]], tmp_path: Path
) -> None:
    folder, expected, calls = undisturbed
    assert start(folder, tmp_path / "a.db", tmp_path / "log", fault) == -9
    assert start(folder, tmp_path / "a.db", tmp_path / "log") == 0
    assert sorted((tmp_path / "log").read_text().split()) == calls
    assert bytes_of(tmp_path / "a.db", tmp_path) == expected
