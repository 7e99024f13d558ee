"""`agentkit calibrate TASKS.jsonl`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from agentkit.cli import stopping
from agentkit.cli.agent_options import AgentOptions, parse_checker, with_agent_options
from agentkit.cli.eval import Bar, Concurrency, DefaultChecker, Limit, load_some
from agentkit.cli.output import JSON_HELP, emit, say
from agentkit.cli.risk import show_risk

app = typer.Typer()


@app.command("calibrate")
@with_agent_options(without=("checker", "gate", "decline_below", "max_error", "approve"))
def calibrate(
    file: Annotated[Path, typer.Argument(metavar="TASKS.jsonl", help="Tasks like the future ones, with targets.")],
    *,
    wanted: AgentOptions,
    default_checker: DefaultChecker = None,
    limit: Limit = None,
    concurrency: Concurrency = 1,
    json_: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Fit confidence to outcomes, recorded as a change in the ledger. The same command again continues where it
    stopped.

    The outcomes also teach which effort mode pays off for such tasks.
    """
    from agentkit.aio import run_sync
    from agentkit.calibrating import calibrate as fit_to
    from agentkit.evaluation import checkers_for

    loaded = load_some(file, limit)
    with wanted.build() as agent:
        default = parse_checker(default_checker)
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
    say(f"--max-error  {', '.join(kept) if kept else 'none can be guaranteed without more outcomes or fewer errors'}")
