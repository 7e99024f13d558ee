"""Which version is made current in the end: the best on tasks that no gate saw, and of equals the earliest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from agentkit.evolution.config import Candidate
from agentkit.evolution.events import EvolutionEvent
from agentkit.evolution.progress import EvolutionProgress
from agentkit.evolution.selection import VersionSelection
from agentkit.evolution.trials import Trials
from agentkit.protocols import Block
from agentkit.store import Store
from tests.evolution.planted import Lesson, World, WorldHarness


class Lessons:
    """An evolvable whose version n gives runs its first n lessons; remembers what it was rolled back to."""

    target = "lessons:test"

    def __init__(self, *lessons: Lesson) -> None:
        self.lessons, self.backs = lessons, list[int]()

    def at(self, version: int) -> Any:
        return given(self.lessons[:version])

    def rollback(self, version: int, *, key: str, reason: str) -> None:
        self.backs.append(version)


def given(lessons: Sequence[Lesson]) -> Any:
    class Recaller:
        name = "lessons"

        async def recall(self, task: object, *, run_id: str) -> Block | None:
            text = "\n".join(lesson.line() for lesson in lessons)
            return Block(kind="playbook", target="lessons:test", version=len(lessons), text=text) if lessons else None

    return Recaller()


def selection(
    store: Store, evolvable: Any, *, tasks: int = 0, events: list[EvolutionEvent] | None = None
) -> tuple[VersionSelection, WorldHarness]:
    world = World(seed=5)
    harness, progress = WorldHarness(world), EvolutionProgress(store, "e", {})
    progress.begin({evolvable.target: 0})
    trials = Trials(harness, store)
    seen = [] if events is None else events
    return VersionSelection(world.tasks(tasks, prefix="s"), trials, [evolvable], progress, seen.append), harness


def candidate(step: int, version: int, score: float | None) -> Candidate:
    return Candidate(step=step, versions={Lessons.target: version}, score=score)


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [([0.5, 0.5, 0.5], 0), ([0.5, 0.7, 0.7], 1), ([0.5, 0.4, 0.6], 2), ([None, None, None], 0), ([None, 0.0, 0.1], 2)],
)
def test_the_best_is_chosen_and_of_equals_the_earliest(store: Store, scores: list[float | None], chosen: int) -> None:
    found, _ = selection(store, Lessons())
    found.candidates = [candidate(step, step, score) for step, score in enumerate(scores)]
    assert found.choose({Lessons.target: 9}, evolution="e") == {Lessons.target: chosen}


def test_only_a_target_that_is_elsewhere_is_rolled_back(store: Store) -> None:
    evolvable = Lessons()
    found, _ = selection(store, evolvable)
    assert found.choose({Lessons.target: 4}, evolution="e") == {Lessons.target: 4}, "nothing was measured"
    found.candidates = [candidate(0, 2, 0.5)]
    found.choose({Lessons.target: 2}, evolution="e")
    assert evolvable.backs == []
    found.choose({Lessons.target: 3}, evolution="e")
    assert evolvable.backs == [2]


async def test_a_state_is_scored_once_and_a_resumed_evolution_reads_the_score(store: Store) -> None:
    evolvable, events = Lessons(Lesson(id="good", effect=0.3), Lesson(id="bad", effect=-0.5)), list[EvolutionEvent]()
    found, harness = selection(store, evolvable, tasks=60, events=events)
    for step in range(3):
        await found.validate({Lessons.target: step}, step=step)
    start, good, bad = (item.score or 0.0 for item in found.candidates)
    assert good > start > bad and len(events) == 3
    assert found.choose({Lessons.target: 2}, evolution="e") == {Lessons.target: 1} and evolvable.backs == [1]
    again, resumed = selection(store, evolvable, tasks=60)
    for step in range(3):
        await again.validate({Lessons.target: step}, step=step)
    assert again.candidates == found.candidates and harness.calls and not resumed.calls
