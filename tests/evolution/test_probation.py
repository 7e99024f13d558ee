"""Probation: harm is seen long before the pairs are used up, and a change that won as often as it lost is released."""

from __future__ import annotations

import pytest

from agentkit.evolution.probation import ProbationPolicy, Watch
from agentkit.evolution.trials import Trials
from agentkit.ledger import Change, Ledger, Verdict
from agentkit.store import Store
from tests.evolution.planted import RuleBook, World, WorldHarness


def watched(store: Store, effect: float, *, pairs: int) -> tuple[Watch, Change]:
    """A watch that answers every task twice, and a change with this effect that is on probation."""
    book = RuleBook(store)
    operation = {"op": "add", "id": "lesson", "effect": effect, "scope": None}
    proposed = book.ledger.propose(
        Change(key="c", kind="rulebook", target=book.target, base=0, operations=(operation,), role="reflector")
    )
    change = book.apply(proposed, Verdict(decision="accept", reason="on probation"))
    policy = ProbationPolicy(share=1.0, pairs=pairs)
    trials = Trials(WorldHarness(World()), store)
    return Watch([book], trials, Ledger(store), evolution="e", policy=policy), change


async def test_harm_is_withdrawn_long_before_the_pairs_are_used_up(store: Store) -> None:
    watch, change = watched(store, -0.4, pairs=10_000)
    (record,) = await watch.watch(World().tasks(40, prefix="t"), [change.id], key="k")
    assert record.outcome == "worse" and len(record.differences) == 40
    assert Ledger(store).get(change.id).status == "withdrawn" and watch.active([change.id]) == []


@pytest.mark.parametrize(("effect", "outcome", "status"), [(0.0, "released", "applied"), (-0.05, "worse", "withdrawn")])
async def test_after_its_pairs_a_change_is_released_unless_it_lost_more_often(
    store: Store, effect: float, outcome: str, status: str
) -> None:
    watch, change = watched(store, effect, pairs=40)
    tasks = World().tasks(40, prefix="t")
    (first,) = await watch.watch(tasks[:20], [change.id], key="one")
    (second,) = await watch.watch(tasks[20:], [change.id], key="two")
    assert (first.outcome, second.outcome) == ("watching", outcome)
    assert Ledger(store).get(change.id).status == status


@pytest.mark.parametrize(("effect", "outcome", "status"), [(0.3, "released", "applied"), (0.0, "worse", "withdrawn")])
async def test_when_the_tasks_end_a_change_stays_only_if_it_won_more_often_than_it_lost(
    store: Store, effect: float, outcome: str, status: str
) -> None:
    watch, change = watched(store, effect, pairs=10_000)
    tasks = World().tasks(40, prefix="t")
    (first,) = await watch.watch(tasks[:20], [change.id], key="one")
    (last,) = await watch.end(tasks[20:], [change.id], key="end")
    assert (first.outcome, last.outcome) == ("watching", outcome)
    assert Ledger(store).get(change.id).status == status and watch.active([change.id]) == []
    assert [again.outcome for again in await watch.end(tasks[20:], [change.id], key="end")] == [outcome]
