"""A hold-out: tasks for testing changes, in an order that spreads their use evenly, with a limit on that use.

A proposal is made without seeing the hold-out, so a single test on it is unbiased. But verdicts leak: each one tells
later proposals a little about these very tasks, and after many of them the tasks are no longer really held out (Dwork
et al., "The reusable holdout", Science 2015). So uses are counted in the store, across runs, and limited.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from agentkit.ledger import digest
from agentkit.store import Store
from agentkit.store.evolution import GateTestRow
from agentkit.tasks import Task


class Holdout:
    """Held-out tasks.

    Args:
        tasks: none of them may be used for learning.
        limit: how many tests may use it in all; by default three per task, and at least 60.
    """

    def __init__(self, tasks: Sequence[Task], *, limit: int | None = None) -> None:
        self.tasks = list(tasks)
        self.limit = max(60, 3 * len(self.tasks)) if limit is None else limit
        self.name = digest(sorted([task.id, task.input] for task in self.tasks))[:32]

    def __len__(self) -> int:
        return len(self.tasks)

    def order(self, number: int) -> list[Task]:
        """The tasks in the order in which test `number` uses them: one shuffled circle that starts a third further
        on each time, so that tests that stop early use all tasks equally and cached baseline answers can still be
        reused."""
        circle = sorted(self.tasks, key=lambda task: digest([self.name, task.id]))
        begin = (number - 1) * max(1, len(circle) // 3) % max(1, len(circle))
        return circle[begin:] + circle[:begin]

    def uses(self, store: Store) -> int:
        """How many tests have used it so far, in any run."""
        query = select(func.count()).select_from(GateTestRow).where(GateTestRow.holdout == self.name)
        with store.read() as connection:
            return connection.execute(query).scalar_one()

    def spent(self, store: Store) -> bool:
        return self.uses(store) >= self.limit


def split(tasks: Sequence[Task], share: float, *, seed: int = 0) -> tuple[list[Task], list[Task]]:
    """Split tasks at random into two parts, the first with about `share` of them; both keep the given order."""
    count = round(len(tasks) * share)
    picked = set(random.Random(seed).sample(range(len(tasks)), count))
    first = [task for index, task in enumerate(tasks) if index in picked]
    return first, [task for index, task in enumerate(tasks) if index not in picked]


def levels_so_far(connection: Connection, evolution: str) -> list[tuple[int, float, str]]:
    """`(number, level, outcome)` of an evolution's tests so far, in order."""
    query = select(GateTestRow.number, GateTestRow.level, GateTestRow.outcome)
    rows = connection.execute(query.where(GateTestRow.evolution == evolution).order_by(GateTestRow.number))
    return [(row.number, row.level, row.outcome) for row in rows]
