"""Trials: answers to held-out tasks with known context, each made once and then cached.

A trial always runs without its target, whatever the labels setting: an agent that is told "wrong, try again" measures
the label rather than the agent. The answer is scored afterwards.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from agentkit import faults
from agentkit.aio import together
from agentkit.errors import RunError
from agentkit.evolution.protocols import Cost, Fixed, Harness
from agentkit.graph.nodes.recall import recalled
from agentkit.json_types import JsonObject
from agentkit.ledger import digest
from agentkit.protocols import Block, Episode, Recaller
from agentkit.store import Store
from agentkit.store.evolution import TrialRow
from agentkit.tasks import Labels, Task


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A task answered with a certain context.

    Attributes:
        key: identifies the content: with equal keys the model sees exactly the same.
        judged: the score from the run's own feedback; None if it had none.
        details: further data for reports, such as the first answer of the run.
    """

    key: str
    task_id: str
    run_id: str
    answer: str | None
    judged: float | None
    cost: Cost
    details: JsonObject

    @property
    def failed(self) -> bool:
        return "error" in self.details


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A task with its context blocks, ready to be run."""

    task: Task
    blocks: tuple[Block, ...]
    key: str


class Trials:
    """Runs tasks with fixed context, a few at a time, and caches the results.

    Args:
        harness: runs a task and scores its answer.
        store: where trials are cached; equal content is reused, in this process or a later one.
        labels: "none" keeps targets out of every decision.
        seed: distinguishes repeated samples.
        concurrency: rollouts in flight at once; no result depends on it.
    """

    def __init__(
        self,
        harness: Harness,
        store: Store,
        *,
        labels: Labels = "gold",
        seed: int = 0,
        concurrency: int = 4,
    ) -> None:
        self.harness, self.store, self.labels, self.seed = harness, store, labels, seed
        self.running = asyncio.Semaphore(concurrency)
        self.made = Cost()
        """The usage of trials made by this object; cached ones cost nothing."""
        self._kept: dict[str, Trial] = {}
        self._checks: dict[tuple[str, str | None], float | None] = {}
        self._under_way: dict[str, asyncio.Future[Trial]] = {}

    async def prepare(self, task: Task, recallers: Sequence[Recaller]) -> Prepared:
        """Recall the task's blocks, which determine the trial; no model is called."""
        shown = hide(task)
        probe = digest([shown.id, self.harness.fingerprint])[:24]
        blocks = tuple(await recalled(recallers, shown, run_id=f"trial-{probe}"))
        content = [visible(shown), [seen(block) for block in blocks], self.harness.fingerprint, self.seed]
        return Prepared(task=task, blocks=blocks, key=digest(content))

    async def run(self, item: Prepared) -> Trial:
        """The trial for a prepared task, from the cache if it was made before."""
        found = self._stored(item.key)
        if found is not None:
            return found
        waiting = self._under_way.get(item.key)
        if waiting is not None:
            return await asyncio.shield(waiting)
        future: asyncio.Future[Trial] = asyncio.get_running_loop().create_future()
        self._under_way[item.key] = future
        try:
            trial = await self._make(item)
        except BaseException as error:
            future.set_exception(error)
            future.exception()  # marks it as retrieved: it is raised here, and anyone waiting gets it too
            raise
        finally:
            del self._under_way[item.key]
        future.set_result(trial)
        return trial

    async def many(self, tasks: Iterable[Task], recallers: Sequence[Recaller]) -> list[Trial]:
        """The trials of several tasks with the same recallers, in the order of the tasks."""
        prepared = [await self.prepare(task, recallers) for task in tasks]
        return await self.run_all(prepared)

    async def run_all(self, prepared: Sequence[Prepared]) -> list[Trial]:
        """The trials, in the order given.

        Raises:
            RunError: all runs failed, and there were several, so the error is the only result.
        """
        made = await together(self.run(item) for item in prepared)
        if len(made) > 1 and all(trial.failed for trial in made):
            raise RunError(f"all {len(made)} runs failed; the first: {made[0].details['error']}")
        return made

    async def scores(self, tasks: Sequence[Task], trials: Sequence[Trial]) -> list[float | None]:
        """The scores that decisions may use: without labels only the runs' own judge or check, otherwise the target;
        None if nothing is known or the run failed."""
        if self.labels == "none":
            return [trial.judged for trial in trials]
        checked = await self._checked(tasks, trials)
        return [
            None if trial.failed else trial.judged if score is None else score
            for trial, score in zip(trials, checked, strict=True)
        ]

    async def truths(self, tasks: Sequence[Task], trials: Sequence[Trial]) -> list[float | None]:
        """The scores that reports may use: the target, whatever the labels setting. They decide nothing. A failed run
        counts as wrong."""
        checked = await self._checked(tasks, trials)
        return [0.0 if trial.failed else score for trial, score in zip(trials, checked, strict=True)]

    async def _checked(self, tasks: Sequence[Task], trials: Sequence[Trial]) -> list[float | None]:
        return [await self._check(task, trial) for task, trial in zip(tasks, trials, strict=True)]

    async def _check(self, task: Task, trial: Trial) -> float | None:
        key = (trial.key, task.target)
        if key not in self._checks:
            feedback = None if trial.failed else await self.harness.score(task, trial.answer)
            self._checks[key] = None if feedback is None else feedback.score
        return self._checks[key]

    async def _make(self, item: Prepared) -> Trial:
        async with self.running:
            fixed = [Fixed(name=block.kind, block=block) for block in item.blocks]
            run_id = f"trial-{item.key[:40]}"
            try:
                episode = await self.harness.rollout(hide(item.task), recallers=fixed, key=run_id)
            except RunError as error:
                return self._failed(item, run_id, error)
        trial = Trial(
            key=item.key,
            task_id=item.task.id,
            run_id=episode.run_id,
            answer=episode.answer,
            judged=episode.score,
            cost=self.harness.cost(episode.run_id),
            details=summary(episode),
        )
        self._keep(trial)
        self.made += trial.cost
        return trial

    def _failed(self, item: Prepared, run_id: str, error: RunError) -> Trial:
        """A failed run. It is not cached, so that it is retried, and it counts as evidence for neither side."""
        cost = self.harness.cost(run_id)
        self.made += cost
        details = {"error": f"{type(error).__name__}: {error}"}
        return Trial(
            key=item.key, task_id=item.task.id, run_id=run_id, answer=None, judged=None, cost=cost, details=details
        )

    def _stored(self, key: str) -> Trial | None:
        if key in self._kept:
            return self._kept[key]
        with self.store.read() as connection:
            row = connection.execute(select(TrialRow.__table__).where(TrialRow.key == key)).one_or_none()
        if row is None:
            return None
        self._kept[key] = _trial(row)
        return self._kept[key]

    def _keep(self, trial: Trial) -> None:
        row = {**vars(trial), "cost": trial.cost.to_json()}
        self.store.transaction(lambda connection: self.store.insert_new(connection, TrialRow, [row]))
        self._kept[trial.key] = trial
        faults.point("after:evolve.trial")


