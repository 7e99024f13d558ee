"""Learning from past runs how much to spend on a task: which mode, whether to go to a higher one, whether to ask the
evaluator."""

from agentkit.routing.learner import EffortLearner, learners_of
from agentkit.routing.outcomes import outcome_of
from agentkit.routing.record import EffortOutcome, EffortRecord
from agentkit.routing.router import LearnedRouter
from agentkit.routing.worth import Levels, levels_of

__all__ = [
    "EffortLearner",
    "EffortRecord",
    "LearnedRouter",
    "Levels",
    "EffortOutcome",
    "learners_of",
    "levels_of",
    "outcome_of",
]
