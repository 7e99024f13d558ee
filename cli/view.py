"""`agentkit view`: a page in the browser, on loopback."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from agentkit.cli import stopping
from agentkit.cli.output import open_settings, say
from agentkit.errors import MissingExtra

app = typer.Typer()


@app.command("view")
def view(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port on loopback; 0 takes a free one.")] = 8700,
    edit: Annotated[
        bool, typer.Option("--edit", help="Allow feedback and decisions; without it, the page is read-only.")
    ] = False,
    reviewer: Annotated[str | None, typer.Option(help="Who decides. Default: your user name.")] = None,
) -> None:
    """Look at runs, playbooks, memories, evolutions and knowledge bases in a browser, until Ctrl-C.

    The printed address contains a token: whoever has it can see everything in the database.
    """
    from agentkit.store import Store

    try:
        from agentkit.server.process import run_app
        from agentkit.view import ViewOptions, create_view
    except ModuleNotFoundError as error:
        raise MissingExtra("server", error.name or "starlette") from None
    settings = open_settings()
    store = Store.open(settings.database_url)
    options = ViewOptions(edit=edit, reviewer=reviewer or getpass.getuser())
    with stopping.left_to_the_command():
        run_app(
            create_view(store, settings, options),
            "127.0.0.1",
            port,
            listening=lambda address: say(f"open  {address}/?token={options.token}  (Ctrl-C stops it)"),
        )
    store.close()
    stopping.leave(0)
