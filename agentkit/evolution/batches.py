"""One batch up to its proposals: run the tasks with everything frozen, retry with hints, learn from the episodes."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from agentkit.aio import together
from agentkit.errors import RunError
from agentkit.evolution.config import EvolveConfig
from agentkit.evolution.hints import earned, hinted, without_hint
from agentkit.evolution.protocols import Cost, Evolvable
from agentkit.evolution.records import LearnedHalf, LessonNote
from agentkit.evolution.trials import Trials, hide
from agentkit.ledger import Change, Ledger
from agentkit.protocols import CallModel, Episode, Learner, Learnt, Recaller
from agentkit.tasks import Task


@runtime_checkable
class BatchLearner(Protocol):
    """A learner that takes all episodes of a batch at once and curates them together."""

    async def learn_batch(self, episodes: Sequence[Episode], *, key: str, call: CallModel) -> Learnt: ...


@runtime_checkable
class Exploring(Protocol):
    """An evolvable that gives training runs something other than measured runs, for example with parts withheld at
    random. What it gives must be the same for the same run id as long as the target's version stays the same."""

    def live(self, version: int) -> Recaller: ...


class BatchRunner:
    """Runs batches of training tasks and lets the learners propose changes.

    Args:
        trials: its harness runs the tasks, a few at a time.
        evolvables: what evolves; proposals for other targets are ignored.
        learners: in the order in which they get an episode.
    """

    def __init__(
        self, trials: Trials, evolvables: Sequence[Evolvable], learners: Sequence[Learner], config: EvolveConfig
    ) -> None:
        self.trials, self.evolvables, self.learners, self.config = trials, evolvables, learners, config
        self._ledger, self._targets = Ledger(trials.store), {evolvable.target for evolvable in evolvables}

    async def learn(self, name: str, tasks: Sequence[Task], versions: Mapping[str, int]) -> LearnedHalf:
        """Run a batch, then learn from its episodes in order; every id is derived from `name`.

        Raises:
            RunError: all runs failed, and there were several.
        """
        recallers = [
            item.live(versions[item.target]) if isinstance(item, Exploring) else item.at(versions[item.target])
            for item in self.evolvables
        ]
        runs = (self._episode(task, recallers, f"{name}-{number}") for number, task in enumerate(tasks))
        episodes = await together(runs)
        good = [episode for episode in episodes if isinstance(episode, Episode)]
        if not good and len(tasks) > 1:
            raise RunError(f"all {len(tasks)} runs of a batch failed; the first: {episodes[0]}")
        attempts = await together(self._hinted(episode) for episode in self._unsolved(good))
        solved = [found for _, found in attempts if found is not None]
        proposals, notes = await self._proposals([*good, *solved], name)
        runs_used = [f"{name}-{number}" for number in range(len(tasks))] + [run for runs, _ in attempts for run in runs]
        return LearnedHalf(
            tasks=tuple(task.id for task in tasks),
            scores=tuple([await self._truth(task, episode) for task, episode in zip(tasks, episodes, strict=True)]),
            categories=tuple(str(task.metadata.get("category", "")) for task in tasks),
            failed=tuple(str(episode) for episode in episodes if not isinstance(episode, Episode)),
            proposals=tuple(proposals),
            notes=tuple(notes),
            hinted=tuple(item.task.id for item in solved),
            usage=sum((self.trials.harness.cost(run_id) for run_id in [*runs_used, name]), Cost()),
            at=dict(versions),
        )

    async def _episode(
        self, task: Task, recallers: Sequence[Recaller], key: str, sample: int = 0
    ) -> Episode | RunError:
        """A run's episode, or the error that ended it: one bad task must not end a long job."""
        async with self.trials.running:
            try:
                seen = hide(task, self.config.labels)
                return await self.trials.harness.rollout(seen, recallers=recallers, key=key, sample=sample)
            except RunError as error:
                return error

    def _unsolved(self, episodes: Sequence[Episode]) -> list[Episode]:
        """The wrongly answered episodes, if hints are allowed."""
        if not self.config.hints:
            return []
        wrong = [episode for episode in episodes if episode.score is not None and episode.score < 1]
        return [episode for episode in wrong if episode.task.target is not None]

    async def _hinted(self, wrong: Episode) -> tuple[list[str], Episode | None]:
        """The ids of retries that are told the answer, and the first retry whose work led to it. Retries get no learnt
        context: an outcome caused by a hint says nothing about a bullet or a case."""
        runs, task = [], wrong.task
        for attempt in range(self.config.hints):
            runs.append(f"{wrong.run_id}-h{attempt}")
            tried = await self._episode(hinted(task, wrong), [], runs[-1], sample=attempt)
            if isinstance(tried, Episode) and tried.score == 1 and earned(tried, task):
                return runs, without_hint(tried, task)
        return runs, None

    async def _proposals(self, episodes: Sequence[Episode], name: str) -> tuple[list[str], list[LessonNote]]:
        """The learners' proposals that the gate must decide about, and what each learner reported."""
        ids: dict[str, None] = {}
        notes = []
        for learner in self.learners:
            for key, learnt in await self._teach(learner, episodes, name):
                ids |= dict.fromkeys(learnt.changes)
                notes.append(LessonNote(learner=learner.name, key=key, status=learnt.status, note=learnt.note))
        return [id for id in ids if self._open(self._ledger.get(id))], notes

    async def _teach(self, learner: Learner, episodes: Sequence[Episode], name: str) -> list[tuple[str, Learnt]]:
        call = self.trials.harness.learner_call
        if isinstance(learner, BatchLearner):
            lessons = [(name, learner.learn_batch(episodes, key=name, call=call(name)))] if episodes else []
        else:
            lessons = [(item.run_id, learner.learn(item, call=call(item.run_id))) for item in episodes]
        return [(key, await _lesson(lesson)) for key, lesson in lessons]

    def _open(self, change: Change) -> bool:
        """Whether the gate decides about a change; if the lint holds it, only a person can."""
        undecided = change.status in ("proposed", "waiting", "quarantined")
        return change.target in self._targets and undecided and not self._ledger.held(change.id)

    async def _truth(self, task: Task, episode: Episode | RunError) -> float | None:
        if not isinstance(episode, Episode):
            return 0.0
        feedback = await self.trials.harness.score(task, episode.answer)
        return None if feedback is None else feedback.score


async def _lesson(lesson: Awaitable[Learnt]) -> Learnt:
    """A lesson's outcome. A lesson that failed is recorded rather than dropped, because a loop that silently learns
    nothing is the most common defect."""
    try:
        return await lesson
    except RunError as error:
        return Learnt(status="nothing", note=f"failed: {error}")
