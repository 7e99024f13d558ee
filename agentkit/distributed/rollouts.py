"""Rollouts on many processes: each worker has its own agent and models, and all share one database.

A run's id follows from its task, the agent and the seed. So the next worker finds the run that a dead one has left
under the same id, and resumes it after its last completed call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from agentkit import errors
from agentkit.agent import Agent
from agentkit.agent.running import Driven, unheard
from agentkit.distributed.cluster import Cluster
from agentkit.distributed.shared import Shared, SharedLimits, SharedMeter
from agentkit.distributed.workers import Crew, Workers, in_a_line
from agentkit.errors import RunError, UserError
from agentkit.evaluation import EvalReport, Scored, Scoring, evaluate_tasks
from agentkit.evolution.protocols import Fixed
from agentkit.graph.nodes.recall import recalled
from agentkit.json_types import JsonObject
from agentkit.models import Budget
from agentkit.result import Result
from agentkit.settings import Settings
from agentkit.store import Store
from agentkit.store.run_log import FINISHED, RunLog
from agentkit.tasks import Task

_LOOK = 0.5
"""Seconds between checks of a run that another process is working on."""


@dataclass(frozen=True, kw_only=True)
class AgentPlan:
    """What a worker builds its agent from.

    Attributes:
        url: the database, with its password.
        slots: the maximum number of model calls that this worker has in flight.
    """

    spec: JsonObject
    options: JsonObject
    settings: Settings
    url: str
    budget: Budget
    slots: int

    def build(self, purse: Any = None) -> Agent:
        """The agent, under the limits that the purse keeps for all workers."""
        settings = self.settings.model_copy(update={"concurrency": self.slots})
        agent = Agent.from_spec(self.spec, self.options, store=Store.open(self.url), settings=settings)
        agent.models.budget = self.budget
        if purse is not None:
            agent.models.limits = SharedLimits(purse, self.slots)
            agent.models.meters = partial(SharedMeter, purse)
        return agent


class Rollouts:
    """The actor that makes runs.

    Args:
        plan: the plan of its agent, which is built at the first task.
        purse: the actor that keeps the shared limits; None if there are none.
    """

    def __init__(self, plan: AgentPlan, purse: Any = None) -> None:
        self._plan, self._purse = plan, purse
        self._agent: Agent | None = None
        self._again = False

    async def score(self, scoring: Scoring, task: Task) -> Scored:
        """Run a task, or resume its run, and score the answer.

        Raises:
            UserError: an error that would fail every run, reduced to its line, which can be sent to the driver.
        """
        with in_a_line():
            return await scoring.score(await self._ready(scoring.run_id(task)), task)

    async def make(self, run: Driven, batch: str | None) -> tuple[str, str] | None:
        """Make a run that the driver prepared, or resume it; the result is in the database. For a failed run, return
        the kind of its error and its message in one line.

        Raises:
            UserError: as for `score`.
        """
        with in_a_line():
            try:
                await (await self._ready(run.run_id)).drive(run, batch)
            except RunError as error:
                return type(error).__name__, str(error)
        return None

    async def _ready(self, run_id: str) -> Agent:
        """The agent, once nobody else is working on a run."""
        if self._agent is None:
            self._agent, self._again = self._plan.build(self._purse), _replaces_a_dead_worker()
        if not self._again:
            await until_left(self._agent.log, run_id)
        return self._agent


def _replaces_a_dead_worker() -> bool:
    """Whether Ray has restarted this actor: then nobody else is working on the runs that it is given."""
    import ray

    return bool(ray.get_runtime_context().was_current_actor_reconstructed)


async def until_left(log: RunLog, run_id: str) -> None:
    """Wait while another living process works on a run, such as a worker whose driver was just killed."""
    while True:
        if _status(log, run_id) != "running":
            return
        await asyncio.sleep(_LOOK)


def _status(log: RunLog, run_id: str) -> str:
    """A run's status; empty if it has not begun."""
    try:
        record = log.get(run_id)
    except UserError:
        return ""
    return record.status if record.id == run_id else ""


