"""`agentkit.evolve`: runs an agent with its playbook and memory through the loops of this package, and writes the
report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

from agentkit.aio import run_sync
from agentkit.errors import UserError
from agentkit.evolution.arms import Arm, run_arms
from agentkit.evolution.config import EvolveConfig, Evolved
from agentkit.evolution.events import OnEvolution, silent
from agentkit.evolution.harness import trials_for
from agentkit.evolution.loop import Evolution
from agentkit.evolution.protocols import DeferringGate, Evolvable
from agentkit.evolution.report.build import build_report, write_report
from agentkit.json_types import JsonObject
from agentkit.ledger import Gate
from agentkit.protocols import Learner
from agentkit.tasks import Task

if TYPE_CHECKING:
    from agentkit.agent import Agent
    from agentkit.memory import RecallSettings

LearnerName = Literal["batch", "each"]


@dataclass(frozen=True, kw_only=True)
class EvolutionReport:
    """What `evolve` returns: the numbers, the report, and where it was written."""

    evolved: Evolved
    arms: tuple[Arm, ...]
    report: JsonObject
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
    gate: Gate | None = None,
    on_event: OnEvolution = silent,
) -> Evolution:
    """The evolution of an agent, ready to run.

    Raises:
        UserError: there is nothing to evolve, or the tasks don't fit the mode.
    """
    if not evolvables:
        raise UserError(
            "there is nothing to evolve: name a playbook or a memory (--playbook P, --memory M, --adapter A)"
        )
    return Evolution(
        evolvables=evolvables,
        learners=learners,
        trials=trials_for(agent, labels=config.labels, seed=config.seed),
        train=train,
        val=val,
        probes=probes,
        config=config,
        on_event=on_event,
        gate=gate,
    )


async def run_and_report(
    evolution: Evolution,
    *,
    test: Sequence[Task] = (),
    controls: bool = True,
    about: JsonObject | None = None,
    folder: Path | None = None,
) -> EvolutionReport:
    """Run an evolution; score the start, the chosen version and the controls; write the report.

    Args:
        test: tasks to score on; without them, the validation tasks reserved for choosing are used, and the report says
            so.
        folder: where the report goes; None writes none.
    """
    evolved = await evolution.run()
    tasks = list(test) or list(evolution.selection.tasks)
    arms: list[Arm] = []
    if tasks:
        arms = await run_arms(
            evolution.trials,
            tasks,
            evolution.evolvables,
            start=evolved.start,
            chosen=evolved.chosen,
            controls=controls,
            seed=evolution.config.seed,
        )
    scored = "test" if test else "validation"
    report = build_report(evolved, arms, store=evolution.store, about=about or {}, scored_on=scored)
    kept = [{**arm, "scores": {}} for arm in report["arms"]]  # those of single tasks stand in the trials
    evolution.progress.finish({**evolved.to_json(), "arms": kept, "scored_on": scored})
    paths = write_report(report, folder) if folder is not None else {}
    return EvolutionReport(evolved=evolved, arms=tuple(arms), report=report, paths=paths)


def parts_of(
    agent: Agent,
    *,
    playbook: str | None = None,
    memory: str | None = None,
    learner: LearnerName = "batch",
    recall: RecallSettings | None = None,
) -> tuple[list[Evolvable], list[Learner]]:
    """The evolvables and learners for a playbook and a memory in the agent's store, by name; either may be omitted.

    Args:
        learner: "batch" asks once for the lessons from all wrong answers of a batch; "each" reflects on and curates
            every run separately, as ACE does.
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


async def aevolve(
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
    also: Sequence[tuple[Evolvable, Learner]] = (),
    config: EvolveConfig | None = None,
    gate: Gate | None = None,
    controls: bool = True,
    folder: Path | None = None,
    on_event: OnEvolution = silent,
) -> EvolutionReport:
    """Let an agent learn from tasks, measure the gain, and write the report.

    Args:
        train, val, test: tasks to learn from; tasks to test changes and choose a version on; tasks for the final score.
        probes: frozen tasks that no change may make worse.
        playbook, memory: names of what evolves; at least one.
        learner, recall: how lessons are found and cases are chosen; see `parts_of`.
        also: what else evolves, each with what proposes changes to it, such as `agentkit.training.adapter_part(…)`.
        config, gate: epochs, labels, limits and so on; what decides about changes, instead of the gate named there.
        controls: also run the control arms.
        folder: where the report goes; None means `evolutions/ID` below the settings' home.

    Raises:
        UserError: there is nothing to evolve, or the tasks don't fit the mode.
        RunError: it stopped early; called again with the same arguments, it resumes.
    """
    evolvables, learners = parts_of(agent, playbook=playbook, memory=memory, learner=learner, recall=recall)
    evolution = prepare(
        agent,
        train,
        val=val,
        probes=probes,
        evolvables=[*evolvables, *(item for item, _ in also)],
        learners=[*learners, *(item for _, item in also)],
        config=config or EvolveConfig(),
        gate=gate,
        on_event=on_event,
    )
    about = {"model": agent.model_name, "test tasks": len(test), "playbook": playbook, "memory": memory}
    about |= _about(evolution) | dict(item.target.split(":", 1) for item, _ in also)
    place = folder or agent.settings.home / "evolutions" / evolution.id
    return await run_and_report(evolution, test=test, controls=controls, about=about, folder=place)


def _about(evolution: Evolution) -> JsonObject:
    """What the head of a report says about an evolution."""
    return {
        "training tasks": len(evolution.train),
        "validation tasks": len(evolution.val),
        "labels": evolution.config.labels,
        "gate": evolution.mode,
        "seed": evolution.config.seed,
    }


class EvolveArguments(TypedDict, total=False):
    """The arguments of `aevolve` besides the agent and its training tasks."""

    val: Sequence[Task]
    test: Sequence[Task]
    probes: Sequence[Task]
    playbook: str | None
    memory: str | None
    learner: LearnerName
    recall: RecallSettings | None
    also: Sequence[tuple[Evolvable, Learner]]
    config: EvolveConfig | None
    gate: Gate | None
    controls: bool
    folder: Path | None
    on_event: OnEvolution


def evolve(agent: Agent, train: Sequence[Task], **options: Unpack[EvolveArguments]) -> EvolutionReport:
    """Let an agent learn from tasks; the synchronous version of `aevolve`, with the same arguments and errors."""
    return run_sync(aevolve(agent, train, **options))


evolve_agent = aevolve
"""The former name of `aevolve`; to be removed in the next version."""
