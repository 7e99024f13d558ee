"""Collecting training data: attempts at tasks, and daily runs that somebody judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from agentkit.aio import together
from agentkit.errors import RunError, UserError
from agentkit.evolution.harness import AgentHarness
from agentkit.evolution.hints import hinted
from agentkit.evolution.trials import hide
from agentkit.feedback import FeedbackDesk
from agentkit.json_types import digest
from agentkit.protocols import Episode, Recaller
from agentkit.roles.blocks import block
from agentkit.store.run_log import FINISHED
from agentkit.tasks import Feedback, Task
from agentkit.training.examples import Attempt, Unfit, prompt_of, read_run
from agentkit.training.recipes import Recipe, Refinement

if TYPE_CHECKING:
    from agentkit.agent import Agent


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What was collected.

    Attributes:
        attempts: one sequence per task, the measured answer first.
        second: right answers from second attempts: those found with a hint (not in their prompts), and refinements.
        skipped: the number of runs left out, by reason.
    """

    attempts: list[list[Attempt]]
    second: list[Attempt] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        first = [tries[0] for tries in self.attempts if tries]
        right = sum(item.right for item in first)
        corrected = sum(item.correction is not None for item in first)
        found = f", {len(self.second)} found at a second attempt" if self.second else ""
        return f"of {len(first)} answers {right} were right and {corrected} corrected{found}"


class Collector:
    """Lets an agent attempt tasks. Each attempt is a separate run; asking for it again finds the same run.

    Args:
        recallers: the context of the attempts, including the adapter in force.
        key: distinguishes the attempts of one round from those of other rounds.
    """

    def __init__(self, agent: Agent, recallers: Sequence[Recaller], *, key: str, seed: int = 0) -> None:
        self.agent, self.recallers, self.key = agent, list(recallers), key
        self.harness = AgentHarness(agent, seed=seed, learner="train")
        self.skipped: Counter[str] = Counter()

    async def collect(self, tasks: Sequence[Task], recipe: Recipe) -> Collected:
        """Attempts at tasks with targets or checkers, as many per task as the recipe asks for."""
        wanted = [(task, sample) for task in tasks for sample in range(recipe.attempts)]
        width = max(1, self.agent.settings.concurrency)
        made: list[Attempt | None] = []
        for begin in range(0, len(wanted), width):
            made += await together(self._attempt(task, sample) for task, sample in wanted[begin : begin + width])
        size = recipe.attempts
        rows = [[item for item in made[n : n + size] if item is not None] for n in range(0, len(made), size)]
        attempts = [row for row in rows if row]
        second = await self._with_hints(attempts) if recipe.hinted else []
        if recipe.refined is not None:
            second += await self._refinements(attempts, recipe.refined)
        return Collected(attempts=attempts, second=second, skipped=self.skipped)

    async def _attempt(self, task: Task, sample: int) -> Attempt | None:
        episode = await self._run(hide(task), sample=sample)
        if episode is None:
            return None
        return self._read(task, episode, await self.harness.score(task, episode.answer), sample=sample)

    async def _run(self, task: Task, *, sample: int = 0) -> Episode | None:
        key = f"train-{digest([self.key, task.id, task.input, task.instructions, sample])[:24]}"
        try:
            return await self.harness.rollout(task, recallers=self.recallers, key=key, sample=sample)
        except RunError as error:
            self.skipped[f"failed: {str(error)[:80]}"] += 1
            return None

    def _read(self, task: Task, episode: Episode, said: Feedback | None, *, sample: int = 0) -> Attempt | None:
        known = said is not None and said.channel != "judge"
        try:
            run = read_run(self.agent.log, self.agent.log.get(episode.run_id), self.agent.program)
        except Unfit as error:
            self.skipped[str(error)] += 1
            return None
        score = said.score if said is not None and known else None
        wrong = score is not None and score < 0.5
        return Attempt(
            task=task,
            chat=run.chat,
            said=run.said,
            answer=episode.answer or "",
            run_id=episode.run_id,
            score=score,
            source=said.channel if said is not None else "check",
            correction=task.target if wrong and not run.reason else None,
            sample=sample,
            bare=run.bare,
        )

    async def _with_hints(self, attempts: Sequence[Sequence[Attempt]]) -> list[Attempt]:
        """Right answers from second attempts at tasks that were answered wrongly, with the answer given as a hint."""
        found = []
        for first in (tries[0] for tries in attempts if tries[0].wrong):
            if first.task.target is None:
                continue
            wrong = Episode(run_id=first.run_id, task=first.task, labels="gold", answer=first.answer)
            episode = await self._run(hide(hinted(first.task, wrong)))
            if episode is None:
                continue
            again = self._read(first.task, episode, await self.harness.score(first.task, episode.answer))
            if again is None or not again.right:
                continue
            record = self.agent.log.get(episode.run_id)
            if (record.effort or {}).get("mode") != "reasoning":
                raise UserError(
                    "hints need runs that reason; otherwise there is only the answer to learn: add  --effort reasoning"
                )
            if told(again):
                self.skipped["its reasoning mentions the hint"] += 1
                continue
            blocks = self.agent.log.blocks(record.id) or ()
            found.append(replace(again, chat=prompt_of(first.task, blocks, self.agent.program, reason=True)))
        return found

    async def _refinements(self, attempts: Sequence[Sequence[Attempt]], search: Refinement) -> list[Attempt]:
        """A right refinement for each task with a wrong answer, if one is found."""
        roots = [next((item for item in tries if item.wrong and item.said), None) for tries in attempts]
        found = [await self._refined(root, search) for root in roots if root is not None]
        return [leaf for leaf in found if leaf is not None]

    async def _refined(self, root: Attempt, search: Refinement) -> Attempt | None:
        """Search refinements, then refinements of refinements, breadth first, until one is right."""
        level = [root]
        for _ in range(search.depth):
            made: list[Attempt] = []
            for parent in level:
                for child in await self._children(parent, search):
                    if child.right:
                        return self._near_enough(child, search)
                    made.append(child)
            level = sorted(made, key=lambda item: -(item.score or 0.0))[: search.width]
        return None

    def _near_enough(self, leaf: Attempt, search: Refinement) -> Attempt | None:
        if changed(leaf.first.said, leaf.said) <= search.most_changed:
            return leaf
        self.skipped["its refinement changed too much"] += 1
        return None

    async def _children(self, parent: Attempt, search: Refinement) -> list[Attempt]:
        """Refinements of an answer after the model's own critique of it; the model is not told the target."""
        task = hide(parent.first.task)
        episode = await self._run(critique_of(task, parent.answer))
        if episode is None:
            return []
        asked = refinement_of(task, parent.answer, episode.answer or "", minimal=search.most_changed < 1)
        children = []
        for branch in range(search.branching):
            tried = await self._run(asked, sample=branch)
            if tried is not None:
                said = await self.harness.score(parent.first.task, tried.answer)
                child = self._read(parent.first.task, tried, said, sample=branch)
                children += [replace(child, earlier=parent)] if child is not None and child.said else []
        return children


