"""`agentkit changes`: one log, one decision and one way back for playbooks, memories, knowledge bases, calibrations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from agentkit.cli.output import open_store
from agentkit.confidence.calibration import Calibration
from agentkit.confidence.store import CalibrationStore
from agentkit.curation.claims import Entity
from agentkit.curation.kb.knowledge_base import Author, KnowledgeBase, Write
from agentkit.ledger import Change, Ledger, Verdict
from agentkit.memory import MemoryLearner, open_cases
from agentkit.memory.evolvable import GatedCases
from agentkit.playbooks import Add, Delta, PlaybookStore
from agentkit.protocols import Episode, ModelReply
from agentkit.store import Store
from agentkit.tasks import Feedback, Task
from tests.cli.conftest import Done

Command = Callable[..., Done]
CALIBRATION = Calibration(model="m", weights={}, intercept=0.0, means={}, scales={}, outcomes=40, right=20)


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store()
    yield opened
    opened.close()


def add(store: Store, text: str, *, run: str = "run1", hold: bool = False) -> Change:
    book = PlaybookStore(store)
    delta = Delta(key=text, base=book.version(), operations=(Add(content=text),), role="curator", run_id=run)
    return book.hold(delta, Verdict(decision="ask", reason="reads like an order")) if hold else book.apply(delta)


def read(agentkit: Command, *args: str) -> Any:
    done = agentkit("changes", *args, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_the_log_tells_all_targets_and_can_be_narrowed(store: Store, agentkit: Command) -> None:
    add(store, "Check the sign.")
    add(store, "Name the unit.", run="other", hold=True)
    CalibrationStore(store, "answers").save(CALIBRATION, {}, source="eval")
    assert [row["target"] for row in read(agentkit, "log")] == ["calibration:answers", *["playbook:default"] * 2]
    assert [row["status"] for row in read(agentkit, "log", "--target", "default")] == ["waiting", "applied"]
    assert [row["reason"] for row in read(agentkit, "log", "--status", "waiting")] == ["reads like an order"]
    assert [row["run_id"] for row in read(agentkit, "log", "--run", "oth")] == ["other"]
    assert len(read(agentkit, "log", "--limit", "1")) == 1
    shown = agentkit("changes", "log").out
    assert "calibration:answers" in shown and "Check the sign." in shown
    assert "target" not in agentkit("changes", "log", "-t", "playbook:default").out


def test_a_change_is_shown_with_all_that_was_decided_about_it(store: Store, agentkit: Command) -> None:
    held = add(store, "Name the unit.", hold=True)
    found = read(agentkit, "show", held.id[:6])
    assert found["operations"][0]["content"] == "Name the unit." and found["base"] == 0
    assert [(event["status"], event["reason"]) for event in found["events"]] == [
        ("proposed", ""), ("waiting", "reads like an order"),
    ]  # fmt: skip
    shown = agentkit("changes", "show", held.id).out
    assert "reads like an order" in shown and "Name the unit." in shown


@pytest.mark.parametrize(("flag", "status", "bullets"), [("--accept", "applied", 1), ("--reject", "rejected", 0)])
def test_a_held_change_is_decided(store: Store, agentkit: Command, flag: str, status: str, bullets: int) -> None:
    held = add(store, "Name the unit.", hold=True)
    assert agentkit("changes", "decide", held.id, flag).code == 0
    assert Ledger(store).get(held.id).status == status and len(PlaybookStore(store).current()) == bullets


def test_a_playbook_goes_back_and_forth(store: Store, agentkit: Command) -> None:
    add(store, "Check the sign.")
    add(store, "Name the unit.")
    assert "version 3 is as version 1" in agentkit("changes", "rollback", "playbook:default", "1").err
    assert len(PlaybookStore(store).current()) == 1
    agentkit("changes", "rollback", "default", "2")
    assert len(PlaybookStore(store).current()) == 2


def test_a_calibration_goes_back(store: Store, agentkit: Command) -> None:
    calibrations = CalibrationStore(store, "answers")
    for found in (CALIBRATION, replace(CALIBRATION, intercept=1.0)):
        calibrations.save(found, {}, source="eval")
    found = read(agentkit, "rollback", "answers", "1", "--reason", "worse")
    assert (found["version"], found["note"]) == (3, "worse")
    current = calibrations.current()
    assert current is not None and current.calibration == CALIBRATION


def episode(run: str) -> Episode:
    known = Feedback(channel="label", score=1.0)
    return Episode(run_id=run, task=Task(id=run, input=f"task {run}"), labels="gold", answer="yes", feedback=(known,))


def statuses(store: Store, namespace: str = "default") -> dict[str | None, str]:
    return {case.run_id: case.status for case in open_cases(store).list(namespace=namespace, limit=None)}


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTKIT_EMBEDDER", "hash-64")


@pytest.mark.usefixtures("hashed")
def test_a_memory_goes_back_with_its_cases_in_every_namespace(store: Store, agentkit: Command) -> None:
    memory = open_cases(store)
    for run, namespace in (("one", "default"), ("two", "default"), ("three", "other")):
        MemoryLearner(memory, namespace=namespace).learn_now(episode(run))
    assert agentkit("changes", "rollback", "policy:default", "1").code == 0
    assert statuses(store) == {"one": "active", "two": "quarantined"}
    assert statuses(store, "other") == {"three": "quarantined"}


@pytest.mark.usefixtures("hashed")
def test_cases_that_wait_are_put_to_use(store: Store, agentkit: Command) -> None:
    memory = open_cases(store)
    learnt = asyncio.run(GatedCases(memory, namespace="other").learn_batch([episode("one")], key="k", call=no_call))
    assert statuses(store, "other") == {"one": "quarantined"}
    assert agentkit("changes", "decide", learnt.changes[0], "--accept").code == 0
    assert statuses(store, "other") == {"one": "active"}


async def no_call(*args: object, **named: object) -> ModelReply:
    raise AssertionError("no model is asked")


def test_a_knowledge_base_goes_back(store: Store, agentkit: Command) -> None:
    kb = KnowledgeBase(store, "drugs")
    for number, label in enumerate(("aspirin", "heparin")):
        entity = Entity(id=label, label=label, cls="Drug")
        kb.write(Write(entities=[entity]), key=f"w{number}", author=Author())
    assert agentkit("changes", "rollback", "kb:drugs", "1").code == 0
    assert [entity.id for entity in kb.entities()] == ["aspirin"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["rollback", "nothing", "1"], "'nothing' is not a target; there are: playbook:default"),
        (["rollback", "default", "7"], "playbook:default has versions 0 to 1, not 7"),
        (["log", "--target", "nothing"], "'nothing' is not a target"),
        (["log", "--status", "odd"], "'odd' is not a status; choose from proposed, applied"),
        (["show", "zzz"], "no change 'zzz'"),
        (["decide", "zzz", "--accept"], "no change 'zzz'"),
    ],
)
def test_what_is_not_there_is_one_clear_line(store: Store, agentkit: Command, args: list[str], said: str) -> None:
    add(store, "Check the sign.")
    done = agentkit("changes", *args)
    assert done.code == 2 and said in done.err and done.err.count("\n") == 1


def test_an_applied_change_is_not_rejected_after_the_fact(store: Store, agentkit: Command) -> None:
    done = agentkit("changes", "decide", add(store, "Check the sign.").id, "--reject")
    assert done.code == 2 and "is applied already" in done.err


def test_a_name_that_several_targets_bear_is_refused_with_their_full_names(store: Store, agentkit: Command) -> None:
    add(store, "Check the sign.")
    CalibrationStore(store, "default").save(CALIBRATION, {}, source="eval")
    done = agentkit("changes", "rollback", "default", "1")
    assert done.code == 2 and "calibration:default, playbook:default" in done.err
