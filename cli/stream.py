"""`agentkit eval stream`: an ordered stream of tasks with frozen probes before and after each block."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from agentkit.cli import stopping
from agentkit.cli.output import emit, note, open_settings, print_table
from agentkit.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentkit.evolution.streams.comparing import StreamAnswer
    from agentkit.tasks import Task


def stream(
    tasks: Annotated[Path, typer.Argument(help="JSONL of tasks, in the order in which they come.")],
    probes: Annotated[Path | None, typer.Option(help="Frozen tasks that must not be forgotten.")] = None,
    ood: Annotated[Path | None, typer.Option(help="Tasks of another kind.")] = None,
    policy: Annotated[Path | None, typer.Option(help="Requests that must be refused.")] = None,
    block: Annotated[int, typer.Option(min=1, help="Tasks between two looks at the probes.")] = 20,
    replay: Annotated[int, typer.Option(min=0, help="Tasks of each block answered again at the end.")] = 4,
    playbook: Annotated[str | None, typer.Option(help="The playbook that evolves.")] = None,
    memory: Annotated[str | None, typer.Option(help="The case memory that evolves.")] = None,
    model: Annotated[str | None, typer.Option(help="Model name; the settings' by default.")] = None,
    gate: Annotated[str, typer.Option(help="probation or off.")] = "probation",
    labels: Annotated[str, typer.Option(help="gold, check or none: what learning may know.")] = "gold",
    limit: Annotated[int | None, typer.Option(min=1, help="Take this many tasks.")] = None,
    seed: Annotated[int, typer.Option(help="Of the models and of randomised recall.")] = 0,
    rounds: Annotated[int, typer.Option(min=1, help="Answers the agent may give a task.")] = 2,
    evaluate: Annotated[bool, typer.Option(help="Let the evaluator agent judge answers.")] = True,
    arms: Annotated[
        str | None,
        typer.Option(help="Compare, instead: stateless,random,self-streamicl,neighbours,ours, or `all`."),
    ] = None,
    feedback: Annotated[str, typer.Option(help="Of --arms: binary, corrections or labels.")] = "corrections",
    holdout: Annotated[Path | None, typer.Option(help="Of --arms: tasks answered at the end.")] = None,
    orders: Annotated[int, typer.Option(min=1, max=1000, help="Of --arms: orders of the tasks.")] = 1,
    picture: Annotated[Path | None, typer.Option(help="Of --arms: where to draw the curves (PNG).")] = None,
    name: Annotated[str, typer.Option(help="Tells streams apart that are otherwise the same.")] = "",
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Learn along a stream of tasks; measure adaptation, forgetting, transfer, tokens, refusals and the evaluator.

    With --arms, compare what experience is worth to the agent: the same tasks in the same order without any, with
    controls, and with AgentKit's case memory. Started again, it goes on where it stopped.
    """
    from agentkit.agent import Agent
    from agentkit.aio import run_sync
    from agentkit.evolution.config import EvolveConfig
    from agentkit.evolution.run import parts_of, prepare
    from agentkit.evolution.stream import Probes, Stream
    from agentkit.tasks import load_tasks

    if gate not in ("probation", "off") or labels not in ("gold", "check", "none"):
        raise UserError("--gate must be probation or off, --labels gold, check or none")
    ordered = load_tasks(tasks, limit=limit)
    if arms is not None:
        kept = load_tasks(holdout) if holdout else ()
        report = _compare(ordered, kept, arms, feedback, orders, model, seed, name, picture)
        emit(report, json_=json_, human=_show_arms)
        return
    frozen = Probes(
        retention=load_tasks(probes) if probes else (),
        ood=load_tasks(ood) if ood else (),
        policy=load_tasks(policy) if policy else (),
        replay=replay,
    )
    batch = next(size for size in range(min(8, block), 0, -1) if block % size == 0)
    config = EvolveConfig(name=f"stream {name}", online=True, batch=batch, mode=gate, labels=labels, seed=seed)  # type: ignore[arg-type]
    settings = open_settings(model=model)
    with Agent(settings=settings, max_rounds=rounds, evaluate=evaluate) as agent:
        evolvables, learners = parts_of(agent, playbook=playbook or settings.playbook, memory=memory or settings.memory)
        show = (lambda event, data: None) if json_ else _progress
        evolution = prepare(
            agent, ordered, evolvables=evolvables, learners=learners, config=config, on_event=show,
            probes=[*frozen.retention, *frozen.ood],
        )  # fmt: skip
        stopping.go_on_with_this_command()
        report = run_sync(Stream(evolution, frozen, block=block).run())
    emit(report, json_=json_, human=_show)


