"""`agentkit evolve`: learn from tasks, with every change tested on held-out ones."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from agentkit.cli import stopping
from agentkit.cli.agent_options import DECLINING, FORM, LEARNING, AgentOptions, with_agent_options
from agentkit.cli.elsewhere import Elsewhere, with_elsewhere
from agentkit.cli.output import emit, note, print_table
from agentkit.errors import UserError
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.agent import Agent
    from agentkit.evolution.config import EvolveConfig
    from agentkit.evolution.events import EvolutionEvent, OnEvolution
    from agentkit.evolution.run import EvolutionReport
    from agentkit.tasks import Task

app = typer.Typer(help="Learn from tasks, with every change tested on held-out ones.")

AdapterName = Annotated[
    str | None, typer.Option("--adapter", help="The adapter that evolves: trained on each batch's runs.")
]
File = Annotated[Path | None, typer.Option(help="JSONL of tasks.", show_default=False)]


@app.command()
@with_elsewhere
@with_agent_options(
    without=("checker", *LEARNING, *FORM, *DECLINING, "samples", "plan", "evaluator", "approve", "max_rounds")
)
def evolve(
    train: Annotated[Path, typer.Argument(help="JSONL of tasks to learn from.")],
    *,
    val: Annotated[Path | None, typer.Option(help="Held-out tasks, to test changes and choose a version.")] = None,
    test: Annotated[Path | None, typer.Option(help="Tasks to score before and after.")] = None,
    probes: Annotated[Path | None, typer.Option(help="Frozen tasks that no change may make worse.")] = None,
    playbook: Annotated[str | None, typer.Option(help="The playbook that evolves.")] = None,
    memory: Annotated[str | None, typer.Option(help="The case memory that evolves.")] = None,
    adapter: AdapterName = None,
    wanted: AgentOptions,
    there: Elsewhere,
    epochs: Annotated[int, typer.Option(min=1, max=1000, help="Passes over the training tasks.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Use only this many training tasks.")] = None,
    val_limit: Annotated[int | None, typer.Option(min=1, help="Use only this many validation tasks.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Tasks run between two learning steps.")] = 8,
    online: Annotated[bool, typer.Option("--online", help="Score each batch, then learn from it.")] = False,
    gate: Annotated[str | None, typer.Option(help="strict, probation or off.")] = None,
    labels: Annotated[str, typer.Option(help="What learning may see of targets: gold, check or none.")] = "gold",
    hints: Annotated[int, typer.Option(min=0, help="Retry a failed task this often with the answer as a hint.")] = 0,
    seed: Annotated[int, typer.Option(help="For the order of tasks and the split of the validation tasks.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Repeat with this many seeds, from the same start.")] = 1,
    controls: Annotated[bool, typer.Option(help="Also run the control arms.")] = True,
    retest: Annotated[bool, typer.Option("--retest", help="Retest what earlier runs left in quarantine.")] = False,
    learner: Annotated[str, typer.Option(help="batch: one call per batch; each: reflect on every run.")] = "batch",
    rounds: Annotated[int, typer.Option(min=1, help="How many answers the agent may try per task.")] = 1,
    evaluate: Annotated[bool, typer.Option(help="Let the evaluator agent judge answers.")] = False,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Stop learning after this many tokens.")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="Stop learning after this many US dollars.")] = None,
    max_seconds: Annotated[float | None, typer.Option(min=0, help="Stop learning after this many seconds.")] = None,
    name: Annotated[str, typer.Option(help="Distinguishes evolutions that are otherwise the same.")] = "",
    out: Annotated[Path | None, typer.Option(help="Folder for the report.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Learn from tasks. The same command again resumes an interrupted evolution, or repeats a finished one's result."""
    from agentkit.evolution.config import EvolveConfig, EvolveLimits
    from agentkit.tasks import load_tasks

    _check(labels=labels, learner=learner, gate=gate)
    tasks = {"train": load_tasks(train, limit=limit), "val": _held_out(val, val_limit, seed)}
    tasks |= {name: load_tasks(path) if path else [] for name, path in (("test", test), ("probes", probes))}
    limits = EvolveLimits(tokens=max_tokens, cost=max_cost, seconds=max_seconds)
    checked: dict[str, Any] = {"mode": gate, "labels": labels, "retest": retest, "hints": hints}
    config = EvolveConfig(name=name, epochs=epochs, batch=batch, online=online, seed=seed, limits=limits, **checked)
    wanted = replace(wanted, max_rounds=rounds, evaluator=evaluate or labels == "none")
    with wanted.build() as agent, there.rollouts(agent):
        parts = _parts(agent, playbook, memory) | {"adapter": adapter}
        stopping.go_on_with_this_command()
        reports = _run(agent, tasks, parts, config, seeds, controls=controls, out=out, quiet=json_, learner=learner)
    emit(reports[0].report | _joined(reports), json_=json_, human=lambda report: _show(report, reports[0]))


def _parts(agent: Agent, playbook: str | None, memory: str | None) -> dict[str, str | None]:
    return {"playbook": playbook or agent.settings.playbook, "memory": memory or agent.settings.memory}


def _run(
    agent: Agent,
    tasks: dict[str, list[Task]],
    parts: dict[str, str | None],
    config: EvolveConfig,
    seeds: int,
    *,
    controls: bool,
    out: Path | None,
    quiet: bool,
    learner: Any,
) -> list[EvolutionReport]:
    """Run one evolution per seed. Seeds after the first evolve copies, so that all start from the same state."""
    from agentkit.aio import run_sync
    from agentkit.evolution.events import silent
    from agentkit.evolution.run import aevolve

    copies = [_copies(agent, parts, config.seed + number) if number else parts for number in range(seeds)]
    found = []
    for number, mine in enumerate(copies):
        watch = silent if quiet else _progress(seeds, number)
        folder = None if out is None else out if number == 0 else out / f"seed-{config.seed + number}"
        work = aevolve(
            agent,
            tasks["train"],
            val=tasks["val"],
            test=tasks["test"],
            probes=tasks["probes"],
            config=replace(config, seed=config.seed + number),
            learner=learner,
            controls=controls,
            folder=folder,
            on_event=watch,
            playbook=mine["playbook"],
            memory=mine["memory"],
            also=_adapter(agent, mine["adapter"], tasks, quiet=quiet),
        )
        found.append(run_sync(work))
    return found


