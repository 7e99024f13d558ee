"""The gate lets through what helps on held-out tasks, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agentkit.errors import Conflict
from agentkit.evolution.gate import GatePolicy, StrictGate, disjoint_groups
from agentkit.evolution.holdout import Holdout, split
from agentkit.evolution.trials import Trials
from agentkit.ledger import Change
from agentkit.store import Store
from agentkit.tasks import Task
from tests.evolution.planted import RuleBook, World, WorldHarness


class Setup:
    """A world, a gate on it, and ways to propose lessons."""

    def __init__(
        self,
        store: Store,
        *,
        seed: int = 3,
        noise: float = 0.0,
        size: int = 200,
        scoped: bool = False,
        probes: int = 0,
        **options: Any,
    ) -> None:
        self.world = World(seed=seed, noise=noise)
        self.harness = WorldHarness(self.world)
        self.book = RuleBook(store, scoped=self.world if scoped else None)
        self.trials = Trials(self.harness, store)
        self.holdout = Holdout(self.world.tasks(size, prefix="v"), limit=options.pop("limit", None))
        self.gate = StrictGate(
            [self.book],
            self.trials,
            self.holdout,
            evolution="e",
            probes=self.world.tasks(probes, prefix="p"),
            **options,
        )

    def propose(self, key: str, effect: float, scope: int | None = None) -> Change:
        operation = {"op": "add", "id": key, "effect": effect, "scope": scope}
        return self.book.ledger.propose(
            Change(
                key=key,
                kind="rulebook",
                target=self.book.target,
                base=self.book.version(),
                operations=(operation,),
                role="reflector",
            )
        )

    async def decide(self, *changes: Change, key: str = "k") -> list[str]:
        verdicts = await self.gate.decide(changes, key=key)
        return [verdicts[change.id].decision for change in changes]


@pytest.fixture
def setup(store: Store) -> Callable[..., Setup]:
    return lambda **options: Setup(store, **options)


async def test_a_helpful_change_is_accepted_with_its_counts_test_interval_and_cost(setup: Callable[..., Setup]) -> None:
    world = setup()
    change = world.propose("good", 0.1)
    verdict = (await world.gate.decide([change], key="k"))[change.id]
    assert verdict.decision == "accept"
    evidence = verdict.evidence
    assert evidence["wins"] >= 6 and evidence["losses"] == 0 and evidence["pairs"] < 200
    assert evidence["e_value"] >= evidence["threshold"] == 20
    low, high = evidence["interval"]
    assert -0.02 < low < evidence["mean"] < high
    assert evidence["cost"]["calls"] == 2 * 8 * -(-evidence["pairs"] // 8)
    assert len(evidence["better"]) == evidence["wins"]


@pytest.mark.parametrize("effect", [0.0, -0.1])
async def test_useless_and_harmful_changes_are_rejected(setup: Callable[..., Setup], effect: float) -> None:
    world = setup()
    assert await world.decide(world.propose("bad", effect)) == ["reject"]


async def test_too_few_held_out_tasks_lead_to_quarantine_never_to_acceptance(setup: Callable[..., Setup]) -> None:
    world = setup(size=12)
    assert await world.decide(world.propose("good", 0.2)) == ["quarantine"]


async def test_a_change_that_no_held_out_task_sees_is_quarantined_without_a_call(setup: Callable[..., Setup]) -> None:
    world = setup(scoped=True)
    change = world.propose("elsewhere", 0.2, scope=99)
    verdict = (await world.gate.decide([change], key="k"))[change.id]
    assert verdict.decision == "quarantine" and "reached" in verdict.reason and world.harness.calls == 0


async def test_only_the_tasks_a_change_reaches_are_run(setup: Callable[..., Setup]) -> None:
    world = setup(scoped=True)
    change = world.propose("local", 0.3, scope=2)
    verdict = (await world.gate.decide([change], key="k"))[change.id]
    reached = sum(world.world.domain(task.id) == 2 for task in world.holdout.tasks)
    assert verdict.evidence["reached"] == reached and world.harness.calls <= 2 * reached


async def test_the_same_decision_asked_again_repeats_its_verdict_and_runs_nothing(setup: Callable[..., Setup]) -> None:
    world = setup()
    change = world.propose("good", 0.1)
    first = await world.gate.decide([change], key="k")
    calls = world.harness.calls
    assert await world.gate.decide([change], key="k") == first and world.harness.calls == calls


async def test_baseline_answers_are_made_once_for_all_tests(setup: Callable[..., Setup]) -> None:
    world = setup(size=40)
    await world.decide(world.propose("one", 0.0), key="a")
    first = world.harness.calls
    await world.decide(world.propose("two", 0.0), key="b")
    assert world.harness.calls - first < first


async def test_a_group_of_placebos_costs_hardly_more_than_one(setup: Callable[..., Setup]) -> None:
    world = setup()
    changes = [world.propose(f"p{number}", 0.0) for number in range(8)]
    assert await world.decide(*changes) == ["reject"] * 8
    assert world.harness.calls <= 2 * 112


async def test_the_good_member_of_a_group_is_told_apart(setup: Callable[..., Setup]) -> None:
    world = setup(size=400)
    good = world.propose("good", 0.2)
    others = [world.propose(f"p{number}", 0.0) for number in range(3)]
    assert await world.decide(good, *others) == ["accept", "reject", "reject", "reject"]


async def test_a_harmful_member_does_not_hide_a_good_one(setup: Callable[..., Setup]) -> None:
    world = setup(size=400)
    assert await world.decide(world.propose("good", 0.2), world.propose("bad", -0.2)) == ["accept", "reject"]


async def test_a_group_may_be_accepted_as_one(setup: Callable[..., Setup]) -> None:
    world = setup(policy=GatePolicy(members="together"))
    assert await world.decide(world.propose("good", 0.3), world.propose("p", 0.0)) == ["accept", "accept"]


async def test_a_hold_out_can_be_used_up(setup: Callable[..., Setup]) -> None:
    world = setup(limit=2)
    for number in range(2):
        await world.decide(world.propose(f"p{number}", 0.0), key=f"k{number}")
    change = world.propose("good", 0.3)
    verdict = (await world.gate.decide([change], key="k9"))[change.id]
    assert verdict.decision == "quarantine" and "too often" in verdict.reason


async def test_each_failed_test_makes_the_next_harder_and_a_success_hands_its_level_on(
    setup: Callable[..., Setup],
) -> None:
    gate = setup().gate
    assert gate.level_of([]) == 0.05
    one = gate.level_of([(1, 0.05, "useless")])
    assert one == pytest.approx(0.1 / 6)
    assert gate.level_of([(1, 0.05, "better")]) == 0.05
    assert gate.level_of([(1, 0.05, "useless"), (2, one, "useless")]) == pytest.approx(0.1 / 12)


async def test_levels_of_a_whole_run_add_up_to_no_more_than_twice_the_level(setup: Callable[..., Setup]) -> None:
    gate, earlier = setup().gate, []
    for number in range(1, 200):
        earlier.append((number, gate.level_of(earlier), "useless"))
    assert sum(level for _, level, _ in earlier) <= 0.1


async def test_a_change_that_breaks_frozen_probes_is_rejected_though_it_helps_elsewhere(
    setup: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = setup(probes=40)
    solves = World.solves

    def broken_on_probes(self: World, task_id: str, lessons: Any, text: str) -> bool:
        return solves(self, task_id, lessons, text) and not (task_id.startswith("p") and lessons)

    monkeypatch.setattr(World, "solves", broken_on_probes)
    change = world.propose("good", 0.2)
    verdict = (await world.gate.decide([change], key="k"))[change.id]
    assert verdict.decision == "reject" and verdict.evidence["probes"]["losses"] > 10


@pytest.mark.parametrize(("probes", "decision"), [(8, "ask"), (60, "accept")])
async def test_a_loss_on_probes_that_may_be_chance_is_for_a_person_if_it_is_large(
    setup: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch, probes: int, decision: str
) -> None:
    world = setup(probes=probes)
    solves = World.solves

    def two_probes_lost(self: World, task_id: str, lessons: Any, text: str) -> bool:
        if task_id.startswith("p"):
            return not (lessons and task_id in ("p0", "p1"))
        return solves(self, task_id, lessons, text)

    monkeypatch.setattr(World, "solves", two_probes_lost)
    assert await world.decide(world.propose("good", 0.2)) == [decision]


async def test_a_person_is_asked_about_changes_the_policy_names(setup: Callable[..., Setup]) -> None:
    world = setup(ask_when=lambda change: "comes from outside" if change.role == "reflector" else None)
    assert await world.decide(world.propose("good", 0.2)) == ["ask"]


async def test_a_change_that_cannot_be_applied_is_rejected_and_its_group_is_not(
    setup: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = setup()
    good, torn = world.propose("good", 0.2), world.propose("torn", 0.0)
    preview = world.book.with_changes

    def refuse(changes: list[Change]) -> Any:
        if torn in changes:
            raise Conflict("moved on")
        return preview(changes)

    monkeypatch.setattr(world.book, "with_changes", refuse)
    assert await world.decide(good, torn) == ["accept", "reject"]


def test_changes_that_touch_the_same_thing_are_never_in_one_group(setup: Callable[..., Setup]) -> None:
    world = setup()
    one, two = world.propose("a", 0.0), world.propose("b", 0.0)
    again = world.book.ledger.propose(
        Change(
            key="c",
            kind="rulebook",
            target=world.book.target,
            base=0,
            role="reflector",
            operations=({"op": "remove", "id": "a"},),
        )
    )
    assert disjoint_groups([one, two, again], [world.book]) == [[one, two], [again]]


def test_tests_of_a_hold_out_begin_at_different_places_and_use_every_task() -> None:
    holdout = Holdout([Task(id=str(number), input=str(number)) for number in range(9)])
    orders = [holdout.order(number) for number in (1, 2, 3)]
    assert len({order[0].id for order in orders}) == 3
    assert all({task.id for task in order} == {task.id for task in holdout.tasks} for order in orders)


def test_a_split_shares_out_every_task_once() -> None:
    tasks = [Task(id=str(number), input=str(number)) for number in range(10)]
    first, second = split(tasks, 0.3, seed=1)
    assert len(first) == 3 and sorted([*first, *second], key=lambda task: int(task.id)) == tasks
