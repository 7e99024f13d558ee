"""`agentkit db`: the version of the database."""

from __future__ import annotations

from typing import Annotated

import typer

from agentkit.cli.output import JSON_HELP, emit, open_settings, say

app = typer.Typer(help="The database.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help=JSON_HELP)]


@app.callback()
def group() -> None:
    """Show the database's version and bring it up to date."""


@app.command()
def status(json_: Json = False) -> None:
    """Print where the database is and its version, without migrating it; exit code 2 if it needs migrating."""
    _report(upgrade=False, json_=json_)


@app.command()
def upgrade(json_: Json = False) -> None:
    """Bring the database's tables up to date. Every command that opens the database does this too."""
    _report(upgrade=True, json_=json_)


def _report(*, upgrade: bool, json_: bool) -> None:
    from agentkit.store import Store
    from agentkit.store.migrate import versions

    store = Store.open(open_settings().database_url, upgrade=upgrade)
    try:
        version, newest = versions(store)
    finally:
        store.close()
    emit(
        {"database": store.name, "version": version, "newest": newest},
        json_=json_,
        human=lambda found: say(f"{found['database']} is at version {found['version']}"),
    )
