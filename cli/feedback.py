"""`agentkit feedback`: record how past runs went."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentkit.cli import completion
from agentkit.cli.output import JSON_HELP, emit, open_settings, print_table
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.feedback import FeedbackDesk, Taught
    from agentkit.opinions import Opinion
    from agentkit.settings import Settings

app = typer.Typer()


@app.command("feedback")
def feedback(
    run: Annotated[
        str | None, typer.Argument(help="The run's id, or a unique prefix of it.", autocompletion=completion.runs)
    ] = None,
    up: Annotated[bool, typer.Option("--up", help="Its answer was right.")] = False,
    down: Annotated[bool, typer.Option("--down", help="Its answer was wrong.")] = False,
    score: Annotated[float | None, typer.Option(min=0, max=1, help="How good the answer was, from 0 to 1.")] = None,
    answer: Annotated[str | None, typer.Option(help="The right answer.")] = None,
    text: Annotated[str, typer.Option(help="The reason, in your own words.")] = "",
    by: Annotated[str, typer.Option(help="Who gives the feedback; `label` outweighs everyone else.")] = "user",
    file: Annotated[
        Path | None,
        typer.Option(help='A JSONL file of feedback, with rows of {"run", "score", "answer", "text", "by"}.'),
    ] = None,
    memory: Annotated[str | None, typer.Option(help="The case memory to teach. Default: the run's own.")] = None,
    playbook: Annotated[str | None, typer.Option(help="The playbook to credit. Default: the run's own.")] = None,
    json_: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Record how a finished run went, however long ago; without an opinion, show what was recorded about it."""
    from agentkit.errors import UserError
    from agentkit.feedback import FeedbackDesk, read_feedback
    from agentkit.opinions import Opinion
    from agentkit.store import Store

    if (run is None) == (file is None):
        raise UserError("name a run, or a file of feedback with --file")
    if up + down + (score is not None) > 1:
        raise UserError("give only one of --up, --down and --score")
    settings = open_settings()
    desk = FeedbackDesk(Store.open(settings.database_url), settings, memory=memory, playbook=playbook)
    if file is not None:
        opinions = read_feedback(file)
        for opinion in opinions:
            desk.check(opinion)
        emit([_row(asdict(desk.take(opinion))) for opinion in opinions], json_=json_, human=_table)
        return
    assert run is not None
    given = score if score is not None else 1.0 if up else 0.0 if down else None
    if given is None and answer is None and not text:
        said = [asdict(opinion) | {"created_at": str(opinion.created_at)} for opinion in desk.opinions(run)]
        emit(said, json_=json_, human=_table)
        return
    opinion = Opinion(run_id=run, by=by, score=given, answer=answer, text=text)
    own = memory is None and playbook is None
    taught = _with_lessons(desk, opinion, settings) if answer is not None and own else desk.take(opinion)
    emit(_row(asdict(taught)), json_=json_, human=lambda row: _table([row]))


def _with_lessons(desk: FeedbackDesk, opinion: Opinion, settings: Settings) -> Taught:
    """Record a correction. If the run's agent keeps a playbook and can be rebuilt here, it also draws lessons from
    it."""
    from agentkit.agent import Agent

    options = desk.check(opinion).options
    if options.get("in_code") or not options.get("agent", {}).get("playbook"):
        return desk.take(opinion)
    agent, run_id = Agent.for_run(opinion.run_id, settings=settings)
    with agent:
        return agent.feedback(run_id, score=opinion.score, answer=opinion.answer, text=opinion.text, by=opinion.by)


def _row(taught: JsonObject) -> JsonObject:
    return {"run_id": taught["run_id"], **(taught["settled"] or {}), "changes": taught["changes"]}


def _table(rows: list[JsonObject]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    print_table(names, [[str(row.get(name, "")) for name in names] for row in rows])
