"""`agentkit playbook`: look at playbooks, at every version of them, and edit them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentkit.cli.changes import (
    Limit,
    StatusName,
    change_row,
    change_rows,
    emit_decided,
    emit_rolled_back,
    known_status,
    print_changes,
)
from agentkit.cli.output import JSON_HELP, emit, note, open_settings, open_store, print_table, say
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.playbooks import PlaybookStore

app = typer.Typer(no_args_is_help=True, help="Playbooks: show, compare, blame, roll back, import, export, edit.")

Json = Annotated[bool, typer.Option("--json", help=JSON_HELP)]
Name = Annotated[str | None, typer.Option("--playbook", "-p", help="Which playbook.")]
Version = Annotated[int | None, typer.Option("--version", "-v", min=0, help="The version. Default: the current one.")]


def open_playbook(name: str | None, *, must_exist: bool = True) -> PlaybookStore:
    """Open the named playbook, else that of the settings, else the only one there is, else `default`."""
    from agentkit.playbooks.storage import PlaybookStore, playbook_names

    store, wanted = open_store(), name or open_settings().playbook
    if wanted is None:
        names = playbook_names(store)
        wanted = names[0] if len(names) == 1 else "default"
    return PlaybookStore.open(store, wanted, must_exist=must_exist)


@app.command()
def ls(json_: Json = False) -> None:
    """List the playbooks."""
    from agentkit.playbooks.storage import PlaybookStore, playbook_names

    store = open_store()
    rows = []
    for name in playbook_names(store):
        book = PlaybookStore(store, name).current()
        rows.append(
            {
                "name": name,
                "version": book.version,
                "bullets": len(book),
                "retired": len(book.retired),
                "tokens": book.tokens,
            }
        )
    columns = ("name", "version", "bullets", "retired", "tokens")
    emit(rows, json_=json_, human=lambda rows: print_table(columns, [[row[c] for c in columns] for row in rows]))


@app.command()
def show(
    playbook: Name = None,
    version: Version = None,
    retired: Annotated[bool, typer.Option("--retired", help="Include retired bullets.")] = False,
    json_: Json = False,
) -> None:
    """Show the bullets at any version, with their votes."""
    from agentkit.playbooks.playbook import bullet_json

    store = open_playbook(playbook)
    book = store.current() if version is None else store.at(version)
    votes = store.votes(version)
    bullets = [*book.active, *(book.retired if retired else ())]
    rows = []
    for bullet in bullets:
        helpful, harmful = votes.get(bullet.id, (0, 0))
        rows.append({**bullet_json(bullet), "helpful": helpful, "harmful": harmful})
    columns = ("id", "section", "scope", "status", "helpful", "harmful", "content")
    data = {"name": book.name, "version": book.version, "tokens": book.tokens, "bullets": rows}
    emit(
        data,
        json_=json_,
        human=lambda d: print_table(
            columns, [[r[c] for c in columns] for r in d["bullets"]], title=f"{d['name']} at version {d['version']}"
        ),
    )


@app.command()
def log(playbook: Name = None, status: StatusName = None, limit: Limit = 50, json_: Json = False) -> None:
    """List its changes, newest first, with who made them and in which run, including those that wait or are in
    quarantine."""
    store = open_playbook(playbook)
    found = store.ledger.history(store.target, status=known_status(status), limit=limit)
    emit(change_rows(store.ledger, found), json_=json_, human=print_changes)


@app.command()
def diff(
    before: Annotated[int, typer.Argument(min=0)],
    after: Annotated[int | None, typer.Argument(min=0, help="Default: the newest version.", show_default=False)] = None,
    playbook: Name = None,
    json_: Json = False,
) -> None:
    """Show what differs between two versions."""
    from agentkit.playbooks.playbook import bullet_json

    store = open_playbook(playbook)
    edits = store.diff(before, store.version() if after is None else after)
    rows = [
        {
            "kind": edit.kind,
            "before": edit.before and bullet_json(edit.before),
            "after": edit.after and bullet_json(edit.after),
        }
        for edit in edits
    ]
    emit(rows, json_=json_, human=_print_diff)


def _print_diff(rows: list[JsonObject]) -> None:
    for row in rows:
        for sign, side in (("-", row["before"]), ("+", row["after"])):
            if side and side["status"] == "active":
                say(f"{sign} [{side['id']}] ({side['section']}; {side['scope']}) {side['content']}")


@app.command()
def blame(bullet: str, playbook: Name = None, json_: Json = False) -> None:
    """Show which changes, roles and runs a bullet comes from, including the bullets it was merged from."""
    rows = [vars(origin) for origin in open_playbook(playbook).blame(bullet)]
    emit(rows, json_=json_, human=_print_origins)


def _print_origins(rows: list[JsonObject]) -> None:
    columns = ("version", "bullet", "what", "by", "run", "source", "signal", "when")
    table = [
        [
            row["version"],
            row["bullet_id"],
            row["operation"],
            " ".join(filter(None, (row["role"], row["model"]))),
            row["run_id"],
            row["source"],
            row["signal"],
            f"{row['created_at']:%Y-%m-%d %H:%M}",
        ]
        for row in rows
    ]
    print_table(columns, table)


@app.command()
def rollback(
    version: int, playbook: Name = None, reason: Annotated[str, typer.Option()] = "", json_: Json = False
) -> None:
    """Make an earlier version current again. This is a change like any other, so it can be undone too."""
    emit_rolled_back(open_playbook(playbook).rollback(version, reason=reason), version, json_=json_)


@app.command()
def export(
    playbook: Name = None,
    form: Annotated[str, typer.Option("--format", "-f", help="markdown, json, ace or skill.")] = "markdown",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write. Default: standard output.")
    ] = None,
    version: Version = None,
) -> None:
    """Write it as Markdown, JSON, ACE's text format or a SKILL.md."""
    from agentkit.curation.export.content import writing
    from agentkit.errors import UserError
    from agentkit.playbooks.formats import WRITERS

    if form not in WRITERS:
        raise UserError(f"{form!r} is not a format; choose from {', '.join(WRITERS)}")
    store = open_playbook(playbook)
    text = WRITERS[form](store.current() if version is None else store.at(version), store.votes(version))
    if output is None:
        say(text, nl=False)
    else:
        with writing(output) as stream:
            stream.write(text)


