"""`agentkit adapter`: trained adapters, their versions, and rolling back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from agentkit.cli.changes import emit_rolled_back
from agentkit.cli.output import JSON_HELP, emit, note, open_settings, open_store, print_table, say

if TYPE_CHECKING:
    from agentkit.adapters import AdapterStore

app = typer.Typer(no_args_is_help=True, help="Trained adapters: list, show, compare, roll back, forget, merge, export.")

Json = Annotated[bool, typer.Option("--json", help=JSON_HELP)]
Name = Annotated[str, typer.Argument(help="The adapter's name.")]
Row = dict[str, object]


@app.command()
def ls(json_: Json = False) -> None:
    """List every adapter, with its version in effect."""
    from agentkit.adapters import KIND, AdapterStore
    from agentkit.ledger import Ledger

    store = open_store()
    rows = []
    for target in Ledger(store).targets(KIND):
        adapters = AdapterStore(store, target.partition(":")[2])
        version = adapters.version()
        now = adapters.at(version)
        row: Row = {"name": adapters.name, "version": version, "model": now.model if now else None}
        changes = adapters.ledger.history(adapters.target)
        rows.append({**row, "recipe": now.recipe if now else None, "changes": len(changes)})
    columns = ("name", "version", "model", "recipe", "changes")
    emit(
        rows, json_=json_, human=lambda found: print_table(columns, [[row[name] for name in columns] for row in found])
    )


@app.command()
def show(name: Name, json_: Json = False) -> None:
    """Show every version and candidate of an adapter: what it was trained on, and what the gate said."""
    from agentkit.adapters import of_change

    adapters = _known(name)
    rows: list[Row] = []
    for change in adapters.ledger.history(adapters.target):
        adapter, events = of_change(change), adapters.ledger.events(change.id)
        verdict = next((event.verdict for event in reversed(events) if event.verdict), None) or {}
        row: Row = {"version": change.version, "change": change.id, "status": change.status, "note": change.note}
        row |= {"reason": verdict.get("reason", ""), "evidence": verdict.get("evidence", {})}
        rows.append({**row, "adapter": None if adapter is None else adapter.to_json()})
    emit({"name": name, "version": adapters.version(), "changes": rows}, json_=json_, human=_show)


@app.command()
def diff(
    name: Name,
    one: Annotated[int, typer.Argument(min=0, help="A version; 0 is the bare model.")],
    other: Annotated[int, typer.Argument(min=0, help="The version to compare it with.")],
    json_: Json = False,
) -> None:
    """How two versions of an adapter differ: settings, and the examples of each that the other was not trained on."""
    from agentkit.training import compare

    emit(compare(_known(name), one, other), json_=json_, human=_show_diff)


@app.command()
def forget(
    name: Name,
    source: Annotated[
        str, typer.Option(help="A run, a task, a person who gave feedback, or a channel: label, check, user.")
    ],
    json_: Json = False,
) -> None:
    """Train again without what came from a source, put that in force, and delete what had learned from it."""
    from agentkit.agent import Agent
    from agentkit.cli import stopping
    from agentkit.cli.train import progress
    from agentkit.errors import UserError
    from agentkit.training import forget as work

    adapters = _known(name)
    current = adapters.at(adapters.version())
    if current is None:
        raise UserError(f"adapter:{name} is at version 0, which has learned nothing")
    with Agent(current.model, tools=[], settings=open_settings()) as agent:
        stopping.go_on_with_this_command()
        found = work(agent, name, source, on_event=progress())
    told = "trained again on {left}" if found.left else "too few are left: the bare model is in force"
    text = f"forgot {{examples}} examples; {told}; adapter:{name} is at version {{version}}"
    emit(found.to_json(), json_=json_, human=lambda row: note(text.format(**row)))


@app.command()
def merge(
    name: Name,
    other: Annotated[str, typer.Argument(help="The adapter to add to it, trained on the same model.")],
    into: Annotated[str, typer.Option(help="The name of what comes of it.")],
    weights: Annotated[str, typer.Option(help="How much of each is added.", metavar="A,B")] = "1,1",
    json_: Json = False,
) -> None:
    """Add two adapters up, as a candidate of a third name; `agentkit changes decide` puts it in force."""
    from agentkit.adapters import AdapterStore
    from agentkit.training import merge as work

    one, second = _known(name), _known(other)
    third = AdapterStore(one.store, into, folder=one.folder)
    change = work(one, second, third, weights=_weights(weights))
    row: Row = {"change": change.id, "target": change.target, "status": change.status, "note": change.note}
    text = "{target}: {note}; try it, then  agentkit changes decide {change} --accept"
    emit(row, json_=json_, human=lambda found: note(text.format(**found)))


def _weights(text: str) -> tuple[float, float]:
    """Raises UserError where these are not two numbers."""
    from math import isfinite

    from agentkit.errors import UserError

    try:
        one, other = (float(part) for part in text.split(","))
        if not isfinite(one + other):
            raise ValueError
    except ValueError:
        raise UserError(f"--weights {text!r}: write two numbers with a comma, such as 0.5,0.5") from None
    return one, other


@app.command()
def rollback(
    name: Name,
    version: Annotated[int, typer.Argument(min=0, help="The version to go back to; 0 is the bare model.")],
    reason: Annotated[str, typer.Option()] = "",
    json_: Json = False,
) -> None:
    """Make an earlier version current again. This is a change like any other, so it can be undone too."""
    emit_rolled_back(_known(name).rollback(version, reason=reason), version, json_=json_)


@app.command()
def export(
    name: Name,
    file: Annotated[Path, typer.Argument(help="Where to write the GGUF file; any llama.cpp can load it.")],
    version: Annotated[int | None, typer.Option(min=1, help="Default: the version in effect.")] = None,
) -> None:
    """Write an adapter as a GGUF file."""
    import shutil

    from agentkit.errors import UserError

    adapters = _known(name)
    adapter = adapters.at(adapters.version() if version is None else version)
    if adapter is None:
        raise UserError(f"adapter:{name} is at version 0, the bare model: give --version")
    if file.exists():
        raise UserError(f"{file} already exists")
    shutil.copyfile(adapters.path(adapter), file)
    note(f"{file}: {file.stat().st_size / 1e6:.1f} MB, for {adapter.model}:  llama-cli -m MODEL --lora {file}")


def _known(name: str) -> AdapterStore:
    from agentkit.adapters import AdapterStore
    from agentkit.errors import UserError

    adapters = AdapterStore.open(open_store(), name, settings=open_settings())
    if not adapters.ledger.history(adapters.target, limit=1):
        raise UserError(f"there is no adapter {name!r}; see  agentkit adapter ls")
    return adapters


def _show(found: Row) -> None:
    say(f"adapter:{found['name']} is at version {found['version']}")
    columns = ("version", "change", "status", "note", "reason")
    rows = cast("list[Row]", found["changes"])
    print_table(columns, [[row[name] for name in columns] for row in rows])


def _show_diff(found: Row) -> None:
    one, other = cast("list[int]", found["versions"])
    changed = cast("dict[str, list[object]]", found["changed"])
    print_table(["", f"version {one}", f"version {other}"], [[name, *pair] for name, pair in changed.items()])
    say(f"{found['shared']} examples in both")
    for name, version in (("removed", one), ("added", other)):
        rows = cast("list[Row]", found[name])
        say(f"{len(rows)} examples in version {version} alone")
        for row in rows[:MOST]:
            asked, answer = (" ".join(str(row.get(field, "")).split())[:60] for field in ("asked", "answer"))
            say(f"  {row['hash']}  {asked}  →  {answer}")


MOST = 20
"""Examples of each version that are shown; --json has all."""