def _compare(
    tasks: list[Task], holdout: Sequence[Task], arms: str, feedback: str, orders: int, model: str | None, seed: int,
    name: str, picture: Path | None,
) -> dict[str, Any]:  # fmt: skip
    from agentkit.aio import run_sync
    from agentkit.evolution.streams import ARMS, StreamPlan, compare_arms, stream_report
    from agentkit.evolution.streams.comparing import FeedbackKind
    from agentkit.evolution.streams.picture import draw_stream
    from agentkit.ledger import digest
    from agentkit.models import load_model

    if feedback not in get_args(FeedbackKind):
        raise UserError(f"--feedback must be {', '.join(get_args(FeedbackKind)[:-1])} or {get_args(FeedbackKind)[-1]}")
    settings = open_settings(model=model)
    key = digest([[task.model_dump() for task in (*tasks, *holdout)], settings.model, feedback, seed, name])[:12]
    opened = load_model(settings.model)
    plan = StreamPlan(
        tasks=tasks, holdout=holdout, arms=list(ARMS) if arms == "all" else arms.split(","), orders=orders,
        feedback=feedback, seed=seed, folder=settings.home / "streams" / key, model=lambda: opened,  # type: ignore[arg-type]
    )  # fmt: skip
    report = stream_report(run_sync(compare_arms(plan, settings, on_answer=_answered)))
    if picture is not None:
        draw_stream(report, picture)
    return report


def _answered(arm: str, order: int, place: int, answered: StreamAnswer) -> None:
    if place % 20 == 19:
        note(f"{arm}, order {order + 1}: {place + 1} tasks")


def _show_arms(report: dict[str, Any]) -> None:
    rows = [
        [arm["name"], _estimate(arm["stream"]), _estimate(arm["quarters"][-1]), _estimate(arm["holdout"]),
         f"{arm['gain']:+.3f}" if "gain" in arm else "–", f"{arm['tokens']:,.0f}", f"{arm['seconds']:.1f}"]
        for arm in report["arms"]
    ]  # fmt: skip
    names = ["arm", "stream", "last quarter", "hold-out", "gain", "tokens", "seconds"]
    print_table(names, rows, title=f"{report['tasks']} tasks, {report['orders']} orders")


def _progress(event: str, data: dict[str, Any]) -> None:
    if event == "batch":
        note(f"{data['done']}/{data['total']}  success {data['accuracy']:.3f}  {data['tokens']:,} tokens")
    elif event == "probed":
        shown = "  ".join(f"{key} {value:.3f}" for key, value in data.items() if key != "tasks")
        note(f"after {data['tasks']} tasks: {shown}")


def _show(report: dict[str, Any]) -> None:
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
        ["tokens a task, trend a batch", _estimate(report["tokens"]["trend"], digits=1)],
        ["evaluator: right answers kept", _estimate(report["evaluator"]["confidence"])],
        ["evaluator: wrong answers mended", _estimate(report["evaluator"]["critique"])],
    ]
    print_table(["measure", "value [95 % interval]"], rows, title=f"{report['id']}: {report['tasks']} tasks")


def _estimate(found: dict[str, Any] | None, *, digits: int = 3) -> str:
    if not found or not found["n"]:
        return "–"
    return f"{found['value']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}] n={found['n']}"


def _change(found: dict[str, Any] | None) -> str:
    return "–" if not found else _difference(found["change"])


def _difference(found: dict[str, Any] | None) -> str:
    return "–" if not found else f"{_estimate(found['difference'])}, p={found['p']:.3g}"
