"""`agentkit train`: a local model learns from its own runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentkit.cli import stopping
from agentkit.cli.agent_options import DECLINING, FORM, LEARNING, AgentOptions, with_agent_options
from agentkit.cli.elsewhere import Elsewhere, Ray, Workers
from agentkit.cli.output import JSON_HELP, emit, note, print_table
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.tasks import Task
    from agentkit.training.run import TrainConfig, TrainEvent

app = typer.Typer(help="Train a local model on what its own runs teach.")


@app.command()
@with_agent_options(without=("checker", *LEARNING, *FORM, "plan", "evaluator", *DECLINING, "approve", "max_rounds"))
def train(
    tasks: Annotated[
        Path | None, typer.Argument(help="JSONL of tasks to attempt; the daily runs that were judged, where not given.")
    ] = None,
    *,
    adapter: Annotated[str, typer.Option(help="The name of what is trained.")],
    recipe: Annotated[str, typer.Option(help="own, edits or hints: what of the attempts it is trained on.")] = "own",
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Of attempts, training and gate.")] = 1,
    val: Annotated[Path | None, typer.Option(help="Held-out tasks that decide whether it is put in force.")] = None,
    probes: Annotated[Path | None, typer.Option(help="Frozen tasks that it must not make worse.")] = None,
    playbook: Annotated[str | None, typer.Option(help="A playbook that runs are given beside it.")] = None,
    memory: Annotated[str | None, typer.Option(help="A case memory that runs are given beside it.")] = None,
    wanted: AgentOptions,
    limit: Annotated[int | None, typer.Option(min=1, help="Take this many tasks.")] = None,
    loss: Annotated[str, typer.Option(help="sft, or for pairs dpo or simpo.")] = "sft",
    rank: Annotated[int, typer.Option(min=1, max=256, help="Of the added matrices.")] = 8,
    rate: Annotated[float, typer.Option(min=1e-7, max=0.1, help="The largest learning rate.")] = 3e-4,
    epochs: Annotated[int, typer.Option(min=1, max=100, help="Passes over the examples.")] = 2,
    batch: Annotated[int, typer.Option(min=1, max=1024, help="Examples of a step.")] = 8,
    control: Annotated[
        str | None, typer.Option(help="Train on as many examples without a lesson: unfiltered or shuffled.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the adapter's first weights, and of the order.")] = 0,
    ray: Ray = None,
    workers: Workers = None,
    json_: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Train an adapter, and put it in force if it is better on held-out tasks. Started again, it goes on."""
    from agentkit.training.run import train_adapter

    there = Elsewhere(ray=ray, workers=workers)
    rates = {"rank": rank, "alpha": 2 * rank, "rate": rate, "epochs": epochs, "batch": batch, "seed": seed}
    config = _config(recipe, rounds, loss, control, rates)
    read = _read(tasks, val, probes, limit)
    with wanted.build() as agent:
        stopping.go_on_with_this_command()
        with there.rollouts(agent):
            report = train_adapter(
                agent,
                read["tasks"],
                adapter,
                val=read["val"],
                probes=read["probes"],
                config=config,
                playbook=playbook,
                memory=memory,
                on_event=progress(),
            )
    emit(report.to_json(), json_=json_, human=_show)


def _config(recipe: str, rounds: int, loss: str, control: str | None, rates: JsonObject) -> TrainConfig:
    """Raises UserError: a name that there is not."""
    from agentkit.training.lora import LoraSettings
    from agentkit.training.losses import known_loss
    from agentkit.training.recipes import known_control, known_recipe
    from agentkit.training.run import TrainConfig

    lora = LoraSettings(**rates, loss=known_loss(loss))
    return TrainConfig(recipe=known_recipe(recipe), rounds=rounds, lora=lora, control=known_control(control))


def _read(tasks: Path | None, val: Path | None, probes: Path | None, limit: int | None) -> dict[str, list[Task]]:
    from agentkit.tasks import load_tasks

    found = {"tasks": load_tasks(tasks, limit=limit) if tasks else []}
    return found | {name: load_tasks(path) if path else [] for name, path in (("val", val), ("probes", probes))}


def progress() -> Callable[[TrainEvent], None]:
    """Prints lines on standard error: what is being done, and every ten seconds where the training stands."""
    import time

    told = 0.0

    def show(event: TrainEvent) -> None:
        nonlocal told
        step = event.step
        if step is None:
            note(event.text)
        elif step.step in (1, step.steps) or time.monotonic() - told > 10:
            told = time.monotonic()
            note(
                f"step {step.step}/{step.steps}  loss {step.loss:.3f}  {step.tokens_per_second:.0f} tokens/s  "
                f"{step.seconds_left / 60:.1f} min left"
            )

    return show


def _show(report: JsonObject) -> None:
    rows = []
    for item in report["rounds"]:
        losses, verdict = item["losses"], item["verdict"]
        curve = f"{losses[0]:.3f} → {losses[-1]:.3f}" if losses else "–"
        told = [item["agreement"], item["change"]["id"], verdict["decision"], verdict["reason"]]
        rows.append([item["number"], item["examples"], curve, *told])
    print_table(["round", "examples", "loss", "engines", "change", "verdict", "why"], rows)
    note(f"adapter:{report['adapter']} is at version {report['version']}; report: {report['folder']}/report.html")