def critique_of(task: Task, answer: str) -> Task:
    """A task that asks for a critique of an answer, in words."""
    asked = f"{task.input}\n\n{block('answer', answer)}\n\n{CRITIQUE}"
    return task.model_copy(update={"input": asked, "choices": None, "answer_schema": None, "checker": None})


def refinement_of(task: Task, answer: str, critique: str, *, minimal: bool) -> Task:
    """A task that asks for an answer again, given an earlier one and its critique."""
    parts = [task.input, block("answer", answer), block("critique", critique), REFINE + (MINIMAL if minimal else "")]
    return task.model_copy(update={"input": "\n\n".join(parts)})


def changed(before: str, after: str) -> float:
    """The share of a text that has changed, from 0 to 1."""
    return 1 - SequenceMatcher(None, before, after, autojunk=False).ratio()


CRITIQUE = "Check this answer. Say in one or two sentences what is wrong with it, and do not answer the task itself."
REFINE = "The answer above was not accepted. Give the whole answer once more, corrected and in the form that is wanted."
MINIMAL = " Change as little as possible."


def told(attempt: Attempt) -> bool:
    """Whether an attempt's reasoning refers to the hint instead of solving the task."""
    text = attempt.said.casefold()
    return any(word in text for word in ("known", "given answer", "right answer", "hint", "correct answer is"))


def of_daily_runs(agent: Agent, model: str, *, limit: int = 10_000) -> Collected:
    """Runs of a model that somebody judged through feedback; a correction takes precedence over the run's answer."""
    desk, skipped = FeedbackDesk(agent.store, agent.settings), Counter[str]()
    attempts: list[list[Attempt]] = []
    for record in agent.log.runs(limit=limit):
        if record.status not in FINISHED or record.model != model:
            continue
        settled = desk.settled(record.id)
        if settled is None:
            continue
        try:
            run = read_run(agent.log, record, agent.program)
        except Unfit as error:
            skipped[str(error)] += 1
            continue
        attempt = Attempt(
            task=record.task,
            chat=run.chat,
            said=run.said,
            answer=record.answer or "",
            run_id=record.id,
            score=settled.score,
            source=settled.channel,
            by=settled.by if settled.channel == "user" else "",
            correction=None if run.reason else settled.correction,
            bare=run.bare,
        )
        attempts.append([attempt])
    return Collected(attempts=attempts, skipped=skipped)
