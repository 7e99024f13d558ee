"""Curations of small papers: each ends in the export of one that was left alone, and repeats no completed call."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

from agentkit.aio import run_sync
from agentkit.curation.curate import Curation, CurationOptions
from agentkit.curation.documents import read_folder
from agentkit.curation.export import export
from agentkit.curation.extraction.plan import make_plan
from agentkit.curation.grounding.grounders import Grounders
from agentkit.curation.kb.exchange import content_of
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.kb.verification import verify_kb
from agentkit.curation.ontology.files import load_ontology
from agentkit.store import Store
from tests.curation.papers import ONTOLOGY, model, write_papers
from tests.support.kills.work import Say, Work, number_of

PAPERS, AT_ONCE = 12, 4


def curate(folder: Path, name: str) -> None:
    """Curate into a database of that name; each call that is answered is a line in a log beside it."""
    store, reader = Store.open(folder / f"{name}.db"), model(folder / f"{name}.log")
    plan, options = make_plan(load_ontology(folder / "ontology.yaml")), CurationOptions(papers=AT_ONCE)
    kb = KnowledgeBase(store, "x")
    run = Curation(kb, plan, explorer=reader, evaluator=reader, naming=Grounders(), options=options)
    run_sync(run.run(read_folder(folder / "papers")))
    store.close()


def outcome(folder: Path, name: str) -> bytes:
    """The export, empty where the knowledge base does not verify."""
    store = Store.open(folder / f"{name}.db")
    kb = KnowledgeBase(store, "x")
    files = export(content_of(kb, everything=True), folder / "export.jsonl") if verify_kb(kb).ok else ()
    store.close()
    return b"".join(file.read_bytes() for file in files)


def prepare(folder: Path) -> None:
    write_papers(folder / "papers", PAPERS)
    (folder / "ontology.yaml").write_text(ONTOLOGY, encoding="utf-8")
    curate(folder, "calm")


def work(folder: Path, said: list[str], say: Say) -> None:
    for number in itertools.count(number_of(said)):
        curate(folder, str(number))
        say(str(number))


def problems(folder: Path, said: list[str], stops: int, rng: random.Random) -> list[str]:
    """A call is made again only where it was cut off between its answer and the journal."""
    calm = outcome(folder, "calm")
    found = [f"curation {name} ended otherwise" for name in said[-2:] if outcome(folder, name) != calm]
    needed = len(_calls(folder, "calm"))
    again = sum(len(_calls(folder, name)) - needed for name in said)
    if again > stops * AT_ONCE:
        found.append(f"{again} calls were made again after {stops} stops")
    return found


def _calls(folder: Path, name: str) -> list[str]:
    return (folder / f"{name}.log").read_text(encoding="utf-8").split()


WORK = Work(name="curate", prepare=prepare, work=work, problems=problems)
