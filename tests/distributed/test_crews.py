"""What workers and the driver do to each other, without Ray: the same ledger as one process, and who is lost is made up
for."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent
from agentkit.curation.curate import Curation, CurationOptions
from agentkit.curation.documents import read_folder
from agentkit.curation.extraction.plan import make_plan
from agentkit.curation.grounding.linker import open_naming
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.ontology.files import load_ontology
from agentkit.distributed import DuoNames, curate_on, rollouts_on
from agentkit.errors import UserError
from agentkit.evolution.config import EvolveConfig
from agentkit.evolution.run import aevolve, parts_of, prepare
from agentkit.evolution.stream import Probes, Stream
from agentkit.settings import Settings
from agentkit.store import Store
from agentkit.tasks import Task
from agentkit.training.collecting import Collector
from agentkit.training.recipes import Own
from tests.curation.papers import ONTOLOGY, write_papers
from tests.support.stub_server import stub_server

from .here import HereCluster
from .test_curate_on_ray import content
from .test_learning_on_ray import ledger, without

MODEL = "openai/gpt-4.1-mini"


@pytest.fixture(scope="module")
def lessons() -> Iterator[str]:
    with stub_server(0, rule="lessons") as url:
        yield url


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="the ray extra is not installed")  # its errors are told from others
    monkeypatch.setattr("agentkit.distributed.rollouts._replaces_a_dead_worker", lambda: False)
    monkeypatch.setenv("AGENTKIT_EMBEDDER", "hash-64")


def tasks(name: str, count: int) -> list[Task]:
    asked = f"How many parcels has {name} lot"
    return [Task(id=f"{name}{n}", input=f"{asked} {n}?", target="7", checker="exact") for n in range(count)]


async def evolved(agent: Agent) -> Any:
    config = EvolveConfig(batch=4)
    report = await aevolve(
        agent,
        tasks("train", 8),
        val=tasks("val", 24),
        test=tasks("test", 4),
        playbook="p",
        memory="m",
        config=config,
        folder=agent.settings.home / "report",
    )
    return report.report


async def streamed(agent: Agent) -> Any:
    evolvables, learners = parts_of(agent, playbook="p", memory="m")
    config = EvolveConfig(batch=4, online=True, mode="off")
    made = prepare(agent, tasks("stream", 12), evolvables=evolvables, learners=learners, config=config)
    return await Stream(made, Probes(retention=tasks("probe", 4)), block=4).run()


async def attempted(agent: Agent) -> Any:
    """The attempts that a training learns from."""
    return str(await Collector(agent, [], key="k").collect(tasks("train", 6), Own()))


@pytest.mark.parametrize("work", [evolved, streamed, attempted])
def test_what_is_learnt_on_workers_is_what_one_process_learns(work: Any, tmp_path: Path, lessons: str) -> None:
    told = []
    for name, cluster in (("alone", None), ("many", HereCluster(2))):
        settings = Settings(home=tmp_path / name, api_base=lessons, concurrency=4)
        with Agent(MODEL, tools=[], settings=settings) as agent:
            if cluster is None:
                told.append(asyncio.run(work(agent)))
            else:
                with rollouts_on(cluster, agent):  # type: ignore[arg-type]  # all that is asked of a cluster
                    told.append(asyncio.run(work(agent)))
    assert without(json.loads(json.dumps(told[0]))) == without(json.loads(json.dumps(told[1])))
    alone, many = ledger(tmp_path / "alone"), ledger(tmp_path / "many")
    assert alone == many
    assert work is attempted or any(row[0]["target"] == "playbook:p" for row in alone)


def test_a_run_that_is_to_learn_is_not_made_on_a_worker(tmp_path: Path, lessons: str) -> None:
    settings = Settings(home=tmp_path, api_base=lessons)
    with Agent(MODEL, tools=[], playbook="p", settings=settings) as agent, rollouts_on(HereCluster(), agent):  # type: ignore[arg-type]
        with pytest.raises(UserError, match="teach nothing"):
            agent.run("1+1?")
        assert agent.elsewhere is not None
    assert agent.elsewhere is None


def curated(home: Path, url: str, cluster: HereCluster | None, at_once: int) -> str:
    database = f"sqlite:///{home / f'{at_once}{cluster is None}.db'}"
    store, settings = Store.open(database), Settings(home=home, concurrency=8)
    (home / "ontology.yaml").write_text(ONTOLOGY, encoding="utf-8")
    plan, duo = make_plan(load_ontology(home / "ontology.yaml")), DuoNames(MODEL, MODEL, {"api_base": url})
    explorer, evaluator = duo.load()
    naming, version = open_naming(plan.ontology)
    run = Curation(
        KnowledgeBase(store, "default"),
        plan,
        explorer=explorer,
        evaluator=evaluator,
        naming=naming,
        naming_version=version,
        options=CurationOptions(papers=at_once),
    )
    papers = read_folder(write_papers(home / "papers", 12))
    report = asyncio.run(run.run(papers) if cluster is None else curate_on(cluster, run, papers, duo, settings))  # type: ignore[arg-type]
    assert (report.papers, report.supported, report.failed) == (12, 24, [])
    store.close()
    return database


def every(third: int, of: str) -> Callable[[str], bool]:
    """Whether this is one of each so many calls of a method."""
    counter = itertools.count(1)
    return lambda name: name == of and next(counter) % third == 0


@pytest.mark.parametrize("loses", ["", "ask", "write"])
def test_a_ledger_is_the_same_at_any_number_at_once_and_whoever_is_lost(loses: str, tmp_path: Path) -> None:
    with stub_server(0.02, rule="papers", spread=1) as url:
        alone = curated(tmp_path, url, None, 1)
        together = curated(tmp_path, url, None, 5)
        many = curated(tmp_path, url, HereCluster(3, loses=every(4, loses)), 6)
    assert content(alone, tmp_path) == content(together, tmp_path) == content(many, tmp_path)
