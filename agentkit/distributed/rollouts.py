"""Rollouts on many processes: each worker is an agent of its own, with its own models, on the one database.

A run's id follows from its task, the agent and the seed. So a run that a dead worker has left is found by the next one
under the same id, and goes on behind its last completed call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from agentkit.agent import Agent
from agentkit.distributed.cluster import Cluster
from agentkit.distributed.shared import Shared, SharedLimits, SharedMeter
from agentkit.distributed.workers import Crew, Workers
from agentkit.errors import UserError
from agentkit.evaluation import EvalReport, Scored, Scoring, evaluate_tasks
from agentkit.json_types import JsonObject
from agentkit.models import Budget
from agentkit.settings import Settings
from agentkit.store import Store
from agentkit.store.run_log import RunLog
from agentkit.tasks import Task

_LOOK = 0.5
"""Seconds between two looks at a run that another process is at."""


@dataclass(frozen=True, kw_only=True)
class AgentPlan:
    """What a worker builds its agent of.

    Attributes:
        url: the database, with its password.
        slots: model calls that this worker has in flight.
    """

    spec: JsonObject
    options: JsonObject
    settings: Settings
    url: str
    budget: Budget
    slots: int

    def build(self, purse: Any = None) -> Agent:
        """The agent, which shares what the purse keeps with all other workers."""
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
        plan: of its agent, which it builds at its first task.
        purse: the actor of what is shared; None where nothing is.
    """

    def __init__(self, plan: AgentPlan, purse: Any = None) -> None:
        self._plan, self._purse = plan, purse
        self._agent: Agent | None = None
        self._again = False

    async def score(self, scoring: Scoring, task: Task) -> Scored:
        """Run a task, or go on with its run, and score the answer.

        Raises:
            UserError: what would fail every run, with its line alone: it must get through to the driver whole.
        """
        try:
            if self._agent is None:
                self._agent, self._again = self._plan.build(self._purse), _replaces_a_dead_worker()
            if not self._again:
                await until_left(self._agent.log, scoring.run_id(task))
            return await scoring.score(self._agent, task)
        except UserError as error:
            raise UserError(str(error)) from None


def _replaces_a_dead_worker() -> bool:
    """Whether Ray has started this actor again: then nobody is at the runs that it is given."""
    import ray

    return bool(ray.get_runtime_context().was_current_actor_reconstructed)


async def until_left(log: RunLog, run_id: str) -> None:
    """Wait while another living process is at a run, as a worker is whose driver was killed a moment ago."""
    while True:
        try:
            if log.get(run_id).status != "running":
                return
        except UserError:  # not begun yet
            return
        await asyncio.sleep(_LOOK)


class RolloutCrew:
    """The workers of one evaluation.

    Args:
        agent: built of names and settings alone, so that it can be built again elsewhere.
        at_once: runs in work, over all workers; the rest waits in the driver.

    Raises:
        UserError: parts that only this process has, or a database that workers can't reach.
    """

    def __init__(self, cluster: Cluster, agent: Agent, at_once: int, shared: Shared) -> None:
        if parts := ", ".join(agent.in_code):
            raise UserError(f"Ray's workers can't build this agent again: its {parts} are objects; give them by name")
        crew = Crew.of(cluster, agent.models.spec.values(), at_once, agent.settings)
        plan = AgentPlan(
            spec=agent.spec,
            options=vars(agent.options),
            settings=agent.settings,
            url=cluster.check_store(agent.store.engine.url.render_as_string(hide_password=False)),
            budget=agent.models.budget,
            slots=crew.slots,
        )
        self._workers = Workers(cluster, Rollouts, [plan] * crew.count, crew, shared)

    async def score(self, scoring: Scoring, task: Task) -> Scored:
        """Give a task to the worker that has the least to do.

        Raises:
            UserError: what would fail every run.
            RunError: every worker that took it has died.
        """
        number = self._workers.take()
        try:
            scored: Scored = await self._workers.ask(number, f"task {task.id!r}", "score", scoring, task)
            return scored
        finally:
            self._workers.leave(number)


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
        agent: built of names, not of objects.
        concurrency: runs at once, over all workers.
        shared: what all workers together may use.

    Raises:
        DataError: a task that can't be scored.
        UserError: what would fail every run, or an agent or a database that workers can't have.
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
