"""EffortLearner: adds a run's outcome to the record that routing uses, once per run."""

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
    """Learns from runs whose answer a label or a check has scored.

    A mode is only credited with the first answer: later ones were given knowing that the first was wrong.
    """

    name = "effort"

    def __init__(self, log: RunLog, record: EffortRecord) -> None:
        self.log, self.record = log, record

    async def learn(self, episode: Episode, *, call: CallModel | None = None) -> Learnt:
        """Record a run's outcome; repeating it for the same run changes nothing."""
        return await asyncio.to_thread(self.learn_now, episode)

    def learn_now(self, episode: Episode) -> Learnt:
        """The synchronous version of `learn`."""
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
    """The learners for a run, if any. The effort learner comes first, if the run itself will find out whether its
    answer is right."""
    if not options.learn:
        return []
    knows = checker is not None and (not checker.needs_target or options.labels != "none")
    return [*([EffortLearner(router.log, router.record)] if knows else []), *others]
