"""`agentkit eval stream`: an ordered stream of tasks, with frozen probes before and after each block."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from agentkit.cli import stopping
from agentkit.cli.agent_options import Model
from agentkit.cli.elsewhere import Elsewhere, with_elsewhere
from agentkit.cli.output import emit, note, open_settings, print_table
from agentkit.errors import UserError
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.agent import Agent
    from agentkit.evolution.config import EvolveConfig
    from agentkit.evolution.events import EvolutionEvent
    from agentkit.evolution.stream import Probes
    from agentkit.evolution.streams.comparing import StreamAnswer
    from agentkit.tasks import Task


@with_elsewhere
def stream(
    tasks: Annotated[Path, typer.Argument(help="JSONL of tasks, in the order in which they arrive.")],
    *,
    probes: Annotated[Path | None, typer.Option(help="Frozen tasks that must not be forgotten.")] = None,
    ood: Annotated[Path | None, typer.Option(help="Tasks of another kind.")] = None,
    policy: Annotated[Path | None, typer.Option(help="Requests that must be refused.")] = None,
    block: Annotated[int, typer.Option(min=1, help="Tasks between two runs of the probes.")] = 20,
    replay: Annotated[int, typer.Option(min=0, help="Tasks of each block answered again at the end.")] = 4,
    playbook: Annotated[str | None, typer.Option(help="The playbook that evolves.")] = None,
    memory: Annotated[str | None, typer.Option(help="The case memory that evolves.")] = None,
    model: Model = None,
    gate: Annotated[str, typer.Option(help="probation or off.")] = "probation",
    labels: Annotated[str, typer.Option(help="What learning may see of targets: gold, check or none.")] = "gold",
    limit: Annotated[int | None, typer.Option(min=1, help="Use only this many tasks.")] = None,
    seed: Annotated[int, typer.Option(help="For the models and for randomised recall.")] = 0,
    rounds: Annotated[int, typer.Option(min=1, help="How many answers the agent may try per task.")] = 2,
    evaluate: Annotated[bool, typer.Option(help="Let the evaluator agent judge answers.")] = True,
    arms: Annotated[
        str | None,
        typer.Option(help="Instead, compare these arms: stateless,random,self-streamicl,neighbours,ours, or `all`."),
    ] = None,
    feedback: Annotated[str, typer.Option(help="With --arms: binary, corrections or labels.")] = "corrections",
    holdout: Annotated[Path | None, typer.Option(help="With --arms: tasks answered at the end.")] = None,
    orders: Annotated[int, typer.Option(min=1, max=1000, help="With --arms: number of orders of the tasks.")] = 1,
    picture: Annotated[Path | None, typer.Option(help="With --arms: where to plot the curves (PNG).")] = None,
    name: Annotated[str, typer.Option(help="Distinguishes streams that are otherwise the same.")] = "",
    there: Elsewhere,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Learn from a stream of tasks; measure adaptation, forgetting, transfer, tokens, refusals and the evaluator.

    With --arms, measure what experience is worth to the agent: the same tasks in the same order without experience,
    with controls, and with AgentKit's case memory. The same command again continues where it stopped.
    """
    from agentkit.agent import Agent
    from agentkit.tasks import load_tasks

    config = _config(name, block, gate, labels, seed)
    ordered = load_tasks(tasks, limit=limit)
    if arms is not None:
        there.refuse("--arms")
        report = _compare(ordered, holdout, arms, feedback, orders, model, seed, name, picture)
        emit(report, json_=json_, human=_show_arms)
        return
    frozen = _probes(probes, ood, policy, replay)
    settings = open_settings(model=model)
    with Agent(settings=settings, max_rounds=rounds, evaluate=evaluate) as agent, there.rollouts(agent):
        parts = {"playbook": playbook or settings.playbook, "memory": memory or settings.memory}
        report = _learn_along(agent, ordered, frozen, config, parts, block=block, quiet=json_)
    emit(report, json_=json_, human=_show)


def _probes(retention: Path | None, ood: Path | None, policy: Path | None, replay: int) -> Probes:
    from agentkit.evolution.stream import Probes
    from agentkit.tasks import load_tasks

    kept, others, refused = (load_tasks(path) if path else () for path in (retention, ood, policy))
    return Probes(retention=kept, ood=others, policy=refused, replay=replay)


def _config(name: str, block: int, gate: str, labels: str, seed: int) -> EvolveConfig:
    """The settings of an evolution whose batches end where blocks end."""
    from agentkit.evolution.config import EvolveConfig

    if gate not in ("probation", "off") or labels not in ("gold", "check", "none"):
        raise UserError("--gate must be probation or off, --labels gold, check or none")
    batch = next(size for size in range(min(8, block), 0, -1) if block % size == 0)
    return EvolveConfig(name=f"stream {name}", online=True, batch=batch, mode=gate, labels=labels, seed=seed)  # type: ignore[arg-type]


