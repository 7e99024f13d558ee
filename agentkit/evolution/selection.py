"""Choosing a version: states are scored on validation tasks that the gate never sees, and the best one is made
current."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentkit.evolution.config import Candidate
from agentkit.evolution.events import OnEvolution, Validated
from agentkit.evolution.progress import EvolutionProgress
from agentkit.evolution.protocols import Cost, Evolvable
from agentkit.evolution.trials import Trials
from agentkit.tasks import Task


class VersionSelection:
    """The states that may be chosen.

    Args:
        tasks: to score them on; none of them was used to test a change.
        progress: where scores are recorded, so that a resumed evolution does not measure again.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        trials: Trials,
        evolvables: Sequence[Evolvable],
        progress: EvolutionProgress,
        on_event: OnEvolution,
    ) -> None:
        self.tasks, self.trials, self.evolvables = list(tasks), trials, evolvables
        self.progress, self.on_event = progress, on_event
        self.candidates: list[Candidate] = []

    async def validate(self, versions: Mapping[str, int], *, step: int) -> Cost:
        """Score a state and add it as a candidate; returns the cost."""
        found = self.progress.recorded("validated")
        if found is None:
            before = self.trials.made
            recallers = [item.at(versions[item.target]) for item in self.evolvables]
            trials = await self.trials.many(self.tasks, recallers)
            scores = [score or 0.0 for score in await self.trials.scores(self.tasks, trials)]
            used = self.trials.made - before
            data = {"versions": dict(versions), "scores": scores, "usage": used.to_json()}
            found = self.progress.record("validated", data)
        scores = found["scores"]
        mean = sum(scores) / len(scores) if scores else None
        self.candidates.append(Candidate(step=step, versions=found["versions"], score=mean, scores=tuple(scores)))
        self.on_event(Validated(versions=found["versions"], score=mean, tasks=len(scores)))
        return Cost.from_json(found["usage"])

    def choose(self, current: Mapping[str, int], *, evolution: str) -> dict[str, int]:
        """Make the best candidate current. In a tie the earliest one wins, so the initial state stays if nothing was
        gained."""
        if not self.candidates:
            return dict(current)
        best = max(self.candidates, key=lambda item: (item.score or 0.0, -item.step))
        for item in self.evolvables:
            version = best.versions[item.target]
            if current[item.target] != version:
                item.rollback(version, key=f"{evolution}:choose:{item.target}", reason="chosen on validation")
        return dict(best.versions)
