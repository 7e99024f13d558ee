"""`agentkit memory`: look at a case memory, fill it, train it, and forget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentkit.cli import completion
from agentkit.cli.elsewhere import Elsewhere, Ray, Workers
from agentkit.cli.output import JSON_HELP, emit, note, open_settings, open_store, print_table, say
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.embedding import Embedder
    from agentkit.memory import Case, CaseMemory

app = typer.Typer(no_args_is_help=True, help="Cases that an agent learns from: list, search, import, train, forget.")

Json = Annotated[bool, typer.Option("--json", help=JSON_HELP)]
Name = Annotated[str, typer.Option("--memory", "-m", help="Which memory.")]
Space = Annotated[str, typer.Option("--namespace", "-n", help="Whose cases.")]
EmbedderName = Annotated[str | None, typer.Option("--embedder", help="The memory's embedder; hash needs no model.")]

FOR_MANY = 2048
"""Texts that a cluster embeds before their vectors are written: enough for many workers."""


def open_memory(name: str, embedder: str | None = None, *, load: Callable[[str], Embedder] | None = None) -> CaseMemory:
    """Open the memory of the current settings.

    Args:
        load: makes an embedder from its name; None loads it in this process.
    """
    from agentkit.memory import open_cases
    from agentkit.store import Store

    settings = open_settings()
    return open_cases(Store.open(settings.database_url), name, settings=settings, embedder=embedder, load=load)


def open_kept(name: str, embedder: str | None = None) -> CaseMemory:
    """Open a memory that already exists, for commands that need no vectors. A named embedder must be the memory's own.

    Raises:
        UserError: there is no memory of that name.
    """
    from agentkit.errors import UserError
    from agentkit.memory.opening import stored_cases

    found = stored_cases(open_store(), name) if embedder is None else open_memory(name, embedder)
    if found is None:
        raise UserError(f"there is no memory {name!r} yet; see  agentkit memory import")
    return found


def _row(case: Case) -> dict[str, Any]:
    return {**case.to_json(), "seq": case.seq, "outcome": case.outcome}


def _table(rows: list[JsonObject]) -> None:
    first = ("score",) if rows and "score" in rows[0] else ()
    names = (*first, "id", "outcome", "status", "source", "state")
    print_table(names, [[_status(row) if name == "status" else _cell(row[name]) for name in names] for row in rows])


def _status(row: dict[str, Any]) -> str:
    return "not vouched for" if row["status"] == "active" and not row["trusted"] else str(row["status"])


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)[:80]


@app.command()
def ls(
    memory: Name = "default",
    namespace: Space = "default",
    embedder: EmbedderName = None,
    limit: Annotated[int, typer.Option(min=1)] = 50,
    status: Annotated[str | None, typer.Option()] = None,
    json_: Json = False,
) -> None:
    """List the newest cases."""
    from agentkit.memory.opening import stored_cases

    kept = stored_cases(open_store(), memory) if embedder is None else open_memory(memory, embedder)
    found = [] if kept is None else kept.list(namespace=namespace, limit=limit, status=status)
    emit([_row(case) for case in found], json_=json_, human=_table)


@app.command()
def search(
    text: str,
    memory: Name = "default",
    namespace: Space = "default",
    embedder: EmbedderName = None,
    k: Annotated[int, typer.Option("-k", help="At most this many.")] = 4,
    policy: Annotated[str, typer.Option(help="The retrieval policy.", autocompletion=completion.policies)] = "fused",
    json_: Json = False,
) -> None:
    """List the cases that a policy would choose for a state."""
    from agentkit.errors import UserError
    from agentkit.memory import Filters

    opened, filters = open_memory(memory, embedder), Filters(namespace=namespace)
    if not opened.count(namespace=namespace):
        raise UserError(f"memory {memory!r} has no cases in namespace {namespace!r}; see  agentkit memory import")
    hits = opened.search(text, k, filters=filters, policy=policy)
    emit([{"score": hit.score, **_row(hit.case)} for hit in hits], json_=json_, human=_table)


@app.command()
def show(
    id: str, memory: Name = "default", namespace: Space = "default", embedder: EmbedderName = None, json_: Json = False
) -> None:
    """Show one case in full, with its measured effect."""
    from agentkit.memory.credit import credits
    from agentkit.memory.policy_store import PolicyStore

    opened = open_kept(memory, embedder)
    case = opened.get(id, namespace=namespace)
    log = PolicyStore(opened.store, memory).log
    with opened.store.read() as connection:
        recalls = [recall for recall in log.learnt(connection) if recall.namespace == namespace]
    credit = credits(recalls).get(case.id)
    data = {**_row(case), "credit": None if credit is None else vars(credit)}
    emit(data, json_=json_, human=lambda d: print_table(("field", "value"), list(d.items())))


@app.command()
def add(
    state: str,
    plan: str,
    memory: Name = "default",
    namespace: Space = "default",
    embedder: EmbedderName = None,
    reward: Annotated[float | None, typer.Option(help="From 0 to 1. Default: unknown.")] = None,
    source: Annotated[str, typer.Option()] = "person",
    json_: Json = False,
) -> None:
    """Store a case by hand."""
    from agentkit.memory import Case

    given = Case(
        state=state,
        plan=plan,
        reward=reward,
        channel="" if reward is None else "user",
        namespace=namespace,
        source=source,
    )
    case = open_memory(memory, embedder).add(given)
    emit(_row(case), json_=json_, human=lambda row: note(f"stored {row['id']}"))


@app.command()
def forget(
    memory: Name = "default",
    namespace: Space = "default",
    embedder: EmbedderName = None,
    source: Annotated[str | None, typer.Option(help="Remove everything from this source, in every namespace.")] = None,
    days: Annotated[int | None, typer.Option(min=0, help="Remove cases older than this many days.")] = None,
    below: Annotated[float | None, typer.Option(help="Remove cases with a reward below this.")] = None,
    keep: Annotated[int | None, typer.Option(min=0, help="Keep only this many cases, the most valuable.")] = None,
    json_: Json = False,
) -> None:
    """Remove cases: everything from one source, including its part in the policy; or by age, reward or number."""
    import datetime as dt

    from agentkit.errors import UserError
    from agentkit.memory.trust import forget as work
    from agentkit.memory.upkeep import evict

    rules = (days, below, keep)
    if (source is None) == all(rule is None for rule in rules):
        raise UserError("name what to forget: --source, or any of --days, --below and --keep")
    opened = open_kept(memory, embedder)
    if source is not None:
        receipt = work(opened, source).to_json()
    else:
        age = None if days is None else dt.timedelta(days=days)
        receipt = {"cases": evict(opened, namespace=namespace, older_than=age, below=below, keep=keep), "derived": 0}
    emit(receipt, json_=json_, human=lambda r: note(f"removed {r['cases']} cases and {r['derived']} made from them"))


@app.command()
def consolidate(
    memory: Name = "default",
    namespace: Space = "default",
    embedder: EmbedderName = None,
    likeness: Annotated[float, typer.Option(min=0, max=1, help="Cosine similarity from which cases merge.")] = 0.97,
    undo: Annotated[str | None, typer.Option(help="Split this prototype into its cases again.")] = None,
    json_: Json = False,
) -> None:
    """Merge near-duplicates into prototypes that name their sources, and retire cases that have since been solved
    better."""
    from agentkit.memory import upkeep

    opened = open_memory(memory, embedder)
    if undo is not None:
        count = upkeep.undo(opened, undo, namespace=namespace)
        emit({"restored": count}, json_=json_, human=lambda r: note(f"restored {r['restored']} cases"))
        return
    retired = upkeep.supersede(opened, namespace=namespace)
    made = [case.id for case in upkeep.consolidate(opened, namespace=namespace, likeness=likeness)]
    emit(
        {"prototypes": made, "retired": retired},
        json_=json_,
        human=lambda r: note(f"{len(r['prototypes'])} prototypes, {r['retired']} cases retired"),
    )


@app.command()
def release(
    ids: Annotated[list[str] | None, typer.Argument(help="Cases.")] = None,
    memory: Name = "default",
    namespace: Space = "default",
    embedder: EmbedderName = None,
    source: Annotated[str | None, typer.Option(help="All cases from this source.")] = None,
    reward: Annotated[float | None, typer.Option(min=0, max=1, help="Their reward.")] = None,
    json_: Json = False,
) -> None:
    """Vouch for cases that wait in quarantine or came from a file, so that runs may see them."""
    from agentkit.errors import UserError
    from agentkit.memory.trust import release as work

    if not ids and source is None:
        raise UserError("name the cases to release, or --source")
    count = work(open_kept(memory, embedder), ids or (), source=source, namespace=namespace, reward=reward)
    if not count:
        raise UserError(f"none of these cases waits for approval; see  agentkit memory ls --memory {memory}")
    emit({"released": count}, json_=json_, human=lambda r: note(f"released {r['released']}"))


@app.command()
def train(
    memory: Name = "default", namespace: Space = "default", embedder: EmbedderName = None, json_: Json = False
) -> None:
    """Replay the policy from its log and fit the parametric head."""
    from agentkit.memory.training import train as work

    result = work(open_memory(memory, embedder), namespace=namespace)
    emit(result, json_=json_, human=lambda r: note(f"trained on {r['outcomes']} outcomes: version {r['version']}"))


@app.command()
def stats(
    memory: Name = "default",
    embedder: EmbedderName = None,
    json_: Json = False,
    picture: Annotated[
        Path | None, typer.Option(help="Where to write a map of the cases and the learning curve (PNG).")
    ] = None,
) -> None:
    """Show how many cases there are, where they come from, and what the policy has learned."""
    from agentkit.memory.reports import summary

    opened = open_memory(memory, embedder)
    if picture is not None:
        from agentkit.memory.picture import draw

        draw(opened, picture)
    emit(summary(opened), json_=json_, human=lambda d: print_table(("", ""), list(d.items()), title=memory))


@app.command("export")
def export_(
    path: Annotated[Path | None, typer.Argument(help="The file to write. Default: standard output.")] = None,
    memory: Name = "default",
    namespace: Space = "default",
    embedder: EmbedderName = None,
) -> None:
    """Write cases as JSON lines."""
    from agentkit.curation.export.content import writing
    from agentkit.memory.transfer import export_cases

    lines = export_cases(open_kept(memory, embedder), namespace=namespace)
    if path is None:
        for line in lines:
            say(line)
    else:
        with writing(path) as stream:
            stream.writelines(line + "\n" for line in lines)


@app.command("import")
def import_(
    path: Path,
    memory: Name = "default",
    embedder: EmbedderName = None,
    namespace: Annotated[
        str | None, typer.Option("-n", "--namespace", help="Use this namespace instead of the lines' own.")
    ] = None,
    trust: Annotated[bool, typer.Option("--trust", help="Believe what the file says about its cases.")] = False,
    ray: Ray = None,
    workers: Workers = None,
    json_: Json = False,
) -> None:
    """Store the cases of a JSON-lines file, all or none; AgentFly's case banks can be read directly.

    Without --trust, whatever the file says, you can find the cases but no run sees them until  agentkit memory release.
    """
    from agentkit.memory.transfer import import_cases, read_cases

    there = Elsewhere(ray=ray, workers=workers)
    read_cases(path, namespace=namespace)  # check the file before a database is created
    with there.embedders(open_settings()) as load:
        opened = open_memory(memory, embedder, load=load)
        count = import_cases(opened, path, namespace=namespace, trust=trust)
    held = "" if trust else "; no run is shown them until you vouch for them: agentkit memory release --source import"
    emit({"imported": count}, json_=json_, human=lambda r: note(f"imported {r['imported']} cases{held}"))


@app.command()
def verify(memory: Name = "default", embedder: EmbedderName = None, json_: Json = False) -> None:
    """Check rows, vectors, index files, policy and ledger against each other."""
    from agentkit.errors import IntegrityError
    from agentkit.memory.transfer import verify as work

    result = work(open_memory(memory, embedder))
    if result["problems"]:
        raise IntegrityError("; ".join(result["problems"]))
    emit(result, json_=json_, human=lambda r: note(f"{r['cases']} cases, {r['versions']} versions: no problems found"))


@app.command()
def rebuild(
    memory: Name = "default",
    json_: Json = False,
    embedder: Annotated[str | None, typer.Option(help="Embed again with another embedder.")] = None,
    ray: Ray = None,
    workers: Workers = None,
) -> None:
    """Rebuild the index files from the rows; with --embedder, embed again beside the old vectors, then switch."""
    from agentkit.errors import UserError
    from agentkit.memory.mirror import BATCH
    from agentkit.memory.upkeep import reembed

    there, settings = Elsewhere(ray=ray, workers=workers), open_settings()
    if ray is not None and embedder is None:
        raise UserError("--ray goes with --embedder: without it nothing is embedded again")
    with there.embedders(settings) as load:
        if embedder is None:
            opened = open_memory(memory)
        else:
            at_once = BATCH if ray is None else FOR_MANY
            opened = reembed(memory, open_store(), load(embedder), home=settings.home, batch=at_once)
        opened.mirror.rebuild()
        opened.save()
    emit(
        {"cases": opened.count(), "embedder": opened.embedder.name},
        json_=json_,
        human=lambda r: note(f"rebuilt {r['cases']} cases with {r['embedder']}"),
    )
