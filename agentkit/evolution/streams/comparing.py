"""Runs the arms of a stream: every arm answers the same tasks in the same order, each with a memory of its own."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from langchain_core.language_models import BaseChatModel

from agentkit.agent import Agent
from agentkit.checkers import get_checker
from agentkit.errors import AgentKitError, DataError, UserError
from agentkit.evolution.streams.arms import ARMS, StreamArm
from agentkit.feedback import FeedbackDesk
from agentkit.ledger import digest
from agentkit.memory import Case, CaseMemory, Filters, MemoryLearner, open_cases
from agentkit.memory.exposures import ExposureLog
from agentkit.memory.forms.vote import elected
from agentkit.memory.kinds import kind_of
from agentkit.memory.neighbours import nearest
from agentkit.memory.query import Query
from agentkit.opinions import LABEL, RIGHT, Opinion
from agentkit.settings import Settings
from agentkit.store import Store
from agentkit.tasks import Task

FeedbackKind = Literal["binary", "corrections", "labels"]
MEMORY = "stream"
VOTERS = 5


@dataclass(frozen=True, kw_only=True)
class StreamPlan:
    """What is compared, and on what.

    Attributes:
        tasks: with targets; reshuffled for each order but the first.
        holdout: answered at the end, with nothing learnt from them.
        unseen: likewise, but of kinds that do not occur in the stream.
        arms: names in `ARMS`.
        orders: how many orders of the tasks to run.
        feedback: "binary" tells whether the answer was right; "corrections" also gives the right answer if it was
            wrong; "labels" gives the right answer of every task, and each arm that recalls may show any of them.
        harm: share of the tasks that are "corrected" with another task's answer, to simulate a harmful teacher.
        again: how many tasks of the first quarter are answered once more at the end, to measure forgetting.
        folder: where each arm keeps its database; started again, the stream resumes.
    """

    tasks: Sequence[Task]
    folder: Path
    holdout: Sequence[Task] = ()
    unseen: Sequence[Task] = ()
    arms: Sequence[str] = tuple(ARMS)
    orders: int = 1
    feedback: FeedbackKind = "corrections"
    harm: float = 0.0
    again: int = 10
    seed: int = 0
    model: Callable[[], BaseChatModel | str] = field(default=lambda: Settings().model)


@dataclass(frozen=True, kw_only=True)
class StreamAnswer:
    """One task under one arm."""

    task_id: str
    score: float
    tokens: int = 0
    seconds: float = 0.0
    form: str = ""


@dataclass(frozen=True, kw_only=True)
class ArmRun:
    """An arm run along one order of the tasks."""

    arm: str
    order: int
    stream: list[StreamAnswer]
    holdout: list[StreamAnswer]
    again: list[tuple[float, float]]
    """(score in the stream, score at the end) of tasks from the first quarter."""
    unseen: list[StreamAnswer] = field(default_factory=list)


OnAnswer = Callable[[str, int, int, StreamAnswer], None]
"""Called with the arm, the order, the position in the stream and the answer."""


async def compare_arms(
    plan: StreamPlan, settings: Settings, *, on_answer: OnAnswer = lambda arm, order, place, answered: None
) -> list[ArmRun]:
    """Run every arm along every order.

    Raises:
        UserError: an unknown arm, or fewer than two tasks.
        DataError: a task that can't be scored; raised before anything runs.
    """
    if unknown := [name for name in plan.arms if name not in ARMS]:
        raise UserError(f"no arm {unknown[0]!r}: there are {', '.join(ARMS)}")
    if len(plan.tasks) < 2:
        raise UserError("a stream needs at least two tasks: with one there is nothing to have learnt from")
    if missing := [task.id for task in (*plan.tasks, *plan.holdout, *plan.unseen) if task.target is None]:
        raise DataError(f"task {missing[0]!r} has no target, which a stream needs to give feedback")
    runs = []
    for order in range(plan.orders):
        tasks = list(plan.tasks)
        if order:
            random.Random(plan.seed + order).shuffle(tasks)
        for name in plan.arms:
            runs.append(await _ArmRunner(plan, settings, ARMS[name], order, tasks, on_answer).run())
    return runs


class _ArmRunner:
    """One arm along one order."""

    def __init__(
        self, plan: StreamPlan, settings: Settings, arm: StreamArm, order: int, tasks: list[Task], on_answer: OnAnswer
    ) -> None:
        self.plan, self.settings, self.arm, self.order, self.tasks = plan, settings, arm, order, tasks
        self.on_answer = on_answer
        plan.folder.mkdir(parents=True, exist_ok=True)
        file = (
            plan.folder / f"{arm.name}-{order if arm.learns else 0}.db"
        )  # without learning, orders share their answers
        if not arm.model:  # it is fast, and must not see the labels of an earlier pass
            file.unlink(missing_ok=True)
        self.store = Store.open(file)
        self.memory: CaseMemory = open_cases(self.store, MEMORY, settings=settings)
        self.desk = FeedbackDesk(self.store, settings, memory=MEMORY)

    async def run(self) -> ArmRun:
        try:
            return await (self._with_model() if self.arm.model else self._without_model())
        finally:
            self.store.close()

    async def _with_model(self) -> ArmRun:
        recaller = self.arm.recaller(self.memory, self.plan.feedback == "labels", self.settings)
        learners = [MemoryLearner(self.memory)] if self.arm.learns else []
        with Agent(
            self.plan.model(),
            store=self.store,
            settings=self.settings,
            tools=[],
            effort="instant",  # so that the arms differ only in what they remember
            evaluate=False,
            recallers=[] if recaller is None else [recaller],
            learners=learners,
        ) as agent:
            stream = []
            for place, task in enumerate(self.tasks):
                answered = await self._answer(agent, task, f"s{place}" if self.arm.learns else "s")
                stream.append(answered)
                self.on_answer(self.arm.name, self.order, place, answered)
            holdout, unseen = [
                [await self._answer(agent, task, part, learn=False) for task in tasks]
                for part, tasks in (("h", self.plan.holdout), ("u", self.plan.unseen))
            ]
            early = self.tasks[: max(1, len(self.tasks) // 4)][: self.plan.again]
            late = [await self._answer(agent, task, "again", learn=False) for task in early]
        again = [(first.score, last.score) for first, last in zip(stream, late, strict=False)]
        return ArmRun(arm=self.arm.name, order=self.order, stream=stream, holdout=holdout, unseen=unseen, again=again)

    async def _answer(self, agent: Agent, task: Task, part: str, *, learn: bool = True) -> StreamAnswer:
        run_id = f"{part}-{digest([task.id, task.input])[:12]}"
        started = time.perf_counter()
        try:
            result = await agent.arun(task, run_id=run_id, learn=learn, seed=self.plan.seed)
        except UserError:
            raise
        except AgentKitError:
            return StreamAnswer(task_id=task.id, score=0.0, seconds=time.perf_counter() - started)
        verdict = await get_checker(task.own_checker or "exact").check(result.answer or "", task)
        score = verdict.score or 0.0
        if learn and self.arm.learns:
            self.desk.take(self._opinion(result.run_id, task, score))
        return StreamAnswer(
            task_id=task.id,
            score=score,
            tokens=result.usage.input_tokens + result.usage.output_tokens,
            seconds=result.seconds,
            form=self._form(run_id),
        )

    def _opinion(self, run_id: str, task: Task, score: float) -> Opinion:
        """The teacher's feedback: whether the answer was right and, if that is given too, the right answer."""
        if self.plan.feedback == "binary":
            return Opinion(run_id=run_id, by=LABEL, score=score)
        rng = random.Random(f"{self.plan.seed}:{task.id}")
        if rng.random() < self.plan.harm:
            return Opinion(run_id=run_id, by=LABEL, score=0.0, answer=rng.choice(self.tasks).target)
        if score >= RIGHT:  # its own answer is as good as the label
            return Opinion(run_id=run_id, by=LABEL, score=score)
        return Opinion(run_id=run_id, by=LABEL, score=score, answer=task.target)

    def _form(self, run_id: str) -> str:
        """The form of recall that a run used, as logged."""
        recall = ExposureLog(self.store, MEMORY).find(run_id, "default")
        return "" if recall is None else "/".join(recall.policy.split("/")[1:3])

    async def _without_model(self) -> ArmRun:
        """The vote of the nearest cases, which are told every label: what the memory is worth by itself."""
        stream = []
        for place, task in enumerate(self.tasks):
            answered = await self._elect(task)
            case = Case(
                id=f"c{place}",
                state=task.input,
                plan="",
                answer=task.target,
                reward=1.0,
                channel="label",
                instructions=kind_of(task),
            )
            self.memory.add(case)
            stream.append(answered)
            self.on_answer(self.arm.name, self.order, place, answered)
        holdout, unseen = [
            [await self._elect(task) for task in tasks] for tasks in (self.plan.holdout, self.plan.unseen)
        ]
        return ArmRun(arm=self.arm.name, order=self.order, stream=stream, holdout=holdout, unseen=unseen, again=[])

    async def _elect(self, task: Task) -> StreamAnswer:
        started = time.perf_counter()
        query = Query(task.input, self.memory.vectors)
        near = nearest(query, self.memory.bank(Filters()), kind_of(task), VOTERS)
        answer = elected(near)[0] if near else ""
        verdict = await get_checker(task.own_checker or "exact").check(answer, task)
        return StreamAnswer(task_id=task.id, score=verdict.score or 0.0, seconds=time.perf_counter() - started)