@app.command("import")
def import_(
    file: Path,
    playbook: Name = None,
    trust: Annotated[bool, typer.Option("--trust", help="Also add bullets that read like instructions.")] = False,
    json_: Json = False,
) -> None:
    """Add the bullets of a Markdown, JSON or ACE file that are not there yet; a file that holds a secret is refused.

    Bullets that read like instructions or imitate the prompt's structure wait for you; with --trust they are added at
    once.
    """
    from agentkit.playbooks.formats import read_file
    from agentkit.playbooks.trust import ask_a_person
    from agentkit.text import clean

    store = open_playbook(playbook, must_exist=False)
    found, before, source = read_file(file), store.current(), clean(file.name)
    held = None if trust else found.held(before, source=source)
    waits = (
        {}
        if held is None
        else {"waiting": len(held[0].operations), "change": store.hold(held[0], ask_a_person(held[1])).id}
    )
    delta = found.delta(before, source=source, trust=trust)
    if delta is not None:
        store.apply(delta)
    after = store.current()
    data = {"read": len(found.bullets), "added": len(after) - len(before), "version": after.version, **waits}
    emit(data, json_=json_, human=_imported)


def _imported(data: JsonObject) -> None:
    note(f"{data['added']} of {data['read']} bullets are new, version {data['version']}")
    if data.get("waiting"):
        then = f"agentkit playbook decide {data['change']} --accept  or  --reject"
        note(f"{data['waiting']} of them read like instructions and wait for you: {then}")


@app.command()
def add(
    text: str,
    playbook: Name = None,
    section: Annotated[str, typer.Option()] = "strategies",
    scope: Annotated[str, typer.Option(help="What it applies to; empty means everything.")] = "",
    json_: Json = False,
) -> None:
    """Add a bullet by hand; one that holds a secret is refused."""
    from agentkit.errors import UserError
    from agentkit.playbooks import Add, Delta
    from agentkit.playbooks.trust import secret_findings

    if secrets := secret_findings(text, scope, section):
        raise UserError(f"it seems to contain {', '.join(secrets)}: secrets are not stored")
    store = open_playbook(playbook, must_exist=False)
    operation, base = Add(content=text, section=section, scope=scope), store.version()
    change = store.apply(
        Delta(key=f"{store.target}:add:{operation.id}:{base}", base=base, operations=(operation,), role="person")
    )
    data = {**change_row(change), "bullet": operation.id}
    emit(data, json_=json_, human=lambda d: note(f"added {d['bullet']}, version {d['version']}"))