class RolloutCrew:
    """The workers of one evaluation.

    Args:
        agent: an agent built only from names and settings, so that workers can rebuild it.
        at_once: runs in progress over all workers; the rest waits in the driver.

    Raises:
        UserError: the agent has parts that only this process has, or workers can't reach the database.
    """

    def __init__(self, cluster: Cluster, agent: Agent, at_once: int, shared: Shared) -> None:
        if parts := ", ".join(agent.in_code):
            raise UserError(f"Ray's workers can't rebuild this agent: its {parts} are objects; give them by name")
        crew = Crew.of(cluster, agent.models.spec.values(), at_once, agent.settings)
        plan = AgentPlan(
            spec=agent.spec,
            options=vars(agent.options),
            settings=agent.settings,
            url=cluster.check_store(agent.store.engine.url.render_as_string(hide_password=False)),
            budget=agent.models.budget,
            slots=crew.slots,
        )
        self._agent = agent
        self._workers = Workers(cluster, Rollouts, [plan] * crew.count, crew, shared)

    async def score(self, scoring: Scoring, task: Task) -> Scored:
        """Give a task to the least busy worker.

        Raises:
            UserError: an error that would fail every run.
            RunError: every worker that took the task died.
        """
        scored: Scored = await self._give(task, "score", scoring, task)
        return scored

    async def make(self, run: Driven, batch: str | None) -> Result:
        """Make a prepared run on a worker, with the context that this process recalls for it.

        Raises:
            UserError: an error that would fail every run, or the run should learn: learning keeps its order, in the
                driver.
            RunError: the run failed, or every worker that took it died.
        """
        log, learns = self._agent.log, run.options.learn and bool(self._agent.learning.learners)
        if learns:
            raise UserError("runs on Ray's workers teach nothing: make this run in the process itself")
        if _status(log, run.run_id) not in FINISHED:
            recallers = self._agent.learning.recallers if run.recallers is None else run.recallers
            given = log.blocks(run.run_id)
            if given is None:
                given = await recalled(recallers, run.task, run_id=run.run_id)
            fixed = [Fixed(name=block.kind, block=block) for block in given]
            sent = replace(run, recallers=fixed, form=None, emit=unheard, on_words=None)
            if failed := await self._give(run.task, "make", sent, batch):
                raise vars(errors)[failed[0]](failed[1])
        return self._agent.result(run.run_id)

    async def _give(self, task: Task, method: str, *given: object) -> Any:
        number = self._workers.take()
        try:
            return await self._workers.ask(number, f"task {task.id!r}", method, *given)
        finally:
            self._workers.leave(number)


@contextmanager
def rollouts_on(
    cluster: Cluster, agent: Agent, *, at_once: int | None = None, shared: Shared | None = None
) -> Iterator[None]:
    """Inside the block, an agent's runs are made on a cluster. Learning from them happens in this process, in the same
    order, so an evolution, a stream or a training ends with the same ledger.

    Args:
        agent: an agent built from names, not from objects.
        at_once: runs in progress over all workers; None takes the setting `concurrency`.
        shared: the limits of all workers together.

    Raises:
        UserError: workers can't rebuild the agent or reach its database.
    """
    agent.elsewhere = RolloutCrew(cluster, agent, at_once or agent.settings.concurrency, shared or Shared()).make
    try:
        yield
    finally:
        agent.elsewhere = None


async def evaluate_on(
    cluster: Cluster,
    agent: Agent,
    tasks: Sequence[Task],
    *,
    checker: str | JsonObject | None = None,
    batch: str | None = None,
    concurrency: int = 1,
    seed: int = 0,
    on_result: Callable[[Scored], None] = lambda scored: None,
    shared: Shared | None = None,
) -> EvalReport:
    """`agentkit.evaluation.evaluate_tasks` on a cluster: the same runs, under the same ids, and the same report.

    Args:
        agent: an agent built from names, not from objects.
        concurrency: runs in progress over all workers.
        shared: the limits of all workers together.

    Raises:
        DataError: a task can't be scored.
        UserError: an error that would fail every run, or workers can't rebuild the agent or reach its database.
        RunError: workers die again and again.
    """
    crew = RolloutCrew(cluster, agent, min(concurrency, max(1, len(tasks))), shared or Shared())
    return await evaluate_tasks(
        agent,
        tasks,
        checker=checker,
        batch=batch,
        concurrency=concurrency,
        seed=seed,
        on_result=on_result,
        elsewhere=crew.score,
    )
