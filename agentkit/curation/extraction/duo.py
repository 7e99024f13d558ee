"""The duo: explorer and evaluator on one question, until the answer is stable or the rounds are used up.

As in LLM-Duo the evaluator works in two modes: on the reasons of an answer (rationality), or on what a list leaves out
(completeness). Unlike there it sees the quotes in the text around them, and quotes are first checked by machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pydantic import BaseModel

from agentkit.curation.claims import Claim, Entity, Evidence
from agentkit.curation.documents import Document
from agentkit.curation.evidence import find_quote, verify
from agentkit.curation.extraction.answers import MAX_ITEMS, Completeness, answer_schema, evaluation_schema
from agentkit.curation.extraction.descriptions import is_description, shorter_names
from agentkit.curation.extraction.passages import naming_any, saying_direction, sentences
from agentkit.curation.extraction.prompts import (
    Question,
    Shown,
    evaluator_messages,
    explorer_messages,
    revision_messages,
)
from agentkit.curation.kb.records import Record
from agentkit.curation.language.sentences import window
from agentkit.json_types import JsonObject
from agentkit.models.caller import Caller


class Naming(Protocol):
    """Turns names into entities; `grounding.Grounders` is one."""

    def entity(self, name: str, kind: str, document: Document | None = None) -> Entity: ...

    def names(self, name: str, kind: str, document: Document | None = None) -> tuple[str, ...]: ...


@dataclass(frozen=True, kw_only=True)
class Duo:
    """How the two work together.

    Attributes:
        explorer, evaluator: their callers; no evaluator is a single pass (with quotes still checked).
        max_rounds: answers the explorer may give.
        around: sentences around a quote that may carry the claim too.
        evaluator_vetoes: whether what the evaluator still objects to at the end counts as unsupported.
        max_items: the longest list that one answer may hold.
    """

    explorer: Caller
    evaluator: Caller | None = None
    max_rounds: int = 2
    around: int = 0
    evaluator_vetoes: bool = True
    max_items: int = MAX_ITEMS


@dataclass(frozen=True, kw_only=True)
class Item:
    """One item of an answer, with what the machine found out about it.

    Attributes:
        subject, value: entities; the subject is None for a root.
        evidence: where the quote stands; None where it doesn't.
        problem: why the quote does not carry the item; empty where it does.
        shorter: names that the paper uses, for a thing that relations start from and that was called by a description.
        holds, sure: the evaluator's verdict, None before it gave one.
    """

    subject: Entity | None
    value: Entity
    quote: str
    qualifiers: JsonObject = field(default_factory=dict)
    reason: str = ""
    evidence: Evidence | None = None
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problem: str = ""
    shorter: tuple[str, ...] = ()
    holds: bool | None = None
    sure: float | None = None
    objection: str = ""

    @property
    def identity(self) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        """What it says, whatever the quote."""
        told = tuple(sorted((name, str(value)) for name, value in self.qualifiers.items()))
        return (self.subject.id if self.subject else "", self.value.id, told)

    @property
    def confidence(self) -> float | None:
        if self.holds is None or self.sure is None:
            return None
        return self.sure if self.holds else 1 - self.sure


@dataclass(frozen=True, kw_only=True)
class QuestionOutcome:
    """What came out of a question: its items, how many rounds it took, and whether the last two answers agreed."""

    items: tuple[Item, ...]
    rounds: int
    stable: bool


async def curate_item(
    question: Question, subjects: Sequence[Entity], duo: Duo, naming: Naming, *, scope: str
) -> QuestionOutcome:
    """Ask, check, and ask again.

    Args:
        subjects: the entities of `question.subjects`, in the same order.
        scope: where the calls belong; a call made there before is taken from the journal.
    """
    quotes = _quotes(question, subjects, naming) if duo.explorer.constrained else ()
    messages = explorer_messages(question)
    schema = _schema(question, duo, quotes)
    reply = await duo.explorer.call(messages, schema=schema, role="explorer", scope=scope)
    items = _read(reply.parsed, question, subjects, duo, naming)
    covered: list[str] = []
    # A round is an evaluation and, where it objects, another answer. The machine's checks are part of `_read`: what
    # they find wrong is an objection like the evaluator's, and costs no call.
    for round_ in range(1, duo.max_rounds + 1):
        items, missing = await _evaluate(question, items, covered, duo, scope)
        objections = _objections(items, missing)
        if not objections or round_ == duo.max_rounds:
            return QuestionOutcome(items=tuple(items), rounds=round_, stable=not objections)
        answer = reply.parsed.model_dump_json()
        messages = explorer_messages(question) + revision_messages(answer, objections, question.step.mode)
        schema = _narrowed(question, duo, quotes, items, missing)
        reply = await duo.explorer.call(messages, schema=schema, role="explorer", scope=scope)
        revised = _read(reply.parsed, question, subjects, duo, naming)
        if question.step.mode == "completeness":  # a second list names what was missing and may forget what was right
            revised = _union(items, revised)
        if {(*i.identity, i.quote) for i in revised} == {(*i.identity, i.quote) for i in items}:
            return QuestionOutcome(items=tuple(items), rounds=round_ + 1, stable=True)  # it defends its answer
        items = revised
    raise AssertionError("unreachable")


def _schema(question: Question, duo: Duo, quotes: Sequence[str], values: Sequence[str] = ()) -> type[BaseModel]:
    return answer_schema(
        question.step,
        subjects=question.subjects if len(question.subjects) > 1 else (),
        value=question.value,
        given=[name for name, _ in question.given],
        most=duo.max_items,
        quotes=quotes,
        values=values,
    )


def _narrowed(
    question: Question, duo: Duo, quotes: Sequence[str], items: Sequence[Item], missing: Sequence[str]
) -> type[BaseModel]:
    """The schema of a second answer. A model that can be held to it quotes only sentences that name what it listed or
    misses, and where it called a thing by a description, it chooses among the names that were good or offered."""
    if not duo.explorer.constrained:
        return _schema(question, duo, ())
    values = [*missing, *(name for item in items for name in item.shorter or (item.value.label,))]
    called = [name for item in items for name in item.names.get(item.value.id, ())]
    chosen = values if any(item.shorter for item in items) else ()
    return _schema(question, duo, naming_any(quotes, [*called, *values], question.document), chosen)


def _quotes(question: Question, subjects: Sequence[Entity], naming: Naming) -> tuple[str, ...]:
    """The sentences that can carry a claim about the subjects, for a model that can be held to them: those that say a
    direction, where the claim has one, and name a subject, unless one is called by a description, which a paper seldom
    says twice, or the asker gave both ends."""
    document, relation = question.document, question.step.relation
    described = any(is_description(item.label, document) for item in subjects)
    named = () if described or question.value is not None else subjects
    names = [name for item in named for name in naming.names(item.label, item.cls, document)]
    offered = naming_any(sentences(document, question.paper), names, document)
    return saying_direction(offered) if relation is not None and relation.directed else offered


def _read(parsed: Any, question: Question, subjects: Sequence[Entity], duo: Duo, naming: Naming) -> list[Item]:
    """The items of an answer, each checked by machine; the same statement twice is one."""
    by_name = dict(zip(question.subjects, subjects, strict=True))
    found: dict[Any, Item] = {}
    for raw in parsed.items:
        data = raw.model_dump()
        name = str(question.value if question.value is not None else data["value"]).strip()
        if not name:
            continue
        subject = by_name.get(data.get("subject", question.subjects[0] if question.subjects else ""))
        value = _value(question, name, naming)
        qualifiers = dict(question.given) | _qualifiers(question, data)
        quote = str(data["quote"]).replace("\u200b", "").strip()
        item = Item(subject=subject, value=value, quote=quote, qualifiers=qualifiers, reason=data.get("reason", ""))
        found.setdefault((*item.identity, quote), _checked(item, name, question, duo, naming))
    return list(found.values())


def _value(question: Question, name: str, naming: Naming) -> Entity:
    """Things are grounded; a permissible value or a literal stands for itself."""
    concept = question.step.concept
    if concept.kind == "entity":
        return naming.entity(name, concept.name, question.document)
    meaning = next((v.meaning for v in concept.values if v.name == name and v.meaning), "")
    return Entity.named(name, concept.name, (meaning,) if ":" in meaning else (), groundable=True)


def _qualifiers(question: Question, data: JsonObject) -> JsonObject:
    relation = question.step.relation
    given = {name for name, _ in question.given}
    names = [q.name for q in relation.qualifiers if q.name not in given] if relation is not None else []
    return {name: data[name] for name in names if data.get(name) not in ("", None)}


def _checked(item: Item, name: str, question: Question, duo: Duo, naming: Naming) -> Item:
    evidence = find_quote(question.document, item.quote)
    names = _names(item, name, question, naming)
    if evidence is None:
        return replace(item, names=names, problem=f"the quote is not in the paper: {item.quote[:120]!r}")
    item = replace(item, evidence=evidence, names=names)
    if item.subject is None:
        described = question.step.concept.kind == "entity" and is_description(name, question.document)
        return replace(item, shorter=shorter_names(name, question.document)) if described else item
    relation = question.step.relation
    asserting = None if relation is None else relation.asserting
    verdict = verify(_claim(item, question), question.document, names, around=duo.around, asserting=asserting)
    return replace(item, problem="" if verdict.supported else verdict.reason)


def _names(item: Item, name: str, question: Question, naming: Naming) -> dict[str, tuple[str, ...]]:
    """The words that may name the two ends in the quote: as found in the paper, and what they are called elsewhere."""
    concept = question.step.concept
    if concept.kind == "entity":
        names = {item.value.id: naming.names(name, concept.name, question.document)}
    else:
        aliases = next((v.aliases for v in concept.values if v.name == name), ())
        names = {item.value.id: (name, *aliases)}
    if item.subject is not None:
        label = item.subject.label
        names[item.subject.id] = naming.names(label, item.subject.cls, question.document)
    return names


def _claim(item: Item, question: Question) -> Claim:
    assert item.subject is not None
    return Claim(
        subject=item.subject.id,
        predicate=question.step.key,
        object=item.value.id,
        document=question.document.id,
        qualifiers=item.qualifiers,
        evidence=(item.evidence,) if item.evidence is not None else (),
    )


async def _evaluate(
    question: Question, items: list[Item], covered: list[str], duo: Duo, scope: str
) -> tuple[list[Item], list[str]]:
    """The evaluator's verdicts on items whose quotes stand in the paper, and what it misses."""
    shown = [index for index, item in enumerate(items) if item.evidence is not None]
    if duo.evaluator is None or not shown:
        return items, []
    views = [_shown(items[index], question) for index in shown]
    messages = evaluator_messages(question, views, covered)
    schema = evaluation_schema(question.step.mode)
    parsed = (await duo.evaluator.call(messages, schema=schema, role="evaluator", scope=scope)).parsed
    for judgement in parsed.judgements:
        if 1 <= judgement.item <= len(shown):
            at = shown[judgement.item - 1]
            items[at] = replace(
                items[at],
                holds=judgement.holds,
                sure=judgement.sure / 100,
                objection="" if judgement.holds else judgement.reason or "it does not hold",
            )
    covered += [name for item in items if (name := item.value.label) not in covered]
    known = {name.casefold() for name in covered}
    missing = parsed.missing if isinstance(parsed, Completeness) else []
    return items, [name for name in missing if name.strip() and name.casefold() not in known]


