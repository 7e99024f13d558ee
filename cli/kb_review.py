"""`agentkit kb review`, `correct`, `add`, `verifier`: people's decisions about claims, and what is learnt from them."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentkit.cli.kb_shared import JSON, NAME, in_text, open_named, print_claims
from agentkit.cli.output import emit, note, open_settings, print_table, say
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.curation.kb.corrections import Correction, Written
    from agentkit.curation.kb.knowledge_base import KnowledgeBase
    from agentkit.curation.kb.review import Waiting

app = typer.Typer()
REVIEWER = typer.Option(None, help="Who decides. Default: your user name.")
Ends = Annotated[str, typer.Option(help="By its label or identifier.")]
Values = Annotated[list[str] | None, typer.Option("--set", help="A qualifier, NAME=VALUE; an empty value removes it.")]


@app.command()
def review(
    name: str = NAME,
    limit: int | None = typer.Option(None, min=1),
    reviewer: str | None = REVIEWER,
    by: str = typer.Option("doubt", help="doubt: most likely wrong first; disagreement: most disputed first."),
    list_: bool = typer.Option(False, "--list", help="Print the queue instead of asking."),
    json_: bool = JSON,
) -> None:
    """Decide on claims: a accepts, r rejects, c corrects, s skips, n adds a note, q quits. The knowledge base learns
    from it."""
    from agentkit.curation.kb.review import queue
    from agentkit.curation.learning.decisions import doubts, learn_decisions
    from agentkit.errors import UserError

    if by not in ("doubt", "disagreement"):
        raise UserError(f"--by takes doubt or disagreement, not {by!r}")
    with open_named(name) as kb:
        if not (list_ or json_):
            learn_decisions(kb)  # those made in the browser
        waiting = queue(kb, limit=limit, doubts=doubts if by == "doubt" else None)
        if list_ or json_:
            emit([item.to_json() for item in waiting], json_=json_, human=print_claims)
            return
        done = _ask_all(kb, waiting, reviewer or getpass.getuser())
        if done:
            learn_from(kb)
    say(f"{done} decided")


def learn_from(kb: KnowledgeBase) -> None:
    """Learn from the decisions made so far, and say what came of it."""
    from agentkit.curation.learning.reviews import learn_reviews

    learnt = learn_reviews(kb, settings=open_settings())
    done, version = learnt.context, f"learnt: verifier:{kb.name} version {learnt.verifier}"
    if learnt.problem:
        note(f"{version}; no cases kept: {learnt.problem}")
        return
    told = (("new case", done.cases), ("new lesson", done.lessons), ("taken back", done.taken_back))
    counts = [f"{count} {what}{'s' if count > 1 and what.startswith('new') else ''}" for what, count in told if count]
    note(", ".join([version, *counts]))


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
        if key in ("a", "r") or (key == "c" and _corrected(kb, item, reviewer, text)):
            done, text = done + 1, ""
    return done


def _corrected(kb: KnowledgeBase, item: Waiting, reviewer: str, text: str) -> bool:
    """Ask for each part of a claim, where an empty line keeps it; returns whether the claim was corrected."""
    from agentkit.curation.kb.corrections import Correction, correct
    from agentkit.errors import UserError

    asked = {"subject": item.subject, "predicate": item.record.claim.predicate, "object": item.object, "quote": ""}
    told = {part: _line(f"{part}{f' [{now}]' if now else ' [as it is]'}: ") for part, now in asked.items()}
    values = _line("qualifiers, NAME=VALUE, separated by ; [as they are]: ")
    try:
        change = Correction(**told, qualifiers=_values([part.strip() for part in values.split(";") if part.strip()]))
        _say_written(correct(kb, item.record.claim.id, change, reviewer=reviewer, note=text))
    except UserError as error:
        say(str(error))
        return False
    return True


def _print_waiting(item: Waiting, position: int, total: int) -> None:
    claim = item.record.claim
    told = ", ".join(f"{key}: {value}" for key, value in claim.qualifiers.items())
    likely = "" if item.likely is None else f"acceptable with probability {item.likely:.2f}, "
    say(f"\n[{position}/{total}] {item.subject} —{claim.predicate}→ {item.object}  {told}")
    say(f"{claim.status}, {likely}disagreement {item.disagreement:.2f}. {claim.reason}")
    for evidence in claim.evidence:
        say(f"  {in_text(evidence.prefix, evidence.quote, evidence.suffix)}")


def _key() -> str:
    """Read one key of a r c s n q. From a pipe, take the first letter of a line; the end of the pipe is q."""
    import click

    while True:
        say("[a]ccept [r]eject [c]orrect [s]kip [n]ote [q]uit? ", nl=False)
        try:
            key = click.getchar(echo=True)[:1].lower() if sys.stdin.isatty() else _piped()
        except EOFError:
            return "q"
        say()
        if key in ("a", "r", "c", "s", "n", "q"):
            return key


def _piped() -> str:
    line = sys.stdin.readline()
    return line.strip()[:1].lower() or ("q" if not line else "s")


def _line(prompt: str) -> str:
    say(prompt, nl=False)
    return sys.stdin.readline().strip()


@app.command()
def correct(
    claim: str = typer.Argument(..., help="A claim's id, or a prefix of it."),
    name: str = NAME,
    subject: Ends = "",
    predicate: Annotated[str, typer.Option(help="Another relation.")] = "",
    object_: Annotated[str, typer.Option("--object", help="By its label or identifier.")] = "",
    quote: Annotated[str, typer.Option(help="Another quote, word for word from the paper.")] = "",
    values: Values = None,
    note_: Annotated[str, typer.Option("--note", help="Why.")] = "",
    reviewer: str | None = REVIEWER,
    json_: bool = JSON,
) -> None:
    """Correct a claim: the old one is rejected, the new one accepted, and the knowledge base learns from it."""
    from agentkit.curation.kb.corrections import correct as write

    change = _correction(subject, predicate, object_, quote, values)
    with open_named(name) as kb:
        made = write(kb, claim, change, reviewer=reviewer or getpass.getuser(), note=note_)
        learn_from(kb)
    _emit_written(made, json_=json_)


@app.command()
def add(
    name: str = NAME,
    paper: Annotated[str, typer.Option(help="The paper: its id, file, or PMID.")] = "",
    subject: Ends = "",
    predicate: Annotated[str, typer.Option(help="The relation.")] = "",
    object_: Annotated[str, typer.Option("--object", help="By its label or identifier.")] = "",
    quote: Annotated[str, typer.Option(help="The quote, word for word from the paper.")] = "",
    values: Values = None,
    note_: Annotated[str, typer.Option("--note", help="Why.")] = "",
    reviewer: str | None = REVIEWER,
    json_: bool = JSON,
) -> None:
    """Add a claim that the machine missed; it is accepted as written."""
    from agentkit.curation.kb.corrections import add as write

    change = _correction(subject, predicate, object_, quote, values)
    with open_named(name) as kb:
        made = write(kb, paper, change, reviewer=reviewer or getpass.getuser(), note=note_)
        learn_from(kb)
    _emit_written(made, json_=json_)


def _correction(subject: str, predicate: str, object_: str, quote: str, values: list[str] | None) -> Correction:
    """A correction from a command's options."""
    from agentkit.curation.kb.corrections import Correction

    return Correction(
        subject=subject, predicate=predicate, object=object_, quote=quote, qualifiers=_values(values or [])
    )


