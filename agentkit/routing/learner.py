"""EffortLearner: takes how a run went into the record that routing goes by, once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from agentkit.checkers import Checker
from agentkit.graph.context import RunOptions
from agentkit.protocols import CallModel, Episode, Learner, Learnt
from agentkit.routing.outcomes import outcome_of
from agentkit.routing.record import EffortRecord
from agentkit.routing.router import LearnedRouter
from agentkit.store.run_log import RunLog


class EffortLearner:
    """A `Learner` of runs whose answer a label or a check has scored.

    A mode is credited with the first answer alone: those after it had been told that it was wrong.
    """

    name = "effort"

    def __init__(self, log: RunLog, record: EffortRecord) -> None:
        self.log, self.record = log, record

    async def learn(self, episode: Episode, *, call: CallModel | None = None) -> Learnt:
        """Take in a run's outcome; again with the same run it changes nothing."""
        return await asyncio.to_thread(self.learn_now, episode)

    def learn_now(self, episode: Episode) -> Learnt:
        """As `learn`, without waiting in an event loop."""
        steps = self.log.steps(episode.run_id)
        known = [item for item in steps.feedback if item.channel in ("label", "check") and item.score is not None]
        if not known:
            return Learnt(status="nothing", note="nothing says whether the answer is right")
        score = known[0].score or 0.0
        effort = episode.effort
        answer = str(effort["earlier"][0]) if effort.get("earlier") else episode.answer
        outcome = outcome_of(
            episode.run_id,
            episode.task,
            effort,
            steps.model_calls,
            answer=answer,
            score=score,
        )
        if outcome is None:
            return Learnt(status="nothing", note="no model answered")
        change = self.record.learn(outcome, key=episode.run_id, signal=known[0].channel)
        return Learnt(status="applied", changes=(change.id,), details={"mode": outcome.mode, "score": score})


def learners_of(
    router: LearnedRouter, others: Sequence[Learner], options: RunOptions, checker: Checker | None
) -> list[Learner]:
    """What a run teaches, if anything: routing first, where the run will know by itself whether its answer is right."""
    if not options.learn:
        return []
    knows = checker is not None and (not checker.needs_target or options.labels != "none")
    return [*([EffortLearner(router.log, router.record)] if knows else []), *others]
