"""A hold-out: tasks that changes are tried on, in an order that spreads their use, and a limit to that use.

A proposal is made without sight of the hold-out, so one test of it is honest. What leaks are the verdicts: each tells
the next proposals a little about these very items, and after many of them "held-out" is only a word (Dwork et al.,
"The reusable holdout", Science 2015). So uses are counted in the store, across runs, and there is an end to them.
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
        tasks: none of them may be learned from.
        limit: tests allowed on it in all; by default three for each task, at least 60.
    """

    def __init__(self, tasks: Sequence[Task], *, limit: int | None = None) -> None:
        self.tasks = list(tasks)
        self.limit = max(60, 3 * len(self.tasks)) if limit is None else limit
        self.name = digest(sorted([task.id, task.input] for task in self.tasks))[:32]

    def __len__(self) -> int:
        return len(self.tasks)

    def order(self, number: int) -> list[Task]:
        """The tasks in the order in which test `number` tries them: one shuffled circle, begun a third further on
        each time, so that early-stopping tests use all items alike and baseline answers are still found again."""
        circle = sorted(self.tasks, key=lambda task: digest([self.name, task.id]))
        begin = (number - 1) * max(1, len(circle) // 3) % max(1, len(circle))
        return circle[begin:] + circle[:begin]

    def uses(self, store: Store) -> int:
        """Tests made on it so far, by any run."""
        query = select(func.count()).select_from(GateTestRow).where(GateTestRow.holdout == self.name)
        with store.read() as connection:
            return connection.execute(query).scalar_one()

    def spent(self, store: Store) -> bool:
        return self.uses(store) >= self.limit


def split(tasks: Sequence[Task], share: float, *, seed: int = 0) -> tuple[list[Task], list[Task]]:
    """Divide tasks at random into two parts, the first with about `share` of them; both keep the given order."""
    count = round(len(tasks) * share)
    picked = set(random.Random(seed).sample(range(len(tasks)), count))
    first = [task for index, task in enumerate(tasks) if index in picked]
    return first, [task for index, task in enumerate(tasks) if index not in picked]


def levels_so_far(connection: Connection, evolution: str) -> list[tuple[int, float, str]]:
    """`(number, level, outcome)` of an evolution's tests so far, in order."""
    query = select(GateTestRow.number, GateTestRow.level, GateTestRow.outcome)
    rows = connection.execute(query.where(GateTestRow.evolution == evolution).order_by(GateTestRow.number))
    return [(row.number, row.level, row.outcome) for row in rows]
