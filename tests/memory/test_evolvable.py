"""The cases of a batch are one change: tried with and without, put to use or left hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agentkit.evolution.config import EvolveConfig, Evolved
from agentkit.evolution.loop import Evolution
from agentkit.evolution.protocols import Cost
from agentkit.evolution.trials import Trials
from agentkit.ledger import Ledger
from agentkit.memory import CaseMemory, HashEmbedder, MemoryLearner, MemoryRecaller, PolicyStore
from agentkit.memory.evolvable import GatedCases, MemoryEvolvable
from agentkit.protocols import CallModel, Episode, Recaller
from agentkit.store import Store
from agentkit.tasks import Feedback, Task
from tests.evolution.planted import check, cost_of, no_calls


@dataclass
class Solver:
    """Solves every second task by itself, and with cases in sight all tasks or none."""

    with_cases: str
    seen: list[str]
    fingerprint: str = ""

    async def rollout(self, task: Task, *, recallers: Sequence[Recaller], key: str, sample: int = 0) -> Episode:
        blocks = [block for item in recallers if (block := await item.recall(task, run_id=key)) is not None]
        self.seen.append("\n".join(block.text for block in blocks))
        alone = "yes" if int(task.id[1:]) % 2 else "no"
        answer = self.with_cases if blocks else alone
        known = () if task.target is None else (Feedback(channel="label", score=float(answer == task.target)),)
        return Episode(
            run_id=key, task=task, labels="gold", answer=answer, feedback=known, blocks=tuple(blocks), model="solver"
        )

    async def score(self, task: Task, answer: str | None) -> Feedback | None:
        return await check(task, answer)

    def cost(self, run_id: str) -> Cost:
        return cost_of(run_id)

    def learner_call(self, run_id: str) -> CallModel:
        return no_calls(run_id)


def tasks(prefix: str, count: int) -> list[Task]:
    return [Task(id=f"{prefix}{n}", input=f"question {prefix} {n}", target="yes") for n in range(count)]


@pytest.fixture
def memory(store: Store, tmp_path: Path) -> CaseMemory:
    return CaseMemory.open(store, embedder=HashEmbedder(), home=tmp_path)


async def evolve(memory: CaseMemory, with_cases: str, **config: Any) -> tuple[Evolved, Solver]:
    solver = Solver(with_cases, [])
    evolution = Evolution(
        evolvables=[MemoryEvolvable(memory)],
        learners=[GatedCases(memory)],
        trials=Trials(solver, memory.store),
        train=tasks("t", 8),
        val=tasks("v", config.pop("held", 30)),
        config=EvolveConfig(batch=8, selection=0.2, **config),
    )
    return await evolution.run(), solver


def statuses(memory: CaseMemory) -> set[str]:
    return {case.status for case in memory.list(limit=None)}


async def test_cases_that_help_are_put_to_use_after_their_test(memory: CaseMemory) -> None:
    done, solver = await evolve(memory, "yes")
    (verdict,) = done.verdicts.values()
    assert verdict.decision == "accept" and verdict.evidence["wins"] >= 6
    assert statuses(memory) == {"active"} and done.chosen == {memory.target: 1}
    assert any("question t" in text for text in solver.seen)


async def test_cases_that_harm_stay_hidden(memory: CaseMemory) -> None:
    done, _ = await evolve(memory, "no")
    (verdict,) = done.verdicts.values()
    assert verdict.decision == "reject"
    assert statuses(memory) == {"quarantined"} and memory.search("question t 1") == []


async def test_what_was_left_in_quarantine_is_tested_again_with_more_tasks(memory: CaseMemory) -> None:
    done, _ = await evolve(memory, "yes", held=6)
    assert [verdict.decision for verdict in done.verdicts.values()] == ["quarantine"]
    (first,) = Ledger(memory.store).history(memory.target)
    done, _ = await evolve(memory, "yes", held=60, retest=True)
    assert done.verdicts[first.id].decision == "accept"


async def test_choosing_the_start_hides_the_cases_again(memory: CaseMemory) -> None:
    done, _ = await evolve(memory, "yes", mode="off")
    evolvable = MemoryEvolvable(memory)
    assert evolvable.version() == done.chosen[memory.target] == 1
    assert await evolvable.at(1).recall(Task(id="v1", input="question v 1"), run_id="r") is not None
    assert await evolvable.at(0).recall(Task(id="v1", input="question v 1"), run_id="r") is None
    evolvable.rollback(0, key="back", reason="test")
    assert statuses(memory) == {"quarantined"}


def test_going_back_takes_back_what_the_policy_had_learnt_since(memory: CaseMemory) -> None:
    learner, recaller, policies = MemoryLearner(memory), MemoryRecaller(memory), PolicyStore(memory.store, "default")
    for number in range(4):
        task = Task(id=f"t{number}", input="add two numbers")
        recaller.recall_now(task.input, run_id=f"run{number}")
        known = (Feedback(channel="check", score=float(number == 0)),)
        learner.learn_now(Episode(run_id=f"run{number}", task=task, labels="check", answer="4", feedback=known))
    assert policies.current().count == 4
    before = policies.replay(upto=2)
    MemoryEvolvable(memory).rollback(2, key="back", reason="test")
    assert {case.run_id for case in memory.list(limit=None) if case.status == "active"} == {"run0", "run1"}
    for found in (policies.current(), policies.replay()):
        assert found.count == before.count == 2 and found.mean == pytest.approx(before.mean)


async def test_cases_shaped_by_outside_text_are_never_released(memory: CaseMemory) -> None:
    episode = Episode(
        run_id="r",
        task=tasks("t", 1)[0],
        labels="gold",
        answer="yes",
        untrusted=True,
        source="tool:web",
        feedback=(Feedback(channel="label", score=1.0),),
        model="m",
    )
    learnt = await GatedCases(memory).learn_batch([episode], key="k", call=no_calls("r"))
    change = Ledger(memory.store).get(learnt.changes[0])
    assert await MemoryEvolvable(memory).with_changes([change]).recall(tasks("v", 1)[0], run_id="x") is None