@app.command()
def retire(
    bullet: Annotated[str | None, typer.Argument(help="Its id, or a prefix of it.", show_default=False)] = None,
    source: Annotated[str | None, typer.Option(help="Instead: all bullets from this source.")] = None,
    playbook: Name = None,
    reason: Annotated[str, typer.Option()] = "",
    json_: Json = False,
) -> None:
    """Retire a bullet, or all bullets from one source; they stay on record."""
    from agentkit.errors import UserError
    from agentkit.playbooks import Delta, Retire

    if (bullet is None) == (source is None):
        raise UserError("give a bullet or --source")
    store = open_playbook(playbook)
    found, base = [store.current().get(bullet)] if bullet else store.from_source(source or ""), store.version()
    if not found:
        raise UserError(f"no active bullet of {store.name} comes from {source!r}")
    operations = tuple(Retire(id=item.id, expected=item.hash, reason=reason) for item in found)
    key = f"{store.target}:retire:{operations[0].id}:{base}"
    change = store.apply(Delta(key=key, base=base, operations=operations, role="person", note=reason))
    ids = ", ".join(item.id for item in found)
    emit(change_row(change), json_=json_, human=lambda row: note(f"retired {ids}, version {row['version']}"))


@app.command()
def decide(
    change: str,
    accept: Annotated[bool, typer.Option("--accept/--reject", help="The decision.")],
    playbook: Name = None,
    reason: Annotated[str, typer.Option()] = "decided by a person",
    json_: Json = False,
) -> None:
    """Accept or reject a change that waits or is in quarantine; see  agentkit playbook log --status quarantined."""
    from agentkit.changes import decide as work

    emit_decided(work(open_playbook(playbook).store, change, accept=accept, reason=reason), json_=json_)


@app.command()
def stats(playbook: Name = None, json_: Json = False) -> None:
    """Show votes, estimated effects with their 90 % intervals, what waits, and alarms."""
    from agentkit.playbooks import StreamGate
    from agentkit.playbooks.alarms import alarms
    from agentkit.playbooks.evidence import UsageLog

    store = open_playbook(playbook)
    evidence, book = UsageLog(store.store, store.target), store.current()
    votes, effects = store.votes(), evidence.effects()
    rows = []
    for bullet in book.active:
        helpful, harmful = votes.get(bullet.id, (0, 0))
        row: JsonObject = {"id": bullet.id, "helpful": helpful, "harmful": harmful, "content": bullet.content}
        effect = effects.get(bullet.id)
        row |= {"effect": None, "interval": None, "shown": 0, "withheld": 0}
        if effect is not None:
            row |= {
                "effect": round(effect.mean, 4),
                "interval": [round(end, 4) for end in effect.interval()],
                "shown": effect.shown,
                "withheld": effect.withheld,
            }
        rows.append(row)
    history = store.ledger.history(store.target)
    names = ("applied", "waiting", "quarantined", "rejected")
    statuses = {name: sum(change.status == name for change in history) for name in names}
    data = {
        "name": book.name,
        "version": book.version,
        "tokens": book.tokens,
        "changes": statuses,
        "lessons_waiting": evidence.waiting(),
        "alarms": alarms(evidence.steps(20)),
        "bullets": rows,
        "probation": StreamGate(store).report(),
    }
    emit(data, json_=json_, human=_print_stats)


def _print_stats(data: JsonObject) -> None:
    columns = ("id", "helpful", "harmful", "effect", "interval", "shown", "withheld", "content")
    print_table(
        columns,
        [[row[column] for column in columns] for row in data["bullets"]],
        title=f"{data['name']} at version {data['version']}, about {data['tokens']} tokens",
    )
    print_table(tuple(data["changes"]), [list(data["changes"].values())])
    if data["probation"]:
        columns = ("change", "runs", "given", "denied", "mean_given", "mean_denied", "e_value", "e_harm")
        print_table(columns, [[row[name] for name in columns] for row in data["probation"]], title="on probation")
    for alarm in data["alarms"]:
        note(f"alarm: {alarm}")


@app.command()
def verify(playbook: Name = None, json_: Json = False) -> None:
    """Check the ledger's hashes, and that the tables match a replay of it exactly."""
    store = open_playbook(playbook)
    emit({"versions": store.verify()}, json_=json_, human=lambda d: note(f"{d['versions']} versions, all in order"))