def _values(given: list[str]) -> dict[str, str]:
    from agentkit.errors import UserError

    wrong = next((text for text in given if "=" not in text), None)
    if wrong is not None:
        raise UserError(f"a qualifier is NAME=VALUE, not {wrong!r}")
    pairs = (text.partition("=") for text in given)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _emit_written(made: Written, *, json_: bool) -> None:
    data = {"claim": made.claim.to_json(), "objection": made.objection}
    emit(data, json_=json_, human=lambda _: _say_written(made))


def _say_written(made: Written) -> None:
    say(f"accepted: {made.claim.id}")
    if made.objection:
        say(f"but the checks object: {made.objection}")


@app.command()
def verifier(
    name: str = NAME,
    rollback: int | None = typer.Option(None, min=0, help="Go back to this version; 0 has the hand-set weights."),
    relearn: bool = typer.Option(False, "--relearn", help="Fit it again, even after a rollback."),
    picture: Annotated[Path | None, typer.Option(help="Where to write the risk–coverage plot (PNG or SVG).")] = None,
    json_: bool = JSON,
) -> None:
    """Show the model that predicts whether a person would accept a claim: how much it has learnt, and its errors by
    coverage."""
    from agentkit.curation.learning.decisions import learn_decisions, progress
    from agentkit.curation.learning.store import VerifierStore

    with open_named(name) as kb:
        store = VerifierStore(kb.store, kb.name)
        if rollback is not None:
            store.rollback(rollback, reason="decided by a person")
        elif relearn:
            learn_decisions(kb, again=True)
        data = progress(kb).to_json() | {"weights": dict(store.current().verifier.weights)}
    if picture is not None:
        _draw(data, picture)
    emit(data, json_=json_, human=_print_verifier)


def _draw(data: JsonObject, path: Path) -> None:
    from agentkit.curation.learning.picture import draw_risk
    from agentkit.errors import UserError

    if data["picture"] is None:
        raise UserError("too few decisions for a plot: review more claims first")
    draw_risk(data["picture"], path)
    note(f"picture → {path}")


def _print_verifier(data: JsonObject) -> None:
    say(learnt_line(data))
    if data["picture"]:
        rows = [
            [f"{p['coverage']:.0%}", f"{p['threshold']:.2f}", f"{1 - p['accuracy']:.2f}", p["n"]]
            for p in data["picture"]["points"]
        ]
        print_table(["most likely", "from", "rejected", "claims"], rows)
    weights = sorted(data["weights"].items(), key=lambda item: -abs(item[1]))
    print_table(["signal", "weight"], [[key, f"{value:+.2f}"] for key, value in weights])


def learnt_line(data: JsonObject) -> str:
    """How much was learnt, in one line."""
    text = f"version {data['version']}, {data['decisions']} decisions ({data['accepted']} accepted)"
    if data["auroc"] is None or data["gain"] is None:
        return f"{text}; too few of each kind to measure what was learned"
    gain, low, high = data["gain"]
    return f"{text}; AUROC {data['auroc']:.2f}, {gain:+.2f} by learning (95 %: {low:+.2f} to {high:+.2f})"
