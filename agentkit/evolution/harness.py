"""AgentHarness: connects an agent to the loops of this package."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from agentkit.checkers import get_checker
from agentkit.evolution.protocols import Cost
from agentkit.evolution.trials import Trials
from agentkit.graph.context import RunContext
from agentkit.graph.episode import build_episode
from agentkit.graph.nodes.learn import learner_call
from agentkit.json_types import JsonObject
from agentkit.ledger import digest
from agentkit.models.requests import json_schema
from agentkit.protocols import Block, CallModel, Episode, Recaller
from agentkit.roles.explorer import Approach
from agentkit.tasks import Feedback, Labels, Task

if TYPE_CHECKING:
    from agentkit.agent import Agent
    from agentkit.graph.state import RunState


SAMPLED = 0.8
"""Temperature of additional samples, which should differ from the measured run."""


CLIENT_TOOLS = "client_tools"
"""What a task's metadata calls the tools of whoever asks (`agentkit.tools.client_tools`). The answer to such a task is
what is called at the first turn, as JSON: a list of `{"name", "arguments"}`."""


def _called(question: JsonObject) -> str:
    calls = [{"name": call["tool"], "arguments": call["arguments"]} for call in question.get("calls", ())]
    return json.dumps(calls, ensure_ascii=False)


class AgentHarness:
    """An agent as the loops see it. Its runs don't learn by themselves, and see no target unless `labels` allows it.

    Args:
        labels: how much of a task's target may appear in the feedback of training runs; measured runs have no target.
        learner: the name of learners' calls in the journal.
    """

    def __init__(self, agent: Agent, *, labels: Labels = "none", seed: int = 0, learner: str = "evolve") -> None:
        self.agent, self.labels, self.seed, self.learner = agent, labels, seed, learner
        self._fingerprint = fingerprint(agent)

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    async def rollout(self, task: Task, *, recallers: Sequence[Recaller], key: str, sample: int = 0) -> Episode:
        labels: Labels = "none" if task.target is None else self.labels
        tools = task.metadata.get(CLIENT_TOOLS, ())
        waits = await self.agent.question(key) if tools else None
        if waits is None:
            await self.agent.arun(
                task,
                run_id=key,
                labels=labels,
                learn=False,
                recallers=recallers,
                client_tools=tools,
                seed=self.seed + sample,
                temperature=SAMPLED if sample else None,
                batch="evolve",
            )
            waits = await self.agent.question(key) if tools else None
        context = self._context(key, self.agent.log.get(key).task, labels=labels)
        episode = build_episode(context, cast("RunState", await self.agent.state(key)))
        return episode if waits is None else replace(episode, answer=_called(waits))

    async def score(self, task: Task, answer: str | None) -> Feedback | None:
        """Score by the task's own checker, else by the agent's, else by comparison with the target."""
        spec = task.own_checker or self.agent.checker
        if spec is None and task.target is None:
            return None
        checker = get_checker(spec or "exact", call=self._call(f"judge-{digest(task.id)[:12]}", "judge"))
        if checker.needs_target and task.target is None:
            return None
        return await checker.check(answer or "", task)

    def cost(self, run_id: str) -> Cost:
        totals = self.agent.log.totals([run_id])
        return Cost(
            calls=totals.calls,
            input_tokens=totals.input_tokens,
            output_tokens=totals.output_tokens,
            cached_tokens=totals.cached_tokens,
            cost=totals.cost,
            seconds=totals.model_seconds,
        )

    def learner_call(self, run_id: str) -> CallModel:
        return self._call(run_id, self.learner)

    def _call(self, run_id: str, learner: str) -> CallModel:
        task = Task(id="learn", input="learn")
        self.agent.log.start(run_id, task, model=self.agent.model_name, options={}, batch="evolve", status="done")
        return learner_call(self._context(run_id, task), learner)

    def _context(self, run_id: str, task: Task, *, labels: Labels = "none") -> RunContext:
        return RunContext(
            run_id=run_id,
            task=task,
            options=replace(self.agent.options, labels=labels),
            log=self.agent.log,
            callers=self.agent.callers(run_id),
            program=self.agent.program,
        )


_PER_RUN = ("labels", "learn", "seed", "temperature")


def fingerprint(agent: Agent) -> str:
    """A hash of everything about an agent that can change its answers (models, tools, options and prompts), except what
    it has learnt."""
    said = agent.describe()
    spec = {
        name: value
        for name, value in said["agent"].items()
        if name not in ("playbook", "memory", "adapter", "gate", "root")
    }
    options = {name: str(value) for name, value in said["run"].items() if name not in _PER_RUN}
    blocks = [Block(kind=kind, target="", version=0, text=kind) for kind in ("playbook", "cases")]
    task, work = Task(id="", input=""), Approach(reason=True, tools=True, planning=agent.options.planning)
    prompt, form = agent.program.explorer_messages(task, blocks, work), agent.program.answer_form(task, work)
    asks = [[message.text for message in prompt], None if form is None else json_schema(form)]
    return digest([spec, options, asks])[:24]


def trials_for(agent: Agent, *, labels: Labels = "gold", seed: int = 0) -> Trials:
    """The `Trials` that answer held-out tasks with an agent and cache the answers."""
    return Trials(
        AgentHarness(agent, labels=labels, seed=seed),
        agent.store,
        labels=labels,
        seed=seed,
        concurrency=agent.settings.concurrency,
    )
