"""The loops learn in a fixed order, survive any interruption, and never end below where they began for certain."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import RunError, UserError
from agentkit.evolution.config import EvolveLimits
from agentkit.evolution.events import BatchDone, EvolutionEnded, EvolutionEvent, Validated
from agentkit.evolution.trials import Trials
from agentkit.ledger import Change, Ledger, Verdict
from agentkit.protocols import Episode
from agentkit.store import Store
from agentkit.tasks import Feedback, Task
from tests.evolution.planted import World, WorldHarness
from tests.evolution.worlds import build, final_state

ROOT = Path(__file__).resolve().parents[2]


def opened(tmp_path: Path, name: str) -> Store:
    return Store.open(tmp_path / f"{name}.db")


async def test_offline_learning_accepts_good_lessons_and_ends_above_its_start(store: Store) -> None:
    evolution, book, _ = build(store, train=40, val=200)
    evolved = await evolution.run()
    test = evolution.trials.harness.world.tasks(800, prefix="x")  # type: ignore[attr-defined]
    world = World()
    assert world.accuracy(book.lessons(), test) > world.accuracy([], test) + 0.1
    assert evolved.candidates[0].versions == evolved.start == {book.target: 0}
    assert all(lesson.effect > 0 for lesson in book.lessons())


async def test_a_harmful_reflector_leaves_the_start_in_place(store: Store) -> None:
    evolution, book, _ = build(store, mix=((1.0, -0.2),))
    evolved = await evolution.run()
    assert evolved.chosen == evolved.start and book.lessons() == ()


async def test_without_a_gate_the_choice_on_validation_still_brings_the_start_back(store: Store) -> None:
    evolution, book, _ = build(store, mix=((1.0, -0.3),), mode="off", epochs=2)
    evolved = await evolution.run()
    assert evolved.chosen == {book.target: 0} and book.lessons() == () and book.version() > 1


@pytest.mark.parametrize("online", [False, True])
async def test_ledgers_are_identical_whatever_the_concurrency(tmp_path: Path, online: bool) -> None:
    states = []
    for concurrency in (1, 3, 16):
        store = opened(tmp_path, f"c{concurrency}")
        evolution, _, _ = build(store, concurrency=concurrency, online=online)
        evolution.trials.harness = Scrambled(World())
        states.append(final_state(store, await evolution.run()))
        store.close()
    assert states[0] == states[1] == states[2] and states[0]["changes"]


class Scrambled(WorldHarness):
    """Rollouts that finish in an order of their own, and prove that they overlap."""

    now = most = 0

    async def rollout(self, task: Task, *, recallers: Any, key: str, sample: int = 0) -> Episode:
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(random.Random(key).randrange(5)):
            await asyncio.sleep(0)
        self.now -= 1
        return await super().rollout(task, recallers=recallers, key=key)


async def test_rollouts_of_a_batch_overlap_up_to_the_limit(store: Store) -> None:
    scrambled = Scrambled(World())
    evolution, _, _ = build(store, concurrency=3, harness=scrambled)
    await evolution.run()
    assert scrambled.most == 3


def run_killed(database: Path, options: str, fault: str | None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **({"AGENTKIT_FAULT": fault} if fault else {})}
    command = [sys.executable, "-m", "tests.evolution.worlds", str(database), options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", check=False)


POINTS = (
    "after:evolve.trial#5",
    "before:evolve.step",
    "after:evolve.step",
    "after:evolve.trial#9",
    "before:ledger.commit",
    "after:ledger.commit",
    "after:evolve.step",
    "after:evolve.step#2",
    "before:evolve.step#2",
    "after:evolve.step",
)


@pytest.mark.kill
@pytest.mark.parametrize("options", ['{"rate": 0.6, "batch": 4}', '{"train": 32, "batch": 4, "online": true}'])
def test_ten_kills_leave_the_same_final_state_as_none(tmp_path: Path, options: str) -> None:
    undisturbed = run_killed(tmp_path / "calm.db", options, None)
    assert undisturbed.returncode == 0, undisturbed.stderr
    online = "online" in options
    points = [point for point in POINTS if not (online and "trial" in point)]
    kills = [run_killed(tmp_path / "killed.db", options, point).returncode for point in points]
    assert kills == [-9] * len(points)
    finished = run_killed(tmp_path / "killed.db", options, None)
    assert finished.stdout == undisturbed.stdout


async def test_a_finished_evolution_run_again_repeats_its_result_and_calls_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path, "again")
    first = final_state(store, await build(store)[0].run())
    evolution, _, rollout = build(store)
    assert final_state(store, await evolution.run()) == first and rollout.calls == 0
    store.close()


async def test_label_free_prompts_are_byte_identical_when_targets_are_noise(tmp_path: Path) -> None:
    seen, states = [], []
    for name, flipped in (("true", 0.0), ("noise", 0.5)):
        store, world = opened(tmp_path, name), World()
        rollout = WorldHarness(world, keep_prompts=True)

        def tasks(count: int, *, prefix: str, flipped: float = flipped, world: World = world) -> list[Task]:
            return world.tasks(count, prefix=prefix, flipped=flipped)

        evolution, _, _ = build(store, labels="none", harness=rollout, tasks=tasks, concurrency=1, epochs=2)
        evolved = await evolution.run()
        seen.append(rollout.prompts)
        states.append({key: value for key, value in final_state(store, evolved).items() if key != "curve"})
        store.close()
    assert seen[0] == seen[1] and states[0] == states[1] and len(seen[0]) > 50


async def test_trials_never_carry_a_target_whatever_the_labels(store: Store) -> None:
    world, targets = World(), []

    class Spy(WorldHarness):
        async def rollout(self, task: Task, **options: Any) -> Episode:
            targets.append(task.target)
            return await super().rollout(task, **options)

    trials = Trials(Spy(world), store, labels="gold")
    tasks = world.tasks(5, prefix="v")
    made = await trials.many(tasks, [])
    assert targets == [None] * 5 and None not in await trials.scores(tasks, made)


async def test_the_same_trial_wanted_twice_at_once_is_made_once(store: Store) -> None:
    harness = WorldHarness(World())
    trials = Trials(harness, store)
    tasks = World().tasks(1, prefix="v") * 6
    assert len({trial.key for trial in await trials.many(tasks, [])}) == 1 and harness.calls == 1


async def test_a_run_that_broke_off_counts_as_wrong_in_reports_and_as_unknown_in_decisions(store: Store) -> None:
    class Broken(WorldHarness):
        async def rollout(self, task: Task, **options: Any) -> Episode:
            raise RunError("no answer")

    trials = Trials(Broken(World()), store)
    tasks = World().tasks(2, prefix="v")
    made = [await trials.run(await trials.prepare(task, [])) for task in tasks]
    assert await trials.scores(tasks, made) == [None, None] and await trials.truths(tasks, made) == [0.0, 0.0]
    with pytest.raises(RunError, match="all 2 runs"):
        await trials.many(tasks, [])


async def test_a_broken_training_run_is_reported_and_the_rest_goes_on(store: Store) -> None:
    class Flaky(WorldHarness):
        async def rollout(self, task: Task, **options: Any) -> Episode:
            if task.id == "t3":
                raise RunError("context overflow")
            return await super().rollout(task, **options)

    evolved = await build(store, harness=Flaky(World()))[0].run()
    failed = [line for record in evolved.batches for line in record.learned.failed]
    assert failed == ["context overflow"] and sum(len(record.learned.tasks) for record in evolved.batches) == 24


async def test_a_budget_ends_learning_and_still_chooses_a_version(store: Store) -> None:
    evolved = await build(store, limits=EvolveLimits(tokens=1), epochs=3)[0].run()
    assert evolved.status == "budget: tokens" and evolved.chosen == evolved.start and not evolved.batches


async def test_an_epoch_without_an_accepted_change_ends_learning_early(store: Store) -> None:
    evolved = await build(store, mix=((1.0, 0.0),), epochs=5)[0].run()
    assert evolved.status == "converged" and {record.epoch for record in evolved.batches} == {0}


async def test_progress_tells_accuracy_verdicts_tokens_and_time_left(store: Store) -> None:
    events: list[EvolutionEvent] = []
    evolved = await build(store, on_event=events.append)[0].run()
    batches = [event for event in events if isinstance(event, BatchDone)]
    assert len(batches) == 3 and batches[-1].seconds_left == 0
    decisions = [verdict.decision for verdict in evolved.verdicts.values()]
    assert batches[-1].accepted == decisions.count("accept") and batches[-1].rejected == decisions.count("reject")
    assert batches[-1].tokens > batches[0].tokens > 0
    assert events[-1] == EvolutionEnded(status="done", chosen=evolved.chosen)
    assert isinstance(events[0], Validated) and events[0].tasks == len(evolved.candidates[0].scores)


def test_tasks_in_both_training_and_validation_are_refused(store: Store) -> None:
    same = World().tasks(4, prefix="same")
    with pytest.raises(UserError, match="keep them apart"):
        build(store, tasks=lambda count, prefix: same)


def test_the_strict_gate_asks_for_held_out_tasks(store: Store) -> None:
    with pytest.raises(UserError, match="--val"):
        build(store, val=0)


async def test_online_scores_come_from_before_learning_and_harm_is_withdrawn(store: Store) -> None:
    evolution, book, _ = build(store, online=True, train=320, mix=((1.0, -0.4),), rate=0.02)
    evolved = await evolution.run()
    outcomes = [record.outcome for batch in evolved.batches for record in batch.settled.watched]
    assert evolved.batches[0].learned.at == {book.target: 0}
    assert "worse" in outcomes
    assert any(change.status == "withdrawn" for change in book.ledger.history())


async def test_no_more_changes_are_on_probation_than_the_policy_allows(store: Store) -> None:
    evolution, book, _ = build(store, online=True, train=64, mix=((1.0, 0.0),), rate=0.9)
    await evolution.run()
    applied = [change for change in book.ledger.history() if change.status == "applied"]
    waiting = [change for change in book.ledger.history() if change.status == "quarantined"]
    assert len(applied) == 2 and waiting


async def test_label_free_decisions_without_any_judge_quarantine(store: Store) -> None:
    class Silent(WorldHarness):
        async def rollout(self, task: Task, **options: Any) -> Episode:
            episode = await super().rollout(task, **options)
            unknown = Feedback(channel="judge", score=None)
            return Episode(**{**vars(episode), "feedback": (unknown,)})

    evolved = await build(store, harness=Silent(World()), labels="none")[0].run()
    assert {verdict.decision for verdict in evolved.verdicts.values()} == {"quarantine"}


async def test_nothing_stays_on_probation_when_the_tasks_end(store: Store) -> None:
    harmful = {"mix": ((1.0, -0.3),), "mode": "probation", "online": True, "train": 24, "rate": 0.3}
    evolution, book, _ = build(store, **harmful)
    await evolution.run()
    accepted = [change for change in Ledger(store).history(book.target) if change.role == "reflector"]
    assert {change.status for change in accepted} <= {"withdrawn", "quarantined"} and not book.lessons()


async def test_a_change_on_probation_that_won_stays_when_the_tasks_end(store: Store) -> None:
    evolution, book, _ = build(store, mix=((1.0, 0.4),), mode="probation", online=True, train=24, rate=0.3)
    await evolution.run()
    assert book.lessons()


class NightShift:
    """A gate of one's own: takes what touches a lesson whose id begins with a figure."""

    async def decide(self, changes: Sequence[Change], *, key: str) -> dict[str, Verdict]:
        wanted = {change.id for change in changes if change.operations[0]["id"][0].isdigit()}
        return {
            change.id: Verdict(decision="accept" if change.id in wanted else "reject", reason="by its id")
            for change in changes
        }


async def test_a_gate_of_ones_own_decides_instead(store: Store) -> None:
    evolution, book, _ = build(store, val=0, gate=NightShift(), online=True)
    other, _, _ = build(store, val=0, online=True)
    evolved = await evolution.run()
    assert {verdict.reason for verdict in evolved.verdicts.values()} == {"by its id"}
    assert book.lessons() and all(lesson.id[0].isdigit() for lesson in book.lessons())
    assert evolution.id != other.id
