"""What a knowledge base learns from its reviewers: a verifier, and cases by relation that its curation recalls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentkit.errors import AgentKitError

if TYPE_CHECKING:
    from agentkit.curation.kb.knowledge_base import KnowledgeBase
    from agentkit.protocols import Block, Recaller
    from agentkit.settings import Settings
    from agentkit.store import Store
    from agentkit.tasks import Task


def memory_name(kb: str, relation: str) -> str:
    """The name of the memory of one relation of a knowledge base."""
    return f"{kb}.{relation}"


@dataclass(frozen=True, kw_only=True)
class ReviewsLearnt:
    """What a knowledge base learnt from its reviewers.

    Attributes:
        verifier: the version of its verifier in force.
        cases: how many decisions became new cases.
        problem: why none did, where that was not for want of decisions.
    """

    verifier: int
    cases: int
    problem: str = ""


def learn_reviews(kb: KnowledgeBase, settings: Settings | None = None) -> ReviewsLearnt:
    """Every decision becomes an episode: the verifier is fitted anew, and cases are kept by relation.

    Without an embedder no cases are kept, and `problem` says so.
    """
    from agentkit.curation.learning.decisions import learn_decisions

    version = learn_decisions(kb)
    try:
        return ReviewsLearnt(verifier=version, cases=_keep_cases(kb, settings))
    except AgentKitError as error:
        return ReviewsLearnt(verifier=version, cases=0, problem=str(error))


def _keep_cases(kb: KnowledgeBase, settings: Settings | None) -> int:
    """Keep a case of each decision that there is none of yet, by relation; how many are new.

    The reviewer saw each quote, so cases don't wait in quarantine.
    """
    from agentkit.curation.kb.episodes import reviewed
    from agentkit.memory import MemoryLearner, open_cases

    learners: dict[str, MemoryLearner] = {}
    before = 0
    for episode in reviewed(kb, untrusted=False):
        relation = str(episode.task.metadata["category"])
        if relation not in learners:
            cases = open_cases(kb.store, memory_name(kb.name, relation), settings=settings)
            learners[relation] = MemoryLearner(cases)
            before += learners[relation].memory.count()
        learners[relation].learn_now(episode)
    return max(0, sum(learner.memory.count() for learner in learners.values()) - before)


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
