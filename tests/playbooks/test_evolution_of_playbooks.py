"""Learning as a whole: a harmful reflector can't make it worse, kills lose nothing."""

from __future__ import annotations

import pytest

from agentkit.playbooks import PlaybookLearner, PlaybookRecaller, PlaybookStore
from agentkit.store import Store
from tests.support.playbook_world import HeldOutGate, PlantedWorld, Roles, final_score, plant, run_and_learn


@pytest.mark.parametrize("gated", [True, False])
async def test_a_reflector_that_is_always_harmful_never_costs_a_point_behind_the_gate(
    store: Store, gated: bool
) -> None:
    world = PlantedWorld(12, guess=0.2)
    book = PlaybookStore.open(store, "harm")
    plant(book, [world.helpful(kind) for kind in world.kinds[:8]])
    held, test = [world.task(n) for n in range(1000, 1060)], [world.task(n) for n in range(2000, 2200)]
    start = final_score(book, world, test)
    roles = Roles(lambda prompt: [world.harmful(kind) for kind in world.kinds if f" {kind} " in prompt][:1])
    gate = HeldOutGate(book, world, held) if gated else None
    recaller, learner = PlaybookRecaller(book), PlaybookLearner(book, gate=gate)
    for number in range(60):
        await run_and_learn(world, recaller, learner, roles, number)
    end = final_score(book, world, test)
    assert (end >= start - 0.01) is gated
