"""`agentkit calibrate TASKS.jsonl`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from agentkit.cli import stopping
from agentkit.cli.eval import Bar
from agentkit.cli.output import JSON_HELP, emit, say
from agentkit.cli.risk import show_risk
from agentkit.cli.run import (
    Calibration,
    Choices,
    Database,
    Effort,
    Instructions,
    Memory,
    Model,
    Playbook,
    Root,
    Samples,
    SchemaFile,
    Tools,
    build_agent,
    parse_checker,
)

app = typer.Typer()


@app.command("calibrate")
def calibrate(
    file: Annotated[Path, typer.Argument(metavar="TASKS.jsonl", help="Tasks like those to come, with targets.")],
    model: Model = None,
    tools: Tools = None,
    root: Root = None,
    database: Database = None,
    checker: Annotated[str | None, typer.Option(help="The checker of tasks that name none.")] = None,
    playbook: Playbook = None,
    memory: Memory = None,
    instructions: Instructions = None,
    choices: Choices = None,
    schema: SchemaFile = None,
    effort: Effort = "auto",
    samples: Samples = "1",
    calibration: Calibration = "default",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many tasks.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Runs at once.")] = 1,
    json_: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Fit confidence to outcomes, as a change in the ledger. Started again, it goes on where it stopped.

    The outcomes also teach which mode pays for such tasks.
    """
    from agentkit.aio import run_sync
    from agentkit.calibrating import calibrate as fit_to
    from agentkit.evaluation import checkers_for
    from agentkit.tasks import load_tasks

    loaded = load_tasks(file, limit=limit)
    agent = build_agent(
        model=model,
        tools=tools,
        root=root,
        database=database,
        playbook=playbook,
        memory=memory,
        effort=effort,
        samples=samples,
        instructions=instructions,
        choices=choices,
        schema=schema,
        calibration=calibration,
    )
    with agent:
        default = parse_checker(checker)
        checkers_for(agent, loaded, default)
        with Bar(len(loaded)) as bar:
            stopping.go_on_with_this_command()
            found = run_sync(fit_to(agent, loaded, checker=default, concurrency=concurrency, on_result=bar.add))
    emit(found.to_json(), json_=json_, human=_show)


def _show(found: dict[str, Any]) -> None:
    show_risk(found["risk"], calibrated=True)
    where = f"{found['target']} version {found['version']}"
    say(f"{where}, on {found['outcomes']} answers of {found['model']}, {found['right']} of them right")
    kept = [f"{float(error):.0%} from {floor:.3f}" for error, floor in found["thresholds"].items()]
    say(f"--max-error  {', '.join(kept) if kept else 'none could be shown to hold: more outcomes, or fewer errors'}")
