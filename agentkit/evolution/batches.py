"""One batch up to its proposals: run it with everything frozen, try again with hints, learn from the episodes."""

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
    """A learner that takes the episodes of a batch together, in one curation."""

    async def learn_batch(self, episodes: Sequence[Episode], *, key: str, call: CallModel) -> Learnt: ...


@runtime_checkable
class Exploring(Protocol):
    """An evolvable whose training runs are given something else than measured ones, such as with parts withheld at
    random. It must stay the same for a run id, and while the target stays at a version."""

    def live(self, version: int) -> Recaller: ...


class BatchRunner:
    """Runs batches of training tasks and lets the learners propose changes.

    Args:
        trials: whose harness runs the tasks, a few at a time.
        evolvables: what evolves; changes to anything else are left alone.
        learners: in the order in which they see an episode.
    """

    def __init__(
        self, trials: Trials, evolvables: Sequence[Evolvable], learners: Sequence[Learner], config: EvolveConfig
    ) -> None:
        self.trials, self.evolvables, self.learners, self.config = trials, evolvables, learners, config
        self._ledger, self._targets = Ledger(trials.store), {evolvable.target for evolvable in evolvables}

    async def learn(self, name: str, tasks: Sequence[Task], versions: Mapping[str, int]) -> LearnedHalf:
        """Run a batch, then learn from its episodes in order; every id is derived from `name`.

        Raises:
            RunError: all of several runs failed.
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
        """A run, or the error that ended it: one bad task must not end a night's work."""
        async with self.trials.running:
            try:
                seen = hide(task, self.config.labels)
                return await self.trials.harness.rollout(seen, recallers=recallers, key=key, sample=sample)
            except RunError as error:
                return error

    def _unsolved(self, episodes: Sequence[Episode]) -> list[Episode]:
        """What was answered wrongly, where hints are allowed."""
        if not self.config.hints:
            return []
        wrong = [episode for episode in episodes if episode.score is not None and episode.score < 1]
        return [episode for episode in wrong if episode.task.target is not None]

    async def _hinted(self, wrong: Episode) -> tuple[list[str], Episode | None]:
        """The runs of further attempts that are told the answer, and the first whose work led to it. They are given no
        learned context: an outcome that a hint brought about says nothing about a bullet or a case."""
        runs, task = [], wrong.task
        for attempt in range(self.config.hints):
            runs.append(f"{wrong.run_id}-h{attempt}")
            tried = await self._episode(hinted(task, wrong), [], runs[-1], sample=attempt)
            if isinstance(tried, Episode) and tried.score == 1 and earned(tried, task):
                return runs, without_hint(tried, task)
        return runs, None

    async def _proposals(self, episodes: Sequence[Episode], name: str) -> tuple[list[str], list[LessonNote]]:
        """What the learners propose that the gate is to decide about, and what each said it did."""
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
        """Whether the gate is to decide about a change; about what the lint holds only a person can."""
        undecided = change.status in ("proposed", "waiting", "quarantined")
        return change.target in self._targets and undecided and not self._ledger.held(change.id)

    async def _truth(self, task: Task, episode: Episode | RunError) -> float | None:
        if not isinstance(episode, Episode):
            return 0.0
        feedback = await self.trials.harness.score(task, episode.answer)
        return None if feedback is None else feedback.score


async def _lesson(lesson: Awaitable[Learnt]) -> Learnt:
    """What was learned; a lesson that failed is noted, for a loop that quietly learns nothing is the usual defect."""
    try:
        return await lesson
    except RunError as error:
        return Learnt(status="nothing", note=f"failed: {error}")