def _shown(item: Item, question: Question) -> Shown:
    assert item.evidence is not None
    text, start, end = question.document.text, item.evidence.start, item.evidence.end
    left, right = window(text, start, end, 1)
    passage = f"{text[left:start]}>>{text[start:end]}<<{text[end:right]}"
    told = "; ".join(f"{name}: {value}" for name, value in item.qualifiers.items())
    relation = f"{item.subject.label} — {question.step.key} → " if item.subject is not None else ""
    statement = f"{relation}{item.value.label}" + (f" ({told})" if told else "")
    reason = f"\nreason given: {item.reason}" if item.reason else ""
    return Shown(statement=statement + reason, passage=passage)


def _objections(items: Sequence[Item], missing: Sequence[str]) -> list[str]:
    lines = []
    for item in items:
        problem = item.problem or item.objection
        if item.shorter and not problem:
            problem = f"a description; the paper's own names: {', '.join(item.shorter)}"
        if problem:
            lines.append(f"{item.value.label}: {problem}")
    return lines + [f"missing: {name}" for name in missing]


def _union(old: Sequence[Item], new: Sequence[Item]) -> list[Item]:
    """The new list, with the old items that were right and are not in it again, nor by one of their shorter names."""
    said, named = {item.identity for item in new}, {item.value.label for item in new}
    right = [i for i in old if not i.problem and i.holds is not False]
    return [*(i for i in right if i.identity not in said and named.isdisjoint(i.shorter)), *new]


