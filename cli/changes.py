"""`agentkit changes`: every change to anything that evolves, why it was made, and how to undo it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from agentkit.cli.output import JSON_HELP, emit, note, open_store, print_table, say

if TYPE_CHECKING:
    from agentkit.ledger import Change, ChangeEvent, Ledger, Status

app = typer.Typer(
    no_args_is_help=True, help="Changes to playbooks, memories, knowledge bases, calibrations and effort."
)

Json = Annotated[bool, typer.Option("--json", help=JSON_HELP)]
StatusName = Annotated[str | None, typer.Option("--status", help="applied, quarantined, waiting, rejected …")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")]
ChangeId = Annotated[str, typer.Argument(help="The change's id, or a unique prefix of it.")]
Row = dict[str, object]


@app.command()
def log(
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="Only changes of this target, such as playbook:default.")
    ] = None,
    status: StatusName = None,
    run: Annotated[str | None, typer.Option(help="Only changes caused by the runs whose ids start with this.")] = None,
    limit: Limit = 50,
    json_: Json = False,
) -> None:
    """List changes of any status, newest first, including those that wait or are in quarantine."""
    from agentkit.changes import find_target
    from agentkit.ledger import Ledger

    store = open_store()
    ledger = Ledger(store)
    name = None if target is None else find_target(store, target)
    found = ledger.history(name, status=known_status(status), run=run, limit=limit)
    emit(change_rows(ledger, found), json_=json_, human=print_changes)


@app.command()
def show(change: ChangeId, json_: Json = False) -> None:
    """Show one change in full: its operations, and every decision about it with the evidence."""
    from agentkit.ledger import Ledger

    ledger = Ledger(open_store())
    found = ledger.get(change)
    events = [_event(event) for event in ledger.events(found.id)]
    emit({**change_row(found), "base": found.base, "events": events}, json_=json_, human=_print_change)


@app.command()
def decide(
    change: ChangeId,
    accept: Annotated[bool, typer.Option("--accept/--reject", help="The decision.")],
    reason: Annotated[str, typer.Option()] = "decided by a person",
    json_: Json = False,
) -> None:
    """Accept or reject a change that waits or is in quarantine; see  agentkit changes log --status waiting."""
    from agentkit.changes import decide as work

    emit_decided(work(open_store(), change, accept=accept, reason=reason), json_=json_)


@app.command()
def rollback(
    target: Annotated[str, typer.Argument(help="Such as playbook:default.")],
    version: Annotated[int, typer.Argument(min=0, help="The version to go back to.")],
    reason: Annotated[str, typer.Option()] = "",
    json_: Json = False,
) -> None:
    """Make an earlier version current again. This is a change like any other, so it can be undone too."""
    from agentkit.changes import rollback as work

    emit_rolled_back(work(open_store(), target, version, reason=reason), version, json_=json_)


def emit_decided(change: Change, *, json_: bool) -> None:
    emit(change_row(change), json_=json_, human=lambda row: note(f"change {row['id']} is {row['status']}"))


def emit_rolled_back(change: Change, version: int, *, json_: bool) -> None:
    emit(change_row(change), json_=json_, human=lambda row: note(f"version {row['version']} is as version {version}"))


def known_status(status: str | None) -> Status | None:
    """Check that a status exists.

    Raises:
        UserError: it does not; the message lists those that do.
    """
    from agentkit.errors import UserError
    from agentkit.ledger import Status

    known = get_args(Status)
    if status is not None and status not in known:
        raise UserError(f"{status!r} is not a status; choose from {', '.join(known)}")
    return cast("Status | None", status)


def change_row(change: Change) -> Row:
    """A change as JSON values."""
    names = ("id", "target", "version", "status", "role", "model", "run_id", "source", "signal", "note")
    row = {name: getattr(change, name) for name in names}
    return {**row, "created_at": str(change.created_at), "operations": list(change.operations)}


def change_rows(ledger: Ledger, changes: list[Change]) -> list[Row]:
    """Changes as JSON values, each with the reason for its status."""
    return [{**change_row(change), "reason": _reason(ledger, change)} for change in changes]


def print_changes(rows: list[Row]) -> None:
    """Print a table of changes, with a column for the target if there is more than one."""
    several = len({row["target"] for row in rows}) > 1
    columns = (*(("target",) if several else ()), "version", "id", "status", "role", "run_id", "what", "why")
    table = [{**row, "what": _what(row), "why": row["reason"] or row["note"]} for row in rows]
    print_table(columns, [[row[column] for column in columns] for row in table])


def _what(row: Row) -> str:
    """Operations in a few words, with the text of what they add."""
    operations = cast("list[dict[str, object]]", row["operations"])
    told = [f"{op['op']} {op.get('content') or op.get('id') or op.get('run') or ''}".strip() for op in operations]
    return "; ".join(dict.fromkeys(told))[:160]


def _reason(ledger: Ledger, change: Change) -> str:
    """What the gate, the lint or a person said about a change that is not simply applied."""
    if change.status in ("applied", "proposed"):
        return ""
    return str((ledger.events(change.id)[-1].verdict or {}).get("reason", ""))


def _event(event: ChangeEvent) -> Row:
    verdict = event.verdict or {}
    return {
        "status": event.status,
        "reason": verdict.get("reason", ""),
        "evidence": verdict.get("evidence", {}),
        "created_at": str(event.created_at),
    }


def _print_change(row: Row) -> None:
    from agentkit.cli.output import as_json

    for name, value in row.items():
        if name not in ("operations", "events") and value not in (None, ""):
            say(f"{name:<10} {value}")
    for operation in cast("list[object]", row["operations"]):
        say(f"operation  {as_json(operation)}")
    for event in cast("list[Row]", row["events"]):
        evidence = f"  {as_json(event['evidence'])}" if event["evidence"] else ""
        say(f"{str(event['created_at'])[:16]}  {event['status']}  {event['reason']}{evidence}".rstrip())
