"""A paper is a run, a question a pass of the state machine, and a claim leads back to both."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from agentkit.agent import Agent
from agentkit.cli import kb as kb_cli
from agentkit.cli import runs as runs_cli
from agentkit.curation.curate import Curation, CurationOptions
from agentkit.curation.documents import read_folder
from agentkit.curation.extraction.plan import make_plan
from agentkit.curation.grounding.grounders import Grounders
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.kb.work import WorkLog
from agentkit.curation.ontology.files import load_ontology
from agentkit.curation.paper_run import paper_run_id
from agentkit.errors import ModelError, UserError
from agentkit.graph.events import Event
from agentkit.models.budget import Budget
from agentkit.models.caller import Retry
from agentkit.settings import load_settings
from agentkit.store import Store
from agentkit.store.base import now
from agentkit.store.curation import WorkRow
from agentkit.store.run_log import RunLog
from agentkit.store.runs import RunRow
from agentkit.testing import ScriptedModel

from .papers import ONTOLOGY, model, reader, write_papers


@pytest.fixture
def home() -> Store:
    """The store that commands look into."""
    return Store.open(load_settings().database_url)


def curation(
    kb: KnowledgeBase, folder: Path, *, explorer: Any = None, on_event: Any = None, **options: Any
) -> Curation:
    schema = folder.parent / "o.yaml"
    schema.write_text(ONTOLOGY, encoding="utf-8")
    reader = explorer or model()
    listening = {} if on_event is None else {"on_event": on_event}
    return Curation(
        kb,
        make_plan(load_ontology(schema)),
        explorer=reader,
        evaluator=reader,
        naming=Grounders(),
        options=CurationOptions(**options),
        retry=Retry(attempts=1),
        **listening,
    )


def curate(kb: KnowledgeBase, folder: Path, **given: Any) -> None:
    asyncio.run(curation(kb, folder, **given).run(read_folder(folder)))


def shown(app: Any, *args: str) -> Any:
    done = CliRunner().invoke(app, [*args, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_paper_is_a_run_and_its_questions_pass_through_the_state_machine(home: Store, tmp_path: Path) -> None:
    kb, events = KnowledgeBase(home, "x"), list[Any]()
    curate(kb, write_papers(tmp_path / "papers", 1), on_event=events.append)
    (record,) = RunLog(home).runs()
    told = [type(event).__name__ for event in events if isinstance(event, Event)]
    question = ["EffortChosen", "ModelStarted", "ModelEnded", "Answered", "ModelStarted", "ModelEnded", "Evaluated"]
    assert told == ["RunStarted", *[*question, "LearningDone"] * 3, "RunEnded"]
    assert (record.task.input, record.status, record.answer) == ("Report 0", "done", "2 supported")
    assert record.id == paper_run_id("x", next(kb.documents()).id) and record.task.untrusted
    assert RunLog(home).totals([record.id]).calls == 6
    home.close()


def test_a_claim_leads_to_its_run_and_calls_and_the_run_to_its_claims(home: Store, tmp_path: Path) -> None:
    kb = KnowledgeBase(home, "x")
    curate(kb, write_papers(tmp_path / "papers", 2))
    claim = next(kb.claims(predicate="dose"))
    found = shown(kb_cli.app, "show", claim.id, "x")["behind"]
    assert found["run"] == {"id": claim.run_id, "status": "done"} and found["recalled"] == []
    assert [call["role"] for call in found["calls"]] == ["explorer", "evaluator"]
    assert found["question"]["element"] == "Chemical.dose.dose" and claim.id in found["question"]["claims"]
    paper = shown(runs_cli.app, "show", claim.run_id)["paper"]
    assert claim.id in [row["id"] for row in paper["claims"]] and len(paper["claims"]) == 2
    assert [row["element"] for row in paper["questions"]] == [
        "Chemical",
        "Chemical.induces.Disease",
        "Chemical.dose.dose",
    ]
    said = CliRunner().invoke(kb_cli.app, ["show", claim.id, "x"]).stdout
    assert f"run {claim.run_id}, done" in said and "calls: explorer, evaluator" in said
    assert f"claim    {claim.id[:8]}" in CliRunner().invoke(runs_cli.app, ["show", claim.run_id]).stdout
    home.close()


def test_a_paper_that_fails_is_a_failed_run_and_the_same_run_goes_on(store: Store, tmp_path: Path) -> None:
    kb, folder, answer = KnowledgeBase(store, "x"), write_papers(tmp_path / "papers", 2), reader()

    def limited(messages: Any, tools: Any) -> Any:
        if "Report 1" in messages[1].text:
            return ModelError("429: quota exceeded", status=429, retryable=True)
        return answer(messages, tools)

    curate(kb, folder, explorer=ScriptedModel(limited, name="test/reader"))
    failed = next(iter(RunLog(store).runs(status="failed")))
    assert failed.error == "429: quota exceeded" and failed.task.input == "Report 1"
    curate(kb, folder)
    again = RunLog(store).get(failed.id)
    assert (again.status, again.answer, again.error) == ("done", "2 supported", None)
    assert len(RunLog(store).runs()) == 2


def test_a_budget_that_is_used_up_leaves_the_run_to_be_gone_on_with(store: Store, tmp_path: Path) -> None:
    kb, folder = KnowledgeBase(store, "x"), write_papers(tmp_path / "papers", 1)
    curate(kb, folder, run_budget=Budget(calls=3))
    assert "budget of 3 calls" in (RunLog(store).runs()[0].error or "")
    curate(kb, folder)
    assert RunLog(store).runs()[0].status == "done" and RunLog(store).totals([RunLog(store).runs()[0].id]).calls == 6


async def test_a_curation_that_is_cancelled_leaves_interrupted_runs(store: Store, tmp_path: Path) -> None:
    kb, folder = KnowledgeBase(store, "x"), write_papers(tmp_path / "papers", 1)
    asked = asyncio.Event()

    class Waiting(ScriptedModel):
        async def _agenerate(self, *args: Any, **kwargs: Any) -> Any:
            asked.set()
            await asyncio.Event().wait()

    run = curation(kb, folder, explorer=Waiting(["never"], name="test/reader"))
    work = asyncio.create_task(run.run(read_folder(folder)))
    await asked.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert RunLog(store).runs()[0].status == "interrupted"
    assert WorkLog(store, "x").counts() == {"pending": 1}


def test_nothing_left_to_ask_leaves_the_run_as_it_was(store: Store, tmp_path: Path) -> None:
    kb, folder = KnowledgeBase(store, "x"), write_papers(tmp_path / "papers", 1)
    curate(kb, folder)
    before = RunLog(store).runs()[0]
    curate(kb, folder)
    assert RunLog(store).runs() == [before]


def test_a_paper_is_gone_on_with_by_the_command_that_began_it(home: Store, tmp_path: Path) -> None:
    curate(KnowledgeBase(home, "x"), write_papers(tmp_path / "papers", 1))
    (record,) = RunLog(home).runs()
    with pytest.raises(UserError, match=r"is a paper of the knowledge base 'x': continue it with the  agentkit curate"):
        Agent.for_run(record.id)
    home.close()


ELSEWHERE = "elsewhere:1:2"


def at_work_elsewhere(store: Store) -> None:
    """Have the run be recorded as running on another machine, which gave a sign of life just now."""
    with store.write() as connection:
        connection.execute(update(RunRow).values(status="running", owner=ELSEWHERE, updated_at=now()))


@pytest.mark.parametrize("calls", [None, 3], ids=["before it said so", "half way"])
def test_a_paper_whose_machine_has_just_died_is_done_when_it_is_written(
    calls: int | None, store: Store, tmp_path: Path
) -> None:
    kb, folder, runs = KnowledgeBase(store, "x"), write_papers(tmp_path / "papers", 1), RunLog(store)
    curate(kb, folder, run_budget=Budget(calls=calls))
    at_work_elsewhere(store)
    assert runs.runs()[0].status == "running"
    curate(kb, folder)
    assert (runs.runs()[0].status, runs.runs()[0].answer) == ("done", "2 supported")


def test_a_run_is_left_to_a_process_of_another_machine_that_shows_that_it_lives(store: Store, tmp_path: Path) -> None:
    kb, folder, answer = KnowledgeBase(store, "x"), write_papers(tmp_path / "papers", 1), reader()
    curate(kb, folder, run_budget=Budget(calls=3))
    at_work_elsewhere(store)

    def beaten(messages: Any, tools: Any) -> Any:
        at_work_elsewhere(store)
        return answer(messages, tools)

    curate(kb, folder, explorer=ScriptedModel(beaten, name="test/reader"))
    assert RunLog(store).runs()[0].status == "running"


def test_a_paper_at_which_another_machine_is_keeps_its_run(store: Store, tmp_path: Path) -> None:
    kb, folder = KnowledgeBase(store, "x"), write_papers(tmp_path / "papers", 1)
    curate(kb, folder, run_budget=Budget(calls=3))
    at_work_elsewhere(store)
    with store.write() as connection:
        leased = {"state": "leased", "owner": f"{ELSEWHERE}:x", "lease_until": now() + dt.timedelta(minutes=9)}
        connection.execute(update(WorkRow).where(WorkRow.state == "over_budget").values(**leased))
    curate(kb, folder)
    assert RunLog(store).runs()[0].status == "running"


def test_three_rounds_go_on_from_what_was_said(store: Store, tmp_path: Path) -> None:
    kb, folder, heard = KnowledgeBase(store, "x"), write_papers(tmp_path / "papers", 1), list[int]()
    answer = reader()

    def stubborn(messages: Any, tools: Any) -> Any:
        if "You check facts" in messages[0].text:
            return answer(messages, tools)
        heard.append(sum("Your answer was checked" in message.text for message in messages))
        found = answer(messages, tools)
        for item in found["items"]:
            item["quote"] = f"{item['quote']} In round {heard[-1]}."
        return found

    curate(kb, folder, explorer=ScriptedModel(stubborn, name="test/reader"), max_rounds=3)
    assert heard[:3] == [0, 1, 2] and WorkLog(store, "x").counts()["done_empty"] == 1
