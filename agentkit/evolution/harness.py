"""`Agent.evolve`: an agent, its playbook and its memory in the loops of this package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from agentkit.checkers import get_checker
from agentkit.evolution.protocols import Check, Cost
from agentkit.evolution.trials import Trials
from agentkit.graph.context import RunContext
from agentkit.graph.episode import build_episode
from agentkit.graph.nodes.learn import learner_call
from agentkit.ledger import digest
from agentkit.models.requests import json_schema
from agentkit.protocols import Block, CallModel, Episode, Recaller
from agentkit.roles.explorer import Approach
from agentkit.tasks import Feedback, Labels, Task

if TYPE_CHECKING:
    from agentkit.agent import Agent
    from agentkit.graph.state import RunState


SAMPLED = 0.8
"""Temperature of runs that are to differ from the measured one."""


@dataclass(frozen=True)
class AgentRollout:
    """Runs tasks on an agent, with fixed context and without learning.

    Args:
        labels: "none" wherever an answer is only to be measured.
    """

    agent: Agent
    labels: Labels = "none"
    seed: int = 0

    async def __call__(self, task: Task, *, recallers: Sequence[Recaller], key: str, sample: int = 0) -> Episode:
        labels: Labels = "none" if task.target is None else self.labels
        await self.agent.arun(
            task, run_id=key, labels=labels, learn=False, recallers=recallers, seed=self.seed + sample,
            temperature=SAMPLED if sample else None, batch="evolve",
        )  # fmt: skip
        return await episode_of(self.agent, key, labels)


async def episode_of(agent: Agent, run_id: str, labels: Labels) -> Episode:
    """The episode of a finished run, as its learners would have seen it."""
    context = _context(agent, run_id, agent.log.get(run_id).task, labels=labels)
    return build_episode(context, cast("RunState", await agent.state(run_id)))


def call_for(agent: Agent, learner: str = "evolve") -> Callable[[str], CallModel]:
    """Model calls of learners, journalled under a run's id so that none is repeated after a crash."""

    def calls(run_id: str) -> CallModel:
        task = Task(id="learn", input="learn")
        agent.log.start(run_id, task, model=agent.model_name, options={}, batch="evolve", status="done")
        return learner_call(_context(agent, run_id, task), learner)

    return calls


def _context(agent: Agent, run_id: str, task: Task, *, labels: Labels = "none") -> RunContext:
    return RunContext(
        run_id=run_id,
        task=task,
        options=replace(agent.options, labels=labels),
        log=agent.log,
        callers=agent.callers(run_id),
        program=agent.program,
    )


def check_for(agent: Agent) -> Check:
    """Scores answers with each task's own checker, else the agent's, else by comparing with the target."""

    async def check(task: Task, answer: str | None) -> Feedback | None:
        spec = task.own_checker or agent.checker
        if spec is None and task.target is None:
            return None
        checker = get_checker(spec or "exact", call=call_for(agent, "judge")(f"judge-{digest(task.id)[:12]}"))
        if checker.needs_target and task.target is None:
            return None
        return await checker.check(answer or "", task)

    return check


def cost_of(agent: Agent) -> Callable[[str], Cost]:
    """What the model calls of a run used."""

    def cost(run_id: str) -> Cost:
        totals = agent.log.totals([run_id])
        return Cost(
            calls=totals.calls,
            input_tokens=totals.input_tokens,
            output_tokens=totals.output_tokens,
            cached_tokens=totals.cached_tokens,
            cost=totals.cost,
            seconds=totals.model_seconds,
        )

    return cost


_PER_RUN = ("labels", "learn", "seed", "temperature")


def fingerprint(agent: Agent) -> str:
    """Names everything about an agent, save what it has learnt, that can change its answers: models, tools, options
    and prompts."""
    said = agent.describe()
    spec = {name: value for name, value in said["agent"].items() if name not in ("playbook", "memory", "gate", "root")}
    options = {name: str(value) for name, value in said["run"].items() if name not in _PER_RUN}
    blocks = [Block(kind=kind, target="", version=0, text=kind) for kind in ("playbook", "cases")]
    task, work = Task(id="", input=""), Approach(reason=True, tools=True, planning=agent.options.planning)
    prompt, form = agent.program.explorer_messages(task, blocks, work), agent.program.answer_form(task, work)
    asks = [[message.text for message in prompt], None if form is None else json_schema(form)]
    return digest([spec, options, asks])[:24]


def trials_for(agent: Agent, *, labels: Labels = "gold", seed: int = 0) -> Trials:
    """What answers held-out tasks with an agent, and remembers the answers."""
    return Trials(
        AgentRollout(agent, "none", seed),
        agent.store,
        check=check_for(agent),
        labels=labels,
        fingerprint=fingerprint(agent),
        seed=seed,
        concurrency=agent.settings.concurrency,
        cost_of=cost_of(agent),
    )
