"""`agentkit doctor`."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from agentkit.cli.output import JSON_HELP, emit, open_settings, print_table

app = typer.Typer()

EXTRAS = {"local": ["xllamacpp"], "hf": ["torch", "transformers", "sentence_transformers"], "postgres": ["psycopg"],
          "curate": ["lxml", "pypdf", "rdflib", "linkml_runtime"], "mcp": ["mcp"]}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at; `needed` where nothing works without it."""

    what: str
    ok: bool
    detail: str
    needed: bool = False


@app.command("doctor")
def doctor(json_: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False) -> None:
    """Check what this machine has and lacks. Exit code 1 where something needed is missing."""
    findings = [*_basics(), *_models(), *_database(), *_keys()]
    emit([asdict(item) for item in findings], json_=json_, human=_show)
    if any(item.needed and not item.ok for item in findings):
        raise typer.Exit(1)


def _basics() -> Iterator[Finding]:
    yield Finding(what="python", ok=True, detail=platform.python_version(), needed=True)
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        mend = f"lacks {', '.join(missing)}: pip install 'agentkit-evolve[{extra}]'"
        yield Finding(what=f"extra {extra}", ok=not missing, detail=mend if missing else "installed")
    bwrap = shutil.which("bwrap")
    mend = "not found: the python tool refuses to run code (Debian: apt-get install bubblewrap)"
    yield Finding(what="sandbox (bubblewrap)", ok=bwrap is not None, detail=bwrap or mend)


def _models() -> Iterator[Finding]:
    from agentkit.models.catalog import catalog
    from agentkit.settings import cache_dir

    wanted = {name.removeprefix("local/") for name in (open_settings().model, open_settings().embedder)}
    for entry in catalog().values():
        mend = f"agentkit models pull {entry.name}"
        detail = "downloaded" if entry.present else f"not downloaded: {mend}"
        yield Finding(what=f"model {entry.name}", ok=entry.present or entry.name not in wanted, detail=detail)
    folder = next(path for path in (cache_dir(), *cache_dir().parents) if path.exists())
    free = shutil.disk_usage(folder).free / 1e9
    yield Finding(what="disk of the model cache", ok=free > 2, detail=f"{free:.1f} GB free")


def _database() -> Iterator[Finding]:
    from agentkit.errors import AgentKitError
    from agentkit.store import Store

    try:
        store = Store.open(open_settings().database_url)
        yield Finding(what="database", ok=True, detail=store.name, needed=True)
        store.close()
    except AgentKitError as error:
        yield Finding(what="database", ok=False, detail=str(error), needed=True)


def _keys() -> Iterator[Finding]:
    found = sorted(name for name in os.environ if name.endswith("_API_KEY"))
    yield Finding(what="API keys", ok=True, detail=", ".join(found) or "none set; only local models can be used")


def _show(rows: list[dict[str, Any]]) -> None:
    print_table(("", "what", "found"), [("ok" if row["ok"] else "--", row["what"], row["detail"]) for row in rows])