def hide(task: Task, labels: Labels = "none") -> Task:
    """The task as a run may see it: without its target if labels are "none"."""
    return task if labels != "none" or task.target is None else task.model_copy(update={"target": None})


def seen(block: Block) -> list[str]:
    """The parts of a block that can change an answer; an adapter is represented by its file name, which contains its
    hash."""
    return [block.kind, block.text, *([Path(block.adapter).name] if block.adapter else [])]


def visible(task: Task) -> list[Any]:
    """The parts of a task that can change what a model sees or how its answer is checked."""
    return [task.id, task.input, task.target, task.checker, task.metadata]


def summary(episode: Episode) -> JsonObject:
    """What reports need from an episode: the answer of each round, the number of steps, and what was cited."""
    return {"answers": round_answers(episode), "steps": len(episode.steps), "cited": list(episode.cited)}


def round_answers(episode: Episode) -> list[str | None]:
    """The answer of each round: the explorer's last text before each objection, and the final answer."""
    answers: list[str | None] = []
    said: str | None = None
    for step in episode.steps:
        if step.actor == "explorer":
            said = _answer_in(step.text)
        elif step.actor == "evaluator":
            answers.append(said)
    return [*answers, episode.answer]


def _answer_in(text: str) -> str:
    """The answer in a structured reply, or else the text itself."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return str(parsed["answer"]) if isinstance(parsed, dict) and "answer" in parsed else text


def _trial(row: Row[Any]) -> Trial:
    names = ("key", "task_id", "run_id", "answer", "judged", "details")
    values = {name: getattr(row, name) for name in names}
    return Trial(cost=Cost.from_json(row.cost), **values)
