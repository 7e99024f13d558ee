"""A knowledge base's memory: people's decisions stored as cases by relation, and recalled in the next curation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentkit.cli.output import note

if TYPE_CHECKING:
    from agentkit.curation.kb.knowledge_base import KnowledgeBase
    from agentkit.protocols import Block, Recaller
    from agentkit.settings import Settings
    from agentkit.store import Store
    from agentkit.tasks import Task


def memory_name(kb: str, relation: str) -> str:
    """The name of the memory of one relation of a knowledge base."""
    return f"{kb}.{relation}"


def keep_cases(kb: KnowledgeBase) -> int:
    """Store a case for each decision that has none yet, by relation; returns how many are new.

    The reviewer saw each quote, so the cases don't wait in quarantine. Without an embedder nothing is stored, and one
    line says so.
    """
    from agentkit.curation.kb.episodes import reviewed
    from agentkit.errors import AgentKitError
    from agentkit.memory import MemoryLearner, open_cases

    learners: dict[str, MemoryLearner] = {}
    before = after = 0
    try:
        for episode in reviewed(kb, untrusted=False):
            relation = str(episode.task.metadata["category"])
            if relation not in learners:
                learners[relation] = MemoryLearner(open_cases(kb.store, memory_name(kb.name, relation)))
                before += learners[relation].memory.count()
            learners[relation].learn_now(episode)
        after = sum(learner.memory.count() for learner in learners.values())
    except AgentKitError as error:
        note(f"no cases kept: {error}")
    return max(0, after - before)


class RelationRecaller:
    """A `Recaller` of the cases of the task's relation, which abstains if there are none yet."""

    def __init__(self, store: Store, kb: str, settings: Settings) -> None:
        self.name = f"cases:{kb}"
        self._store, self._kb, self._settings = store, kb, settings
        self._made: dict[str, Recaller | None] = {}

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        relation = str(task.metadata.get("category", ""))
        if relation not in self._made:
            self._made[relation] = self._open(relation)
        recaller = self._made[relation]
        return None if recaller is None else await recaller.recall(task, run_id=run_id)

    def _open(self, relation: str) -> Recaller | None:
        from agentkit.memory import FormRecaller, open_cases
        from agentkit.memory.opening import stored_cases

        name = memory_name(self._kb, relation)
        if stored_cases(self._store, name, home=self._settings.home) is None:
            return None
        return FormRecaller(open_cases(self._store, name, settings=self._settings))
