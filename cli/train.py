"""`agentkit train`: a local model learns from its own runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentkit.cli import stopping
from agentkit.cli.agent_options import DECLINING, FORM, LEARNING, AgentOptions, with_agent_options
from agentkit.cli.elsewhere import Elsewhere, Ray, Workers
from agentkit.cli.output import JSON_HELP, emit, note, print_table
from agentkit.errors import UserError
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.tasks import Task
    from agentkit.training.filters import Keep
    from agentkit.training.making import TrainEvent
    from agentkit.training.run import TrainConfig

app = typer.Typer(help="Train a local model on what its own runs teach.")


Tasks = Annotated[
    Path | None, typer.Argument(help="JSONL of tasks to attempt. Default: the daily runs that were judged.")
]
RecipeName = Annotated[
    str,
    typer.Option(
        "--recipe", help="own, edits, hints, refine, tree or calls: which part of the attempts it is trained on."
    ),
]
Probes = Annotated[
    Path | None, typer.Option(help="Frozen tasks that it must not make worse. Default: 40 of AgentKit's own.")
]
Replay = Annotated[
    Path | None,
    typer.Option(help="Tasks whose answers must not change: the bare model's answers are trained as well."),
]
Kl = Annotated[float, typer.Option(min=0, max=100, help="Weight of the KL divergence from the bare model on --replay.")]
Average = Annotated[
    float, typer.Option(min=0, max=0.9999, help="Decay of a moving average of the weights, kept as the adapter.")
]
KeepBy = Annotated[str, typer.Option(help="Which examples to keep: by difficulty, diversity, context or random.")]
ControlName = Annotated[
    str | None,
    typer.Option(
        "--control",
        help="As a control, train on as many examples without the lesson: unfiltered, shuffled, swapped or "
        "independent.",
    ),
]


@app.command()
@with_agent_options(without=("checker", *LEARNING, *FORM, "plan", "evaluator", *DECLINING, "approve", "max_rounds"))
def train(
    tasks: Tasks = None,
    *,
    adapter: Annotated[str, typer.Option(help="The name of the adapter.")],
    recipe: RecipeName = "own",
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Rounds of attempts, training and gate.")] = 1,
    val: Annotated[Path | None, typer.Option(help="Held-out tasks that decide whether the adapter is used.")] = None,
    probes: Probes = None,
    replay: Replay = None,
    playbook: Annotated[str | None, typer.Option(help="A playbook that runs use as well.")] = None,
    memory: Annotated[str | None, typer.Option(help="A case memory that runs use as well.")] = None,
    wanted: AgentOptions,
    limit: Annotated[int | None, typer.Option(min=1, help="Use only this many tasks.")] = None,
    loss: Annotated[str, typer.Option(help="sft, or for pairs dpo or simpo.")] = "sft",
    rank: Annotated[int, typer.Option(min=1, max=256, help="Rank of the added matrices.")] = 8,
    rate: Annotated[float, typer.Option(min=1e-7, max=0.1, help="The largest learning rate.")] = 3e-4,
    epochs: Annotated[int, typer.Option(min=1, max=100, help="Passes over the examples.")] = 2,
    batch: Annotated[int, typer.Option(min=1, max=1024, help="Examples per step.")] = 8,
    kl: Kl = 0.0,
    average: Average = 0.0,
    keep: Annotated[int | None, typer.Option(min=1, help="Train on this many of the examples only.")] = None,
    keep_by: KeepBy = "difficulty",
    control: ControlName = None,
    seed: Annotated[int, typer.Option(min=0, help="For the adapter's initial weights and the order.")] = 0,
    ray: Ray = None,
    workers: Workers = None,
    json_: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Train an adapter, and use it if it is better on held-out tasks. The same command again continues where it
    stopped."""
    from agentkit.training.run import TrainArguments, train_adapter

    there = Elsewhere(ray=ray, workers=workers)
    rates = {"rank": rank, "alpha": 2 * rank, "rate": rate, "epochs": epochs, "batch": batch, "seed": seed}
    config = _config(recipe, rounds, loss, control, rates | {"kl": kl, "average": average})
    config = replace(config, keep=_keep(keep, keep_by))
    given = _read({"tasks": tasks, "val": val, "probes": probes, "replay": replay}, limit, kl=kl)
    with wanted.build() as agent:
        stopping.go_on_with_this_command()
        frozen = given["probes"] if probes else None
        told = TrainArguments(val=given["val"], replay=given["replay"], probes=frozen, playbook=playbook, memory=memory)
        told |= {"config": config, "on_event": progress()}
        with there.rollouts(agent):
            report = train_adapter(agent, given["tasks"], adapter, **told)
    emit(report.to_json(), json_=json_, human=_show)


def _keep(count: int | None, by: str) -> Keep | None:
    from agentkit.training.filters import known_keep

    return known_keep(count, by)


def _config(recipe: str, rounds: int, loss: str, control: str | None, rates: JsonObject) -> TrainConfig:
    """Raises UserError: a name is not known."""
    from agentkit.training.lora import LoraSettings
    from agentkit.training.losses import known_loss
    from agentkit.training.recipes import known_control, known_recipe
    from agentkit.training.run import TrainConfig

    lora = LoraSettings(**rates, loss=known_loss(loss))
    return TrainConfig(recipe=known_recipe(recipe), rounds=rounds, lora=lora, control=known_control(control))


def _read(files: dict[str, Path | None], limit: int | None, *, kl: float) -> dict[str, list[Task]]:
    """Raises UserError: there is nothing that a KL term could hold the model to."""
    from agentkit.tasks import load_tasks

    if kl and files["replay"] is None:
        raise UserError("--kl holds the model on tasks at which nothing is to change: name them with  --replay FILE")
    limits = {"tasks": limit}
    return {name: load_tasks(path, limit=limits.get(name)) if path else [] for name, path in files.items()}


def progress() -> Callable[[TrainEvent], None]:
    """Print lines on standard error: what is being done and, every ten seconds, how far the training is."""
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
