"""Daily use: an edit takes effect once coming runs, drawn at random, show that it helps."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest

from agentkit.agent import Agent
from agentkit.errors import UserError
from agentkit.ledger import Change, Verdict
from agentkit.playbooks import Add, Delta, PlaybookLearner, PlaybookRecaller, PlaybookStore, StreamGate
from agentkit.playbooks.stream_gate import ON_TRIAL, StreamPolicy, judge
from agentkit.protocols import Block, Episode
from agentkit.store import Store
from agentkit.tasks import Feedback, Task
from tests.support.playbook_world import Roles

LESSON = "Name the unit of each number."


@pytest.fixture
def book(store: Store) -> PlaybookStore:
    return PlaybookStore.open(store, "daily")


def episode(run_id: str, score: float, block: Block | None = None, **more: Any) -> Episode:
    blocks, feedback = (block,) if block else (), (Feedback(channel="check", score=score),)
    task = Task(id=run_id, input="How long?")
    return Episode(run_id=run_id, task=task, labels="none", answer="3", feedback=feedback, blocks=blocks, **more)


async def taught(book: PlaybookStore, gate: Any = "probation", run_id: str = "first", **more: Any) -> Any:
    learner = PlaybookLearner(book, gate=gate)
    return await learner.learn(episode(run_id, 0.0, **more), call=Roles(lambda prompt: [LESSON]))


async def lived(book: PlaybookStore, runs: int, score: Any, *, seed: int = 0) -> tuple[int, int]:
    """Runs whose score depends on whether the lesson was read; how many there were before a decision, and given it."""
    recaller = PlaybookRecaller(book, trials=StreamGate(book))
    learner, given, draw = PlaybookLearner(book, gate="probation"), 0, random.Random(seed)
    for number in range(runs):
        if not StreamGate(book).running():
            return number, given
        block = await recaller.recall(Task(id="t", input="How long?"), run_id=f"s{seed}-{number}")
        read = block is not None and LESSON in block.text
        given += read
        right = float(draw.random() < score(read))
        await learner.learn(episode(f"s{seed}-{number}", right, block), call=Roles(lambda prompt: []))
    return runs, given


async def test_an_edit_of_a_trusted_run_is_not_applied_but_tried(book: PlaybookStore) -> None:
    learnt = await taught(book)
    assert learnt.status == "quarantined" and not book.current().active
    [change] = StreamGate(book).running()
    assert change.id in learnt.changes and change.key.endswith(ON_TRIAL)
    assert "on probation" in (book.ledger.events(change.id)[-1].verdict or {})["reason"]


async def test_half_of_the_runs_are_given_it_and_the_coin_is_kept_with_the_run(book: PlaybookStore) -> None:
    await taught(book)
    recaller = PlaybookRecaller(book, trials=StreamGate(book))
    blocks = [recaller.recall_now("How long?", run_id=f"r{number}") for number in range(200)]
    assert all(block is not None and block.coins[0].probability == 0.5 for block in blocks)
    shown = [block for block in blocks if block is not None and LESSON in block.text]
    assert 70 <= len(shown) <= 130
    assert all(block.coins[0].shown == (LESSON in block.text) for block in blocks if block)
    again = recaller.recall_now("How long?", run_id="r7")
    assert (
        again == blocks[7] and again is not None and Block.from_json(json.loads(json.dumps(again.to_json()))) == again
    )


async def test_a_lesson_that_helps_is_released_on_evidence(book: PlaybookStore) -> None:
    await taught(book)
    runs, given = await lived(book, 200, lambda read: 1.0 if read else 0.0)
    assert [bullet.content for bullet in book.current().active] == [LESSON]
    assert runs < 40 and 0 < given < runs
    [change] = book.ledger.applied(book.target)
    verdict = book.ledger.events(change.id)[-1].verdict or {}
    assert verdict["decision"] == "accept" and verdict["evidence"]["e_value"] >= 20
    assert len(verdict["evidence"]["curve"]) == verdict["evidence"]["runs"] == runs


async def test_a_lesson_that_harms_is_withdrawn_and_never_was_in_the_playbook(book: PlaybookStore) -> None:
    await taught(book)
    await lived(book, 200, lambda read: 0.0 if read else 1.0)
    assert book.version() == 0 and not StreamGate(book).running()
    [change] = book.ledger.history(book.target)
    assert change.status == "rejected"
    assert (book.ledger.events(change.id)[-1].verdict or {})["reason"].startswith("worse with it")


async def test_a_lesson_on_probation_is_not_proposed_twice(book: PlaybookStore) -> None:
    await taught(book)
    again = await taught(book, run_id="second")
    assert again.status == "nothing" and len(StreamGate(book).running()) == 1


async def test_a_lesson_that_many_runs_teach_is_put_to_the_gate_once(book: PlaybookStore) -> None:
    asked = []

    class Undecided:
        async def decide(self, changes: Sequence[Change], *, key: str) -> dict[str, Verdict]:
            asked.extend(changes)
            return {change.id: Verdict(decision="quarantine", reason="too little") for change in changes}

    for number in range(7):
        learnt = await taught(book, Undecided(), run_id=f"run{number}")
        assert learnt.status == ("nothing" if number else "quarantined")
    assert len(asked) == 1 == len(book.ledger.history(book.target))


async def test_a_person_may_decide_before_the_runs_do(book: PlaybookStore) -> None:
    await taught(book)
    [change] = StreamGate(book).running()
    book.release(change.id, Verdict(decision="accept", reason="a person"))
    assert len(book.current().active) == 1 and not StreamGate(book).running()


@pytest.mark.parametrize(
    ("gate", "status", "active"),
    [("off", "applied", 1), (None, "applied", 1), ("strict", "quarantined", 0), ("quarantine", "waiting", 0)],
)
async def test_each_gate_does_what_its_name_says(book: PlaybookStore, gate: Any, status: str, active: int) -> None:
    learnt = await taught(book, gate)
    assert learnt.status == status and len(book.current().active) == active
    assert StreamGate(book).running() == []


async def test_an_edit_of_an_untrusted_run_is_shown_to_nobody(book: PlaybookStore) -> None:
    learnt = await taught(book, untrusted=True, source="web")
    assert learnt.status == "quarantined" and StreamGate(book).running() == []


async def test_at_most_two_edits_are_tried_at_once_and_the_next_takes_its_turn(book: PlaybookStore) -> None:
    gate = StreamGate(book)
    for number, text in enumerate(["Check the sign.", "Name the unit.", "Quote the sentence."]):
        gate.enter(Delta(key=f"{number}{ON_TRIAL}", base=0, operations=(Add(content=text),), role="curator"))
    first, second = gate.running()
    book.ledger.decide(first.id, Verdict(decision="reject", reason="by hand"))
    assert gate.running()[0].id == second.id and len(gate.running()) == 2


@pytest.mark.parametrize("fault", ["after:playbook.coins", "before:ledger.commit", "after:ledger.commit"])
def test_killed_in_the_middle_the_decision_is_made_once(tmp_path: Any, kill_at: Any, fault: str) -> None:
    code = f"""
