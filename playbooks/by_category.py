"""A separate playbook or case memory for each relation: what is learnt about one is not shown for another."""

from __future__ import annotations

from collections.abc import Callable

from agentkit.protocols import Block, CallModel, Episode, Learner, Learnt, Recaller
from agentkit.tasks import Task


class RecallByRelation:
    """A `Recaller` that delegates to the recaller of the task's relation.

    Args:
        name: of the whole.
        make: creates the recaller for a relation, such as a `PlaybookRecaller` for the playbook `drugs.induces`.
    """

    def __init__(self, name: str, make: Callable[[str], Recaller]) -> None:
        self.name, self._make = name, make
        self._made: dict[str, Recaller] = {}

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        relation = str(task.metadata.get("category", ""))
        if relation not in self._made:
            self._made[relation] = self._make(relation)
        return await self._made[relation].recall(task, run_id=run_id)


class LearnByRelation:
    """A `Learner` that passes each episode to the learner of its relation."""

    def __init__(self, name: str, make: Callable[[str], Learner]) -> None:
        self.name, self._make = name, make
        self._made: dict[str, Learner] = {}

    async def learn(self, episode: Episode, *, call: CallModel) -> Learnt:
        relation = str(episode.task.metadata.get("category", ""))
        if relation not in self._made:
            self._made[relation] = self._make(relation)
        return await self._made[relation].learn(episode, call=call)
