"""`Agent.evolve`: an agent, its playbook and its memory in the loops of this package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from agentkit.checkers import get_checker
from agentkit.errors import UserError
from agentkit.evolution.arms import Arm, run_arms
from agentkit.evolution.config import EvolveConfig, Evolved
from agentkit.evolution.loop import Evolution
from agentkit.evolution.protocols import Check, Cost, DeferringGate, Evolvable
from agentkit.evolution.report.build import build_report, write_report
from agentkit.evolution.trials import Trials
from agentkit.graph.context import RunContext
from agentkit.graph.episode import build_episode
from agentkit.graph.nodes.learn import learner_call
from agentkit.ledger import digest
from agentkit.models.requests import json_schema
from agentkit.protocols import Block, CallModel, Episode, Learner, OnEvent, Recaller
from agentkit.tasks import Feedback, Labels, Task

if TYPE_CHECKING:
    from agentkit.agent import Agent
    from agentkit.graph.state import RunState
    from agentkit.memory import RecallSettings


SAMPLED = 0.8
"""Temperature of runs that are to differ from the measured one."""

LearnerName = Literal["batch", "each"]


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
        agent.log.start(run_id, task, model=agent.model_name, options={}, batch="evolve")
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
    spec = {name: value for name, value in said["agent"].items() if name not in ("playbook", "memory", "root")}
    options = {name: str(value) for name, value in said["run"].items() if name not in _PER_RUN}
    blocks = [Block(kind=kind, target="", version=0, text=kind) for kind in ("playbook", "cases")]
    prompt = agent.program.explorer_messages(Task(id="", input=""), blocks, planning=agent.options.planning)
    asks = [[message.text for message in prompt], json_schema(agent.program.answer_schema)]
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


@dataclass(frozen=True, kw_only=True)
class Evolvement:
    """What `evolve` returns: the numbers, the report, and where it was written."""

    evolved: Evolved
    arms: tuple[Arm, ...]
    report: dict[str, Any]
    paths: dict[str, Path]


def prepare(
    agent: Agent,
    train: Sequence[Task],
    *,
    val: Sequence[Task] = (),
    probes: Sequence[Task] = (),
    evolvables: Sequence[Evolvable],
    learners: Sequence[Learner],
    config: EvolveConfig,
    on_event: OnEvent = lambda name, data: None,
) -> Evolution:
    """The evolution of an agent, ready to run.

    Raises:
        UserError: there is nothing to evolve, or the tasks don't fit the mode.
    """
    if not evolvables:
        raise UserError("there is nothing to evolve: name a playbook or a memory (--playbook P, --memory M)")
    return Evolution(
        rollout=AgentRollout(agent, config.labels, config.seed),
        evolvables=evolvables,
        learners=learners,
        trials=trials_for(agent, labels=config.labels, seed=config.seed),
        call_for=call_for(agent),
        train=train,
        val=val,
        probes=probes,
        config=config,
        on_event=on_event,
        cost_of=cost_of(agent),
    )


async def evolve(
    evolution: Evolution,
    *,
    test: Sequence[Task] = (),
    controls: bool = True,
    about: dict[str, Any] | None = None,
    folder: Path | None = None,
) -> Evolvement:
    """Run an evolution, score start, choice and controls, and write the report.

    Args:
        test: tasks to score on; without them the validation tasks kept for choosing are taken, and the report says so.
        folder: where the report goes; None writes none.
    """
    evolved = await evolution.run()
    tasks = list(test) or list(evolution.selection)
    arms: list[Arm] = []
    if tasks:
        arms = await run_arms(
            evolution.trials, tasks, evolution.evolvables, start=evolved.start, chosen=evolved.chosen,
            controls=controls, seed=evolution.config.seed,
        )  # fmt: skip
    scored = "test" if test else "validation"
    report = build_report(evolved, arms, store=evolution.store, about=about or {}, scored_on=scored)
    paths = write_report(report, folder) if folder is not None else {}
    return Evolvement(evolved=evolved, arms=tuple(arms), report=report, paths=paths)


def parts_of(
    agent: Agent,
    *,
    playbook: str | None = None,
    memory: str | None = None,
    learner: LearnerName = "batch",
    recall: RecallSettings | None = None,
) -> tuple[list[Evolvable], list[Learner]]:
    """The evolvables and learners for a playbook and a memory of the agent's store, by name; each may be left out.

    Args:
        learner: "batch" asks once for the lessons of all wrong answers of a batch; "each" reflects on every run and
            curates apart, as ACE does.
        recall: how cases are chosen.
    """
    evolvables: list[Evolvable] = []
    learners: list[Learner] = []
    if playbook:
        from agentkit.playbooks.batch_learner import BatchLessons
        from agentkit.playbooks.evolvable import PlaybookEvolvable
        from agentkit.playbooks.storage import PlaybookStore

        book = PlaybookStore.open(agent.store, playbook)
        evolvables.append(PlaybookEvolvable(book))
        if learner == "batch":
            learners.append(BatchLessons(book))
        else:
            from agentkit.playbooks.learner import PlaybookLearner

            learners.append(PlaybookLearner(book, gate=DeferringGate()))
    if memory:
        from agentkit.memory import MemoryRecaller, open_cases
        from agentkit.memory.evolvable import GatedCases, MemoryEvolvable

        cases = open_cases(agent.store, memory, settings=agent.settings)
        evolvables.append(MemoryEvolvable(cases, settings=recall, live=MemoryRecaller(cases, settings=recall)))
        learners.append(GatedCases(cases))
    return evolvables, learners


async def evolve_agent(
    agent: Agent,
    train: Sequence[Task],
    *,
    val: Sequence[Task] = (),
    test: Sequence[Task] = (),
    probes: Sequence[Task] = (),
    playbook: str | None = None,
    memory: str | None = None,
    learner: LearnerName = "batch",
    recall: RecallSettings | None = None,
    config: EvolveConfig | None = None,
    controls: bool = True,
    folder: Path | None = None,
    on_event: OnEvent = lambda name, data: None,
) -> Evolvement:
    """Let an agent learn from tasks, prove what was gained, and write the report.

    Args:
        train: tasks to learn from, `val` to test changes and choose a version on, `test` to score at the end.
        probes: frozen tasks that no change may make worse.
        playbook, memory: names of what evolves; one of them at least.
        learner, recall: how lessons are found and cases chosen; see `parts_of`.
        config: epochs, batch, labels, seed, gate, limits.
        controls: also run the control arms.
        folder: where the report goes; None takes `evolutions/ID` under the settings' home.

    Raises:
        UserError: there is nothing to evolve, or the tasks don't fit the mode.
        RunError: it broke off; called again with the same arguments it goes on.
    """
    evolvables, learners = parts_of(agent, playbook=playbook, memory=memory, learner=learner, recall=recall)
    evolution = prepare(
        agent, train, val=val, probes=probes, evolvables=evolvables, learners=learners,
        config=config or EvolveConfig(), on_event=on_event,
    )  # fmt: skip
    settings = evolution.config
    about = {
        "model": agent.model_name,
        "training tasks": len(train),
        "validation tasks": len(val),
        "test tasks": len(test),
        "playbook": playbook,
        "memory": memory,
        "labels": settings.labels,
        "gate": settings.gate_mode,
        "seed": settings.seed,
    }
    folder = folder or agent.settings.home / "evolutions" / evolution.id
    return await evolve(evolution, test=test, controls=controls, about=about, folder=folder)


__all__ = [
    "AgentRollout",
    "Evolvement",
    "check_for",
    "cost_of",
    "evolve",
    "evolve_agent",
    "parts_of",
    "prepare",
    "trials_for",
]