import asyncio
from agentkit.store import Store
from agentkit.playbooks import *
from agentkit.playbooks.stream_gate import ON_TRIAL
from agentkit.protocols import Block, Episode, Offer
from agentkit.tasks import Feedback, Task
from tests.support.playbook_world import Roles
book = PlaybookStore.open(Store.open({str(tmp_path / "x.db")!r}), "p")
gate = StreamGate(book)
change = gate.enter(Delta(key="k" + ON_TRIAL, base=0, operations=(Add(content="Name the unit."),), role="curator"))
learner = PlaybookLearner(book, gate="probation")
for n in range(20):
    coin = Offer(id=change.id, shown=n % 2 == 0, probability=0.5)
    block = Block(kind="playbook", target=book.target, version=0, text="x", coins=(coin,))
    task = Task(id=str(n), input="q")
    score = (Feedback(channel="check", score=float(n % 2 == 0)),)
    run = Episode(run_id=f"r{{n}}", task=task, labels="none", answer="a", feedback=score, blocks=(block,))
    asyncio.run(learner.learn(run, call=Roles(lambda prompt: [])))
"""
    assert kill_at(code, fault) == -9
    assert kill_at(code, None) == 0
    book = PlaybookStore.open(Store.open(tmp_path / "x.db"), "p")
    assert [bullet.content for bullet in book.current().active] == ["Name the unit."]
    change = book.ledger.history(book.target)[-1]
    assert [event.status for event in book.ledger.events(change.id)] == ["proposed", "quarantined", "applied"]
    assert 0 < len(StreamGate(book).runs(change.id)) <= 20 and book.verify() == book.version()


def simulated(gain: float, seed: int, base: float = 0.5) -> tuple[str, int]:
    draw, runs = random.Random(seed), []
    for number in range(1, 401):
        shown = draw.random() < 0.5
        runs.append((shown, float(draw.random() < base + gain * shown)))
        if number % 4 == 0 and (verdict := judge(runs, StreamPolicy())) is not None:
            return verdict.decision, int(verdict.evidence["runs"])
    return "open", 400


def test_without_a_gain_at_most_one_edit_in_twenty_is_released() -> None:
    assert sum(simulated(0.0, seed)[0] == "accept" for seed in range(200)) <= 16


def test_a_trial_ends_with_harm_or_where_no_gain_has_shown_and_says_which() -> None:
    worse = judge([(number % 2 == 0, float(number % 2)) for number in range(200)], StreamPolicy())
    assert worse is not None and (worse.decision, worse.reason[:13]) == ("reject", "worse with it")
    alike = [(number % 2 == 0, 1.0) for number in range(40)]
    assert judge(alike, StreamPolicy(most=41)) is None
    ended = judge(alike, StreamPolicy(most=40))
    assert ended is not None and (ended.decision, ended.reason) == ("reject", "no gain was seen in 40 runs")


def test_a_large_gain_is_found_in_a_hundred_runs() -> None:
    found = [simulated(0.4, seed) for seed in range(60)]
    assert sum(decision == "accept" for decision, _ in found) >= 54
    assert sorted(runs for _, runs in found)[30] <= 100


def test_the_agent_has_the_gate_by_default_and_an_unknown_one_is_an_error(store: Store) -> None:
    from agentkit.testing import ScriptedModel

    with Agent(ScriptedModel(["x"]), store=store, playbook="p", tools=[]) as agent:
        assert agent.describe()["agent"]["gate"] == "probation"
    with pytest.raises(UserError, match=r"'maybe' is not a gate: use one of probation, strict, quarantine, off"):
        Agent(ScriptedModel(["x"]), store=store, playbook="p", tools=[], gate="maybe")  # type: ignore[arg-type]
