"""`agentkit train`: a local model learns from its own runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentkit.cli import stopping
from agentkit.cli.agent_options import DECLINING, FORM, LEARNING, AgentOptions, with_agent_options
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
    Path | None, typer.Argument(help="JSONL of tasks to attempt; the daily runs that were judged, where not given.")
]
RecipeName = Annotated[
    str, typer.Option("--recipe", help="own, edits, hints, refine, tree or calls: what is learned of attempts.")
]
Probes = Annotated[
    Path | None, typer.Option(help="Frozen tasks that it must not make worse; 40 of AgentKit's own if not given.")
]
Replay = Annotated[
    Path | None, typer.Option(help="Tasks at which nothing is to change: what the bare model says is trained too.")
]
Kl = Annotated[float, typer.Option(min=0, max=100, help="Weight of staying near the bare model on --replay.")]
Average = Annotated[
    float, typer.Option(min=0, max=0.9999, help="Decay of a moving average of the weights, which is then taken.")
]
KeepBy = Annotated[str, typer.Option(help="difficulty, diversity, context or random: which.")]
ControlName = Annotated[
    str | None,
    typer.Option(
        "--control", help="Train on as many examples without the lesson: unfiltered, shuffled, swapped, independent."
    ),
]


@app.command()
@with_agent_options(without=("checker", *LEARNING, *FORM, "plan", "evaluator", *DECLINING, "approve", "max_rounds"))
def train(
    tasks: Tasks = None,
    *,
    adapter: Annotated[str, typer.Option(help="The name of what is trained.")],
    recipe: RecipeName = "own",
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Of attempts, training and gate.")] = 1,
    val: Annotated[Path | None, typer.Option(help="Held-out tasks that decide whether it is put in force.")] = None,
    probes: Probes = None,
    replay: Replay = None,
    playbook: Annotated[str | None, typer.Option(help="A playbook that runs are given beside it.")] = None,
    memory: Annotated[str | None, typer.Option(help="A case memory that runs are given beside it.")] = None,
    wanted: AgentOptions,
    limit: Annotated[int | None, typer.Option(min=1, help="Take this many tasks.")] = None,
    loss: Annotated[str, typer.Option(help="sft, or for pairs dpo or simpo.")] = "sft",
    rank: Annotated[int, typer.Option(min=1, max=256, help="Of the added matrices.")] = 8,
    rate: Annotated[float, typer.Option(min=1e-7, max=0.1, help="The largest learning rate.")] = 3e-4,
    epochs: Annotated[int, typer.Option(min=1, max=100, help="Passes over the examples.")] = 2,
    batch: Annotated[int, typer.Option(min=1, max=1024, help="Examples of a step.")] = 8,
    kl: Kl = 0.0,
    average: Average = 0.0,
    keep: Annotated[int | None, typer.Option(min=1, help="Train on so many of the examples alone.")] = None,
    keep_by: KeepBy = "difficulty",
    control: ControlName = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the adapter's first weights, and of the order.")] = 0,
    json_: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Train an adapter, and put it in force if it is better on held-out tasks. Started again, it goes on."""
    from agentkit.training.run import TrainArguments, train_adapter

    rates = {"rank": rank, "alpha": 2 * rank, "rate": rate, "epochs": epochs, "batch": batch, "seed": seed}
    config = _config(recipe, rounds, loss, control, rates | {"kl": kl, "average": average})
    config = replace(config, keep=_keep(keep, keep_by))
    given = _read({"tasks": tasks, "val": val, "probes": probes, "replay": replay}, limit, kl=kl)
    with wanted.build() as agent:
        stopping.go_on_with_this_command()
        frozen = given["probes"] if probes else None
        told = TrainArguments(val=given["val"], replay=given["replay"], probes=frozen, playbook=playbook, memory=memory)
        told |= {"config": config, "on_event": progress()}
        report = train_adapter(agent, given["tasks"], adapter, **told)
    emit(report.to_json(), json_=json_, human=_show)


def _keep(count: int | None, by: str) -> Keep | None:
    from agentkit.training.filters import known_keep

    return known_keep(count, by)


def _config(recipe: str, rounds: int, loss: str, control: str | None, rates: JsonObject) -> TrainConfig:
    """Raises UserError: a name that there is not."""
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