def _learn_along(
    agent: Agent,
    tasks: list[Task],
    frozen: Probes,
    config: EvolveConfig,
    parts: dict[str, str | None],
    *,
    block: int,
    quiet: bool,
) -> JsonObject:
    from agentkit.aio import run_sync
    from agentkit.evolution.events import silent
    from agentkit.evolution.run import parts_of, prepare
    from agentkit.evolution.stream import Stream

    evolvables, learners = parts_of(agent, playbook=parts["playbook"], memory=parts["memory"])
    evolution = prepare(
        agent,
        tasks,
        evolvables=evolvables,
        learners=learners,
        config=config,
        on_event=silent if quiet else _progress,
        probes=[*frozen.retention, *frozen.ood],
    )
    stopping.go_on_with_this_command()
    return run_sync(Stream(evolution, frozen, block=block).run())


def _compare(
    tasks: list[Task],
    last: Path | None,
    arms: str,
    feedback: str,
    orders: int,
    model: str | None,
    seed: int,
    name: str,
    picture: Path | None,
) -> JsonObject:
    from agentkit.aio import run_sync
    from agentkit.evolution.streams import ARMS, StreamPlan, compare_arms, stream_report
    from agentkit.evolution.streams.comparing import FeedbackKind
    from agentkit.evolution.streams.picture import draw_stream
    from agentkit.evolution.streams.watching import StreamWatch
    from agentkit.ledger import digest
    from agentkit.models import load_model
    from agentkit.tasks import load_tasks

    if feedback not in get_args(FeedbackKind):
        raise UserError(f"--feedback must be {', '.join(get_args(FeedbackKind)[:-1])} or {get_args(FeedbackKind)[-1]}")
    settings, holdout = open_settings(model=model), load_tasks(last) if last else []
    key = digest([[task.model_dump() for task in (*tasks, *holdout)], settings.model, feedback, seed, name])[:12]
    opened = load_model(settings.model)
    plan = StreamPlan(
        tasks=tasks,
        holdout=holdout,
        arms=list(ARMS) if arms == "all" else arms.split(","),
        orders=orders,
        feedback=feedback,  # type: ignore[arg-type]
        seed=seed,
        folder=settings.home / "streams" / key,
        model=lambda: opened,
    )
    watch = StreamWatch(plan, model=settings.model, name=name)

    def answered(arm: str, order: int, place: int, answer: StreamAnswer) -> None:
        watch.answered(arm, order, place, answer)
        _answered(arm, order, place, answer)

    report = stream_report(run_sync(compare_arms(plan, settings, on_answer=answered)))
    watch.done(report)
    if picture is not None:
        draw_stream(report, picture)
    return report


def _answered(arm: str, order: int, place: int, answered: StreamAnswer) -> None:
    if place % 20 == 19:
        note(f"{arm}, order {order + 1}: {place + 1} tasks")


def _show_arms(report: JsonObject) -> None:
    rows = [
        [
            arm["name"],
            _estimate(arm["stream"]),
            _estimate(arm["quarters"][-1]),
            _estimate(arm["holdout"]),
            f"{arm['gain']:+.3f}" if "gain" in arm else "–",
            f"{arm['tokens']:,.0f}",
            f"{arm['seconds']:.1f}",
        ]
        for arm in report["arms"]
    ]
    names = ["arm", "stream", "last quarter", "hold-out", "gain", "tokens", "seconds"]
    print_table(names, rows, title=f"{report['tasks']} tasks, {report['orders']} orders")


def _progress(event: EvolutionEvent) -> None:
    from agentkit.evolution.events import BatchDone, Probed

    if isinstance(event, BatchDone):
        accuracy = "–" if event.accuracy is None else f"{event.accuracy:.3f}"
        note(f"{event.done}/{event.total}  success {accuracy}  {event.tokens:,} tokens")
    elif isinstance(event, Probed):
        shown = "  ".join(f"{name} {value:.3f}" for name, value in event.accuracy.items())
        note(f"after {event.tasks} tasks: {shown}")


def _show(report: JsonObject) -> None:
    rows = [
        ["success, first block", _estimate(report["success"]["first"])],
        ["success, last block", _estimate(report["success"]["final"])],
        ["tasks until 90 % of the gain", str(report["adaptation"]["tasks_to_90"] or "–")],
        ["mean gain over the first block", _estimate(report["adaptation"]["mean_gain"])],
        ["probes, change", _change(report["retention"])],
        ["probes, forgetting", _estimate(report["retention"]["forgetting"]) if report["retention"] else "–"],
        ["backward transfer", _difference(report["backward_transfer"])],
        ["other kind of tasks, change", _change(report["ood"])],
        ["refusals, change", _change(report["policy"])],
        ["tokens per task, trend per batch", _estimate(report["tokens"]["trend"], digits=1)],
        ["evaluator: right answers kept", _estimate(report["evaluator"]["confidence"])],
        ["evaluator: wrong answers corrected", _estimate(report["evaluator"]["critique"])],
    ]
    print_table(["measure", "value [95 % interval]"], rows, title=f"{report['id']}: {report['tasks']} tasks")


def _estimate(found: JsonObject | None, *, digits: int = 3) -> str:
    if not found or not found["n"]:
        return "–"
    return f"{found['value']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}] n={found['n']}"


def _change(found: JsonObject | None) -> str:
    return "–" if not found else _difference(found["change"])


def _difference(found: JsonObject | None) -> str:
    return "–" if not found else f"{_estimate(found['difference'])}, p={found['p']:.3g}"