def _adapter(agent: Agent, name: str | None, tasks: dict[str, list[Task]], *, quiet: bool) -> list[Any]:
    """The adapter of that name as a part of the evolution; nothing where none evolves."""
    if name is None:
        return []
    from agentkit.cli.train import progress
    from agentkit.training import adapter_part
    from agentkit.training.making import silent

    held_out = [task for part in ("val", "test", "probes") for task in tasks[part]]
    return [adapter_part(agent, name, held_out=held_out, on_event=silent if quiet else progress())]


def _copies(agent: Agent, parts: dict[str, str | None], seed: int) -> dict[str, str | None]:
    """Names of fresh copies for a further seed; a playbook's copy starts with the same bullets."""
    from agentkit.playbooks.operations import Add, Delta
    from agentkit.playbooks.storage import PlaybookStore

    names = {kind: name and f"{name}.seed{seed}" for kind, name in parts.items()}
    if names["playbook"]:
        assert parts["playbook"]
        source, copy = PlaybookStore(agent.store, parts["playbook"]), PlaybookStore(agent.store, names["playbook"])
        bullets = [Add(content=item.content, section=item.section, scope=item.scope) for item in source.current()]
        if bullets and copy.version() == 0:
            copy.apply(Delta(key=f"{copy.target}:copy", base=0, operations=tuple(bullets), role="person"))
    return names


def _joined(reports: list[EvolutionReport]) -> JsonObject:
    from agentkit.evolution.report.build import join_seeds, write_report

    if len(reports) == 1 or not reports[0].arms:
        return {"files": {kind: str(path) for kind, path in reports[0].paths.items()}}
    joined = join_seeds([item.report for item in reports], [item.arms for item in reports])
    paths = write_report(joined, reports[0].paths["json"].parent)
    return {**joined, "files": {kind: str(path) for kind, path in paths.items()}}


def _held_out(path: Path | None, limit: int | None, seed: int) -> list[Task]:
    from agentkit.tasks import load_tasks

    if path is None:
        return []
    tasks = load_tasks(path)
    if limit is not None and limit < len(tasks):
        tasks = random.Random(seed).sample(tasks, limit)
    return tasks


def _check(*, labels: str, learner: str, gate: str | None) -> None:
    from agentkit.evolution.gate import GateMode

    _one_of("--labels", labels, ("gold", "check", "none"))
    _one_of("--learner", learner, ("batch", "each"))
    _one_of("--gate", gate, (None, *get_args(GateMode)))


def _one_of(option: str, value: str | None, allowed: tuple[str | None, ...]) -> None:
    if value not in allowed:
        raise UserError(f"{option} must be one of {', '.join(filter(None, allowed))}, not {value!r}")


def _progress(seeds: int, number: int) -> OnEvolution:
    """Print one line per batch on standard error."""
    from agentkit.evolution.events import BatchDone, Validated

    head = f"seed {number + 1}/{seeds} " if seeds > 1 else ""

    def show(event: EvolutionEvent) -> None:
        if isinstance(event, BatchDone):
            accuracy = "–" if event.accuracy is None else f"{event.accuracy:.3f}"
            note(
                f"{head}{event.done}/{event.total}  accuracy {accuracy}  accepted {event.accepted}  "
                f"rejected {event.rejected}  waiting {event.quarantined}  {event.tokens:,} tokens  "
                f"{event.seconds_left / 60:.1f} min left"
            )
        elif isinstance(event, Validated) and event.score is not None:
            note(f"{head}validation: {event.score:.3f} on {event.tasks} tasks")

    return show


def _show(report: JsonObject, done: EvolutionReport) -> None:
    rows = []
    for arm in report["arms"]:
        found, compared = arm["accuracy"], arm["against_start"]
        difference = "" if compared is None else f"{compared['difference']['value']:+.3f}"
        p = "" if compared is None else f"{compared['p']:.3g}"
        interval = f"{found['low']:.3f} … {found['high']:.3f}"
        tokens = f"{arm['per_task']['tokens']:,.0f}"
        rows.append([arm["label"], str(found["n"]), f"{found['value']:.3f}", interval, difference, p, tokens])
    head = ["arm", "n", "accuracy", "95 % interval", "difference", "p", "tokens per task"]
    print_table(head, rows, title=f"{report['id']}: {report['status']}, scored on {report['scored_on']} tasks")
    for row in report.get("seeds", []) if len(report.get("runs", [])) > 1 else []:
        found, gain = row["accuracy"], row["difference"]
        note(
            f"{row['seeds']} seeds, {row['label']}: {found['value']:.3f}, {gain['value']:+.3f} "
            f"[{gain['low']:+.3f}, {gain['high']:+.3f}], p = {row['p']:.3g}"
        )
    decisions = [change["decision"] for change in report["changes"]]
    counts = ", ".join(f"{decisions.count(name)} {name}" for name in ("accept", "reject", "quarantine", "ask"))
    note(f"changes: {counts}; chosen: {report['chosen']}")
    for alarm in report["alarms"]:
        note(f"warning: {alarm}")
    note(f"report: {done.paths['html']}" if done.paths else "no report was written")
