"""`agentkit curate --ray`: the knowledge base and the ledger of one process, whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select

from agentkit.curation.documents import read_folder
from agentkit.curation.export import export
from agentkit.curation.kb.exchange import content_of
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.kb.verification import verify_kb
from agentkit.curation.kb.work import WorkLog
from agentkit.distributed import Cluster, read_on
from agentkit.ledger import Ledger
from agentkit.store import Store
from agentkit.store.run_log import RunLog
from agentkit.store.runs import ModelCallRow
from tests.curation.formats import pdf
from tests.curation.papers import ONTOLOGY, write_papers
from tests.support import postgres
from tests.support.stub_server import stub_server

from .nodes import in_full, workers_of
from .test_eval_on_ray import ROOT, served, until

PAPERS, CALLS = 24, 144
pytestmark = [pytest.mark.timeout(900), pytest.mark.kill]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with stub_server(0.3, rule="papers") as url:
        yield url


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    (tmp_path / "ontology.yaml").write_text(ONTOLOGY, encoding="utf-8")
    return write_papers(tmp_path / "papers", PAPERS)


Curate = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def curate(papers: Path, server: str) -> Curate:
    def start(database: str, *more: str) -> subprocess.Popen[str]:
        asked = [str(papers), "--ontology", str(papers.parent / "ontology.yaml"), "--model", "openai/gpt-4.1-mini"]
        settings = {"AGENTKIT_HOME": str(papers.parent), "AGENTKIT_DATABASE": database, "AGENTKIT_API_BASE": server}
        return subprocess.Popen(
            [sys.executable, "-m", "agentkit", "curate", *asked, "--papers", "6", "--json", *more],
            env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    return start


def ended(process: subprocess.Popen[str], code: int = 0) -> dict[str, object]:
    out, err = process.communicate(timeout=400)
    assert process.returncode == code, err
    report: dict[str, object] = json.loads(out)
    return report


def content(database: str, folder: Path) -> tuple[bytes, list[dict[str, object]]]:
    """The export, and the ledger's changes in their order: all but the times."""
    store = Store.open(database)
    kb, ledger = KnowledgeBase(store, "default"), Ledger(store)
    assert verify_kb(kb).ok
    files = export(content_of(kb, everything=True), folder / "kb.jsonl")
    changes = [{**vars(change), "created_at": None, "id": change.id} for change in ledger.applied(kb.target)]
    assert ledger.verify(kb.target) == len(changes)
    store.close()
    return b"".join(file.read_bytes() for file in files), changes


def completed(store: Store) -> int:
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(ModelCallRow)).scalar_one()


def test_export_and_ledger_are_those_of_one_process_whoever_is_killed(
    tmp_path: Path, curate: Curate, server: str
) -> None:
    pytest.importorskip("ray", reason="the ray extra is not installed")
    with postgres.server(fsync=False) as database:
        if database is None:
            pytest.skip("PostgreSQL is not installed")
        alone = f"sqlite:///{tmp_path / 'alone.db'}"
        report = ended(curate(alone))
        assert (report["papers"], report["supported"], report["calls"]) == (PAPERS, 2 * PAPERS, CALLS)
        begun = served(server) + 1  # its own question counts

        many, more = Store.open(database), ("--ray", "local", "--workers", "2")
        first = curate(database, *more)
        until(lambda: completed(many) >= 12, first)
        os.kill(workers_of(psutil.Process(first.pid))[0], signal.SIGKILL)
        until(lambda: completed(many) >= 40, first)
        first.kill()
        first.communicate()  # closes its pipes
        assert ended(curate(database, *more))["papers"] == PAPERS

        assert content(database, tmp_path) == content(alone, tmp_path)
        assert completed(many) == CALLS
        assert RunLog(many).counts() == {"done": PAPERS}, "a paper is a run, which ends when it is written"
        assert 0 <= served(server) - begun - CALLS <= 3 + 6, "completed calls were made again"
        many.close()


@in_full
def test_a_shared_budget_stops_all_and_the_same_again_goes_on(tmp_path: Path, curate: Curate) -> None:
    pytest.importorskip("ray", reason="the ray extra is not installed")
    alone, many = (f"sqlite:///{tmp_path / name}.db" for name in ("alone", "many"))
    whole = ended(curate(alone))
    stopped = ended(
        curate(many, "--ray", "local", "--workers", "2", "--tokens", str(int(str(whole["tokens"])) // 3)), 3
    )
    assert "tokens is used up" in str(stopped["stopped"])
    assert 0 < int(str(stopped["calls"])) < CALLS
    ended(curate(many))
    assert content(many, tmp_path) == content(alone, tmp_path)


@in_full
def test_workers_recall_what_reviewers_taught(tmp_path: Path, curate: Curate) -> None:
    pytest.importorskip("ray", reason="the ray extra is not installed")
    database = f"sqlite:///{tmp_path / 'taught.db'}"
    ended(curate(database, "--limit", "2"))
    store = Store.open(database)
    kb = KnowledgeBase(store, "default")
    decided = next(claim for claim in kb.claims(status="supported") if claim.predicate == "induces")
    kb.review(decided.id, "accepted", reviewer="ada", note="A case report is enough.")
    assert ended(curate(database, "--limit", "4", "--ray", "local", "--workers", "2"))["papers"] == 4
    works = [work for work in WorkLog(store, kb.name).live() if ".induces." in work.element]
    recalled = [sorted(block["kind"] for block in work.recalled or ()) for work in works]
    assert sorted(recalled) == [[], [], ["cases", "playbook"], ["cases", "playbook"]]
    store.close()


def test_a_folder_is_read_on_workers_as_it_is_here(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the ray extra is not installed")
    folder = write_papers(tmp_path / "papers", 5)
    for number in range(3):
        (folder / f"paper{number:04d}a.pdf").write_bytes(pdf([f"Aspirin caused bleeding in subject {number}."]))
    (folder / "cut.pdf").write_bytes(b"%PDF-1.7 cut")
    (folder / "empty.pdf").write_bytes(b"")
    with Cluster("local", workers=2, home=tmp_path) as cluster:
        assert list(read_on(cluster, folder)) == list(read_folder(folder))