def records_of(outcome: QuestionOutcome, question: Question, duo: Duo, *, run_id: str, model: str) -> list[Record]:
    """The claims of an outcome: one a statement, its quotes together, supported or not and why."""
    groups: dict[Any, list[Item]] = {}
    for item in outcome.items:
        if item.subject is not None:
            groups.setdefault(item.identity, []).append(item)
    return [_record(group, question, duo, outcome, run_id, model) for group in groups.values()]


def _record(
    group: Sequence[Item], question: Question, duo: Duo, outcome: QuestionOutcome, run_id: str, model: str
) -> Record:
    ordered = sorted(group, key=lambda item: bool(item.problem or (duo.evaluator_vetoes and item.holds is False)))
    best = ordered[0]
    evidence = tuple(dict.fromkeys(item.evidence for item in ordered if item.evidence is not None))
    vetoed = duo.evaluator_vetoes and best.holds is False
    problem = best.problem or (f"the evaluator objects: {best.objection}" if vetoed else "")
    claim = replace(
        _claim(best, question),
        evidence=evidence,
        id="",
        status="unsupported" if problem else "supported",
        reason=problem,
        confidence=best.confidence,
        run_id=run_id,
        model=model,
    )
    names: dict[str, tuple[str, ...]] = {}
    for item in group:
        for key, words in item.names.items():
            names[key] = tuple(dict.fromkeys((*names.get(key, ()), *words)))
    return Record(claim=claim, names=names, disagreement=_disagreement(best, outcome))


def _disagreement(item: Item, outcome: QuestionOutcome) -> float:
    """How far the checks were apart: machine against evaluator, an unsure evaluator, an unstable answer, an ambiguous
    name."""
    machine = 0.0 if item.problem else 1.0
    judged = item.confidence if item.confidence is not None else 0.5
    parts = [abs(machine - judged), 1 - abs(2 * judged - 1)]  # they contradict each other; the evaluator is unsure
    ambiguous = item.value.ambiguous or (item.subject is not None and item.subject.ambiguous)
    return min(1.0, sum(parts) / 2 + 0.15 * (not outcome.stable) + 0.15 * ambiguous)
