"""What a knowledge base learns after its reviewers have decided: a verifier, and context for the next curation."""

from __future__ import annotations

from dataclasses import dataclass, field

from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.learning.context import TaughtContext, teach
from agentkit.curation.learning.decisions import learn_decisions
from agentkit.errors import AgentKitError
from agentkit.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ReviewsLearnt:
    """What a knowledge base learnt from its reviewers.

    Attributes:
        verifier: the version of its verifier in force.
        context: new cases and lessons, and how many were taken back.
        problem: why cases and lessons were not brought up to date, if they were not.
    """

    verifier: int
    context: TaughtContext = field(default_factory=TaughtContext)
    problem: str = ""


def learn_reviews(kb: KnowledgeBase, *, settings: Settings | None = None) -> ReviewsLearnt:
    """Fit the verifier to all decisions made so far, and bring the playbook and the memory of each relation up to date.

    If a memory's embedder is missing, the verifier is fitted nevertheless, and `problem` says so.
    """
    version = learn_decisions(kb)
    try:
        return ReviewsLearnt(verifier=version, context=teach(kb, settings=settings))
    except AgentKitError as error:
        return ReviewsLearnt(verifier=version, problem=str(error))
