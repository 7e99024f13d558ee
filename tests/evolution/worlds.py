"""One evolution in a planted world, for tests in this process and in ones that are killed."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from agentkit.evolution.config import EvolveConfig, Evolved
from agentkit.evolution.events import OnEvolution, silent
from agentkit.evolution.loop import Evolution
from agentkit.evolution.trials import Trials
from agentkit.ledger import Gate, Ledger
from agentkit.store import Store
from agentkit.tasks import Labels
from tests.evolution.planted import Reflector, RuleBook, World, WorldHarness

MIX = ((0.4, 0.2), (0.3, 0.0), (0.3, -0.2))


def build(
    store: Store,
    *,
    seed: int = 0,
    train: int = 24,
    val: int = 90,
    mix: Any = MIX,
    labels: Labels = "gold",
    concurrency: int = 4,
    harness: WorldHarness | None = None,
    tasks: Any = None,
    on_event: OnEvolution = silent,
    rate: float = 0.4,
    gate: Gate | None = None,
    **config: Any,
) -> tuple[Evolution, RuleBook, WorldHarness]:
    world = World(seed=seed)
    book = RuleBook(store)
    harness = harness or WorldHarness(world)
    make = tasks or world.tasks
    evolution = Evolution(
        evolvables=[book],
        learners=[Reflector(book, mix, rate, seed)],
        trials=Trials(harness, store, labels=labels, concurrency=concurrency),
        train=make(train, prefix="t"),
        val=make(val, prefix="v"),
        config=EvolveConfig(seed=seed, labels=labels, **config),
        on_event=on_event,
        gate=gate,
    )
    return evolution, book, harness


def final_state(store: Store, evolved: Evolved) -> dict[str, Any]:
    """Everything that must not depend on interruptions or on concurrency."""
    ledger = Ledger(store)
    changes = [
        [
            change.id,
            change.hash,
            change.key,
            change.status,
            change.version,
            [[event.status, event.verdict, event.version] for event in ledger.events(change.id)],
        ]
        for change in reversed(ledger.history())
    ]
    heads = {target: ledger.version(target) for target in ledger.targets()}
    curve = [[record.learned.tasks, record.learned.scores, record.settled.versions] for record in evolved.batches]
    return {
        "changes": changes,
        "heads": heads,
        "curve": curve,
        "chosen": evolved.chosen,
        "candidates": [[item.versions, item.score] for item in evolved.candidates],
    }


def main(database: str, options: str) -> None:
    store = Store.open(database)
    evolution, _, _ = build(store, **json.loads(options))
    evolved = asyncio.run(evolution.run())
    print(json.dumps(final_state(store, evolved), sort_keys=True))
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
