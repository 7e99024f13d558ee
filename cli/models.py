"""`agentkit models`: the catalog of local models, and what is in the cache."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentkit.cli import stopping
from agentkit.cli.output import say
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.models.catalog import Entry

app = typer.Typer(help="Local models: list, download, remove, test, serve.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A name of the catalog; see  agentkit models ls")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("ls")
def list_models(json_: Json = False) -> None:
    """List the models of the catalog and whether they are downloaded."""
    from agentkit.models.catalog import catalog

    rows = [_row(entry) for entry in catalog().values()]
    if json_:
        say(json.dumps(rows))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("name", "kind", "size", "licence", "here"):
        table.add_column(head, no_wrap=True, justify="right" if head == "size" else "left")
    table.add_column("about")
    for row in rows:
        size, here = f"{row['size'] / 1e6:,.0f} MB", "yes" if row["downloaded"] else "-"
        table.add_row(row["model"], row["kind"], size, row["licence"], here, row["description"])
    Console().print(table)


@app.command()
def pull(name: Name) -> None:
    """Download a model; the same command again continues where it stopped."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from agentkit.models.catalog import find, require
    from agentkit.models.download import pull as fetch

    entry = find(_bare(name))
    if entry.present:
        require(entry)
        say(f"{entry.name} is in {entry.folder}")
        return
    stopping.go_on_with_this_command()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(entry.name, total=entry.size)
        folder = fetch(
            entry, progress=lambda what, done, total: bars.update(task, description=what, completed=done, total=total)
        )
    say(f"{entry.name} is in {folder}")


@app.command()
def rm(name: Name) -> None:
    """Delete a model's files from the cache, including incomplete downloads."""
    from agentkit.models.catalog import find
    from agentkit.models.download import remove

    freed = remove(find(_bare(name)))
    say(f"freed {freed / 1e6:,.1f} MB")


@app.command()
def test(
    name: Annotated[str, typer.Argument(help="A name of the catalog, or any model such as hf/REPO or openai/MODEL")],
    api_base: Annotated[str | None, typer.Option(help="Base URL of an OpenAI-compatible server.")] = None,
    json_: Json = False,
) -> None:
    """Load a model, measure its speed, and check whether tools and schemas work."""
    from agentkit.models.catalog import catalog
    from agentkit.models.probing import probe_chat, probe_embedder

    entry = catalog().get(_bare(name))
    full = f"local/{entry.name}" if entry and "/" not in name else name
    if entry is not None and entry.kind == "embedding":
        result: JsonObject = probe_embedder(full)
    else:
        result = (probe_chat(full, api_base=api_base) if api_base else probe_chat(full)).to_json()
    if json_:
        say(json.dumps(result))
        return
    for key, value in result.items():
        shown = {True: "work", False: "FAIL", None: "unknown"}.get(value, value) if not _number(value) else value
        say(f"{_LABELS[key]:<22} {shown}")


_LABELS = {
    "name": "model",
    "load_seconds": "load, seconds",
    "prompt_speed": "reads, tokens/s",
    "decode_speed": "writes, tokens/s",
    "tools": "tool calls",
    "schema": "structured answers",
    "texts_per_second": "embeds, texts/s",
    "dimension": "dimensions",
}


@app.command()
def serve(
    name: Annotated[str, typer.Argument(help="A name of the catalog, or a .gguf file")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port on loopback.")] = 8080,
    n_ctx: Annotated[int, typer.Option(min=256, help="Context in tokens, shared by the slots.")] = 16_384,
    parallel: Annotated[int, typer.Option(min=1, help="Requests answered at once.")] = 1,
    api_key: Annotated[str, typer.Option(envvar="AGENTKIT_SERVE_KEY", help="The key that clients must send.")] = "",
    adapter: Annotated[
        str | None, typer.Option(help="A trained adapter to answer with: its name, or a .gguf file.")
    ] = None,
) -> None:
    """Start llama.cpp's OpenAI-compatible server on loopback, until Ctrl-C, SIGTERM or the terminal closes."""
    from agentkit.models.llamacpp import Server, serving

    _port_is_free(port)
    options = serving(_bare(name), n_ctx=n_ctx, n_parallel=parallel, port=port, api_key=api_key)
    server = Server(options, [] if adapter is None else [_adapter_file(adapter, options.path)], applied=True)
    say(f"serving {_bare(name)} at {server.address}/v1  (Ctrl-C stops it)")
    while True:  # in short sleeps: on some systems Python sees no signal during an endless wait
        time.sleep(0.5)


def _adapter_file(adapter: str, base: Path) -> Path:
    """The file of an adapter that is given by its name or its path.

    Raises:
        UserError: there is none, it was trained on another model, or it is at version 0.
    """
    from agentkit.adapters import AdapterRecaller, AdapterStore
    from agentkit.cli.output import open_settings, open_store
    from agentkit.errors import UserError

    if adapter.endswith(".gguf"):
        if not Path(adapter).is_file():
            raise UserError(f"{adapter}: no such file")
        return Path(adapter)
    adapters = AdapterStore.open(open_store(), adapter, settings=open_settings())
    if not adapters.ledger.history(adapters.target, limit=1):
        raise UserError(f"there is no adapter {adapter!r}; see  agentkit adapter ls")
    _, found = AdapterRecaller(adapters, base=base).chosen()
    if found is None:
        raise UserError(f"{adapters.target} is at version 0, which is the bare model: leave --adapter out")
    return adapters.path(found)


def _port_is_free(port: int) -> None:
    import socket

    from agentkit.errors import SettingsError

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise SettingsError(f"port {port} is in use; choose another with  --port") from None


def _bare(name: str) -> str:
    return name.removeprefix("local/")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _row(entry: Entry) -> JsonObject:
    return {
        "name": entry.name,
        "model": f"local/{entry.name}",
        "kind": entry.kind,
        "size": entry.size,
        "licence": entry.licence,
        "downloaded": entry.present,
        "path": str(entry.folder),
        "description": entry.description,
    }
