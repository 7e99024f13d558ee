"""The duo: explorer and evaluator on one question, until the answer is stable or the rounds are used up.

As in LLM-Duo, the evaluator works in two modes: it judges the reasons of an answer (rationality), or what a list leaves
out (completeness). Unlike in LLM-Duo, it sees the quotes in context, and a machine check examines quotes first. Both
agents run on the state machine that solves tasks; only `DuoProgram` differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from langchain_core.messages import BaseMessage
from pydantic import BaseModel

from agentkit.curation.claims import Claim, Entity, Evidence
from agentkit.curation.documents import Document
from agentkit.curation.evidence import evidence_of, find_quote, verify
from agentkit.curation.extraction.answers import MAX_ITEMS, Completeness, answer_schema, evaluation_schema
from agentkit.curation.extraction.descriptions import is_description, shorter_names
from agentkit.curation.extraction.directions import (
    DIRECTION,
    DirectionJudge,
    DirectionVerdict,
    EffectQuestion,
    Odds,
    messages_about,
    sentences_about,
    verdict,
    words_of,
)
from agentkit.curation.extraction.passages import naming_any, saying_direction, sentences
from agentkit.curation.extraction.prompts import (
    Question,
    Shown,
    evaluator_messages,
    explorer_messages,
    question_text,
    revision_message,
)
from agentkit.curation.extraction.verdicts import form_of
from agentkit.curation.kb.records import Record
from agentkit.curation.language.direction import direction_named, directions
from agentkit.curation.language.sentences import window
from agentkit.curation.language.spelling import folded
from agentkit.curation.ontology.schema import Relation
from agentkit.graph.context import RunContext, RunOptions
from agentkit.graph.events import Event
from agentkit.graph.passing import PassLog, run_pass
from agentkit.graph.state import Outcome
from agentkit.json_types import JsonObject
from agentkit.models.caller import Caller, Reply
from agentkit.models.requests import Schema
from agentkit.protocols import Block, CallModel, Episode, Learnt, ModelReply, Step
from agentkit.roles.explorer import Approach
from agentkit.tasks import Channel, Feedback, Task


class Naming(Protocol):
    """Turns names into entities; `grounding.Grounders` is one."""

    def entity(self, name: str, kind: str, document: Document | None = None) -> Entity: ...

    def names(self, name: str, kind: str, document: Document | None = None) -> tuple[str, ...]: ...


@dataclass(frozen=True, kw_only=True)
class Duo:
    """The two agents and how they work together.

    Attributes:
        explorer, evaluator: their callers; without an evaluator there is a single pass (quotes are still checked).
        max_rounds: the most answers that the explorer may give.
        around: sentences on each side of a quote that may help to support the claim.
        evaluator_vetoes: whether an item that the evaluator still objects to at the end counts as unsupported.
        max_items: the most items in the list of one answer.
        directions: gives verdicts on the direction of effects, where the explorer's model allows it.
    """

    explorer: Caller
    evaluator: Caller | None = None
    max_rounds: int = 2
    around: int = 0
    evaluator_vetoes: bool = True
    max_items: int = MAX_ITEMS
    directions: DirectionJudge = field(default_factory=DirectionJudge)


@dataclass(frozen=True, kw_only=True)
class Item:
    """One item of an answer, with the results of the checks.

    Attributes:
        subject, value: entities; the subject is None for a root.
        evidence: the position of the quote; None if the quote is not in the paper.
        problem: why the quote does not support the item; empty if it does.
        shorter: names that the paper uses, if relations start from the entity and the answer used a description.
        holds, sure: the evaluator's verdict, or that on the direction; None until there is one.
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
        """The statement, regardless of its quote."""
        told = tuple(sorted((name, str(value)) for name, value in self.qualifiers.items()))
        return (self.subject.id if self.subject else "", self.value.id, told)

    @property
    def confidence(self) -> float | None:
        """The evaluator's probability that the item holds; None if there was no evaluation."""
        if self.holds is None or self.sure is None:
            return None
        return self.sure if self.holds else 1 - self.sure


@dataclass(frozen=True, kw_only=True)
class QuestionOutcome:
    """The outcome of a question: its items, the number of rounds, and whether the last two answers agreed."""

    items: tuple[Item, ...]
    rounds: int
    stable: bool


@dataclass(frozen=True, kw_only=True)
class Part:
    """The run that a question is part of.

    Attributes:
        run_id: the id of the run; empty if there is none.
        emit: receives the events of the state machine.
        keep: receives the outcome, in the learning node.
    """

    run_id: str = ""
    emit: Callable[[Event], None] = lambda event: None
    keep: Callable[[QuestionOutcome], Learnt] | None = None


async def curate_item(
    question: Question, subjects: Sequence[Entity], duo: Duo, naming: Naming, *, scope: str, part: Part | None = None
) -> QuestionOutcome:
    """Ask, check, and ask again: a pass of the state machine with curation's prompts, schemas and checks.

    Args:
        subjects: the entities of `question.subjects`, in the same order.
        scope: the journal scope of the calls; a call made before in this scope is taken from the journal.
        part: the run that the question belongs to.
    """
    part = part or Part()
    program: DuoProgram = DuoProgram(question, subjects, duo, naming, scope=scope)
    relation = question.step.relation
    if question.value is not None and relation is not None and duo.directions.judges(duo.explorer, relation):
        leaning = await duo.directions.leaning(relation, duo.explorer, scope=program.scope)
        if leaning is not None:
            duo = replace(duo, evaluator=None, max_rounds=1)
            program = DirectionProgram(question, subjects, duo, naming, leaning=leaning)
    callers = {"explorer": duo.explorer} | ({} if duo.evaluator is None else {"evaluator": duo.evaluator})
    context = RunContext(
        run_id=part.run_id or scope,
        task=Task(id=question.step.element, input=question_text(question), metadata={"category": question.step.key}),
        options=RunOptions(max_rounds=duo.max_rounds, max_steps=1, effort="instant", evaluate=True),
        log=PassLog(question.blocks),
        callers=callers,
        program=program,
        checker=QuoteChecker(program),
        learners=[] if part.keep is None else [_Keeper(program, part.keep)],
        emit=part.emit,
        scope=scope,
        logprobs=isinstance(program, DirectionProgram),
    )
    await run_pass(context)
    return program.outcome


class DuoProgram:
    """One question in the state machine: the prompts of explorer and evaluator, and how their replies are read.

    A round is an answer and an evaluation. The machine checks are part of reading an answer: what they find wrong is an
    objection like the evaluator's, but costs no call.
    """

    def __init__(
        self, question: Question, subjects: Sequence[Entity], duo: Duo, naming: Naming, *, scope: str = ""
    ) -> None:
        self.question, self.subjects, self.duo, self.naming = question, subjects, duo, naming
        self.scope = f"{scope}/direction"
        """The journal scope of verdicts."""
        self.items: list[Item] = []
        self.missing: list[str] = []
        self.covered: list[str] = []
        self.rounds = 0
        self.defended = False
        """Whether the last answer repeated the one before."""
        self._verdicts: dict[tuple[str, str, str], DirectionVerdict] = {}

    @cached_property
    def _quotes(self) -> tuple[str, ...]:
        """The sentences that an answer may quote; empty if the model's decoding is not restricted to them."""
        return _quotes(self.question, self.subjects, self.naming) if self.duo.explorer.constrained else ()

    @property
    def evaluation_schema(self) -> type[BaseModel]:
        return evaluation_schema(self.question.step.mode)

    @property
    def outcome(self) -> QuestionOutcome:
        """The outcome of the question so far."""
        stable = self.defended or not self.objections
        return QuestionOutcome(items=tuple(self.items), rounds=self.rounds, stable=stable)

    @property
    def objections(self) -> list[str]:
        return _objections(self.items, self.missing)

    @property
    def shown(self) -> list[int]:
        """Indices of the items that the evaluator sees: those whose quotes are in the paper."""
        return [index for index, item in enumerate(self.items) if item.evidence is not None]

    def answer_form(self, task: Task, work: Approach) -> Schema:
        if not self.rounds:
            return _schema(self.question, self.duo, self._quotes)
        return _narrowed(self.question, self.duo, self._quotes, self.items, self.missing)

    def explorer_messages(self, task: Task, blocks: Sequence[Block], work: Approach) -> list[BaseMessage]:
        return explorer_messages(self.question)

    def read_answer(self, task: Task, reply: ModelReply, work: Approach) -> str:
        """Read the items of the answer, and check each by machine."""
        found = [self._directed(i) for i in _read(reply.parsed, self.question, self.subjects, self.duo, self.naming)]
        if self.rounds and self.question.step.mode == "completeness":
            found = _union(self.items, found)  # a second list names what was missing and may forget what was right
        same = {(*i.identity, i.quote) for i in found} == {(*i.identity, i.quote) for i in self.items}
        self.defended = bool(self.rounds) and same
        if not self.defended:
            self.items, self.missing = found, []
        self.rounds += 1
        return str(reply.parsed.model_dump_json())

    async def decide_directions(self) -> None:
        """Have the direction of each new effect decided by a verdict of its own, if the explorer's model allows it."""
        judge, caller, relation = self.duo.directions, self.duo.explorer, self.question.step.relation
        if relation is None or self.question.value is not None or not judge.judges(caller, relation):
            return
        for place, item in enumerate(self.items):
            if item.subject is None or item.evidence is None or item.holds is not None:
                continue
            told = await judge.judge(_effect(item, self.question, relation), caller, scope=self.scope)
            if told is not None:
                self.items[place] = directed = _with_direction(item, told, self.question, self.duo)
                self._verdicts |= {_effect_key(item): told, _effect_key(directed): told}

    def _directed(self, item: Item) -> Item:
        """The item with the direction that a verdict gave it, if there is one, and a quote that supports it."""
        told = self._verdicts.get(_effect_key(item))
        return item if told is None else _with_direction(item, told, self.question, self.duo)

    def evaluator_messages(self, task: Task, answer: str, steps: Sequence[Step], round: int) -> list[BaseMessage]:
        views = [_shown(self.items[index], self.question) for index in self.shown]
        return evaluator_messages(self.question, views, self.covered)

    def read_evaluation(self, parsed: Any) -> tuple[Outcome, Feedback]:
        """Read the evaluator's verdicts, and what it finds missing; the score is the share of items that hold."""
        shown = self.shown
        self.items = _judged(self.items, parsed.judgements, shown)
        self.covered += [name for item in self.items if (name := item.value.label) not in self.covered]
        known = {name.casefold() for name in self.covered}
        told = parsed.missing if isinstance(parsed, Completeness) else []
        self.missing = [name for name in told if name.strip() and name.casefold() not in known]
        holding = sum(self.items[index].holds is not False for index in shown) / len(shown)
        objections = self.objections
        said = Feedback(channel="judge", score=holding, text="\n".join(objections) or "nothing to object")
        return ("revise" if objections else "accept"), said

    def revision_message(self, objection: str) -> BaseMessage:
        return revision_message(self.objections, self.question.step.mode)


class DirectionProgram(DuoProgram):
    """A question about an effect whose ends are known: a verdict on its direction is the whole answer."""

    def __init__(
        self, question: Question, subjects: Sequence[Entity], duo: Duo, naming: Naming, *, leaning: Odds
    ) -> None:
        super().__init__(question, subjects, duo, naming)
        relation, value = question.step.relation, str(question.value)
        assert relation is not None
        self._item = Item(
            subject=subjects[0], value=_value(question, value, naming), quote="", qualifiers=dict(question.given)
        )
        self._item = replace(self._item, names=_named_shorter(_names(self._item, value, question, naming), question))
        self._effect, self._leaning = replace(_effect(self._item, question, relation), object=value), leaning
        self._spans = sentences_about(self._effect)

    def answer_form(self, task: Task, work: Approach) -> Schema:
        return form_of(words_of(self._effect.relation))

    def explorer_messages(self, task: Task, blocks: Sequence[Block], work: Approach) -> list[BaseMessage]:
        return messages_about(self._effect, self._spans)

    def read_answer(self, task: Task, reply: ModelReply, work: Approach) -> str:
        """Read the verdict; without sentences or probabilities there is none."""
        told = verdict(self._effect, self._spans, reply, self._leaning) if isinstance(reply, Reply) else None
        self.rounds += 1
        self.items = [_with_direction(self._item, told, self.question, self.duo)] if told and self._spans else []
        return "" if told is None else told.direction


class QuoteChecker:
    """Decides without the evaluator if there is nothing for it to judge: no quote is in the paper, the answer was
    repeated, or there is no evaluator."""

    name = "quotes"
    needs_target = False
    channel: Channel = "check"

    def __init__(self, program: DuoProgram) -> None:
        self.program = program

    async def check(self, answer: str, task: Task) -> Feedback:
        program = self.program
        await program.decide_directions()
        if program.defended:
            return Feedback(channel="check", score=1.0, text="it defends its answer")
        if program.duo.evaluator is not None and program.shown:
            return Feedback(channel="check", score=None, text="")
        objections = program.objections
        return Feedback(channel="check", score=float(not objections), text="\n".join(objections))


class _Keeper:
    """The learner of a pass: it hands the outcome of the question to the knowledge base."""

    name = "knowledge base"

    def __init__(self, program: DuoProgram, keep: Callable[[QuestionOutcome], Learnt]) -> None:
        self._program, self._keep = program, keep

    async def learn(self, episode: Episode, *, call: CallModel) -> Learnt:
        return self._keep(self._program.outcome)


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
    """The schema of a second answer. A model whose decoding obeys it can quote only sentences that name what it listed
    or missed, and if it used a description, it has to choose among names that were accepted or offered."""
    if not duo.explorer.constrained:
        return _schema(question, duo, ())
    values = [*missing, *(name for item in items for name in item.shorter or (item.value.label,))]
    called = [name for item in items for name in item.names.get(item.value.id, ())]
    chosen = values if any(item.shorter for item in items) else ()
    return _schema(question, duo, naming_any(quotes, [*called, *values], question.document), chosen)


def _quotes(question: Question, subjects: Sequence[Entity], naming: Naming) -> tuple[str, ...]:
    """The sentences that can support a claim about the subjects, for a model whose decoding is restricted to them:
    those that state a direction, if the claim has one, and name a subject, unless a subject is called by a description,
    which a paper seldom repeats, or the question gave both ends."""
    document, relation = question.document, question.step.relation
    described = any(is_description(item.label, document) for item in subjects)
    named = () if described or question.value is not None else subjects
    names = [name for item in named for name in naming.names(item.label, item.cls, document)]
    offered = naming_any(sentences(document, question.paper), names, document)
    return saying_direction(offered) if relation is not None and relation.directed else offered


def _read(parsed: Any, question: Question, subjects: Sequence[Entity], duo: Duo, naming: Naming) -> list[Item]:
    """The items of an answer, each checked by machine, without duplicate statements."""
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
    """The entity for a value: names are grounded; a permissible value or a literal is used as it is."""
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
    return _supported(item, question, duo)


def _supported(item: Item, question: Question, duo: Duo) -> Item:
    """The item, with the reason why its quote does not support it, if it does not."""
    relation = question.step.relation
    asserting = None if relation is None else relation.asserting
    found = verify(_claim(item, question), question.document, item.names, around=duo.around, asserting=asserting)
    return replace(item, problem="" if found.supported else found.reason)


def _names(item: Item, name: str, question: Question, naming: Naming) -> dict[str, tuple[str, ...]]:
    """The names that the two ends may have in the quote: as found in the paper, and as grounded."""
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


def _named_shorter(names: Mapping[str, tuple[str, ...]], question: Question) -> dict[str, tuple[str, ...]]:
    """The names of what a question gave, both ends and the comparator, with the shorter ones that the paper uses where
    they are descriptions. What is compared keeps no shorter name that both sides have."""
    document, compared = question.document, dict(question.given).get("comparator", "")
    called = {**names, **({compared: (compared,)} if compared else {})}
    shorter = {
        end: [short for name in known if is_description(name, document) for short in shorter_names(name, document)]
        for end, known in called.items()
    }
    subject = next((end for end in names if any(name in question.subjects for name in names[end])), "")
    both = {folded(name) for name in shorter.get(subject, ())} & {folded(name) for name in shorter.get(compared, ())}
    return {
        end: tuple(dict.fromkeys((*known, *(short for short in shorter[end] if folded(short) not in both))))
        for end, known in called.items()
    }


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


def _effect(item: Item, question: Question, relation: Relation) -> EffectQuestion:
    """What a verdict on an item's direction is about."""
    assert item.subject is not None
    text, spot = question.document.text, item.evidence
    known = {**dict(question.given), **item.qualifiers}
    return EffectQuestion(
        document=question.document,
        relation=relation,
        subject=item.subject.label,
        object=item.value.label,
        given=tuple((name, str(value)) for name, value in known.items() if name != DIRECTION),
        quotes=() if spot is None else (window(text, spot.start, spot.end),),
    )


def _effect_key(item: Item) -> tuple[str, str, str]:
    return ("" if item.subject is None else item.subject.id, item.value.id, item.quote)


def _with_direction(item: Item, told: DirectionVerdict, question: Question, duo: Duo) -> Item:
    """An item with the direction of a verdict, and with the first quote that supports it: its own, or one of the
    sentences that the verdict rests on. If none does, the first that has words for the direction is kept, with the
    reason."""
    said = replace(item, qualifiers=item.qualifiers | {DIRECTION: told.direction}, holds=True, sure=told.probability)
    tried = [said] if said.evidence is not None else []
    for span in told.spans:
        evidence = evidence_of(question.document, span)
        tried.append(replace(said, evidence=evidence, quote=evidence.quote))
    meant = direction_named(told.direction)
    checked = [_supported(one, question, duo) for one in tried]
    return min(checked, key=lambda one: (bool(one.problem), meant not in directions(folded(one.quote))))


def _judged(items: Sequence[Item], judgements: Sequence[Any], shown: Sequence[int]) -> list[Item]:
    """The items, with the evaluator's verdicts on those that it saw."""
    found = list(items)
    for judgement in judgements:
        if 1 <= judgement.item <= len(shown):
            at = shown[judgement.item - 1]
            found[at] = replace(
                found[at],
                holds=judgement.holds,
                sure=judgement.sure / 100,
                objection="" if judgement.holds else judgement.reason or "it does not hold",
            )
    return found


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
    """The new list plus the right items of the old one that are not in it, under the same or a shorter name."""
    said, named = {item.identity for item in new}, {item.value.label for item in new}
    right = [i for i in old if not i.problem and i.holds is not False]
    return [*(i for i in right if i.identity not in said and named.isdisjoint(i.shorter)), *new]


def records_of(outcome: QuestionOutcome, question: Question, duo: Duo, *, run_id: str, model: str) -> list[Record]:
    """The claims of an outcome: one per statement with all of its quotes, supported or unsupported with the reason."""
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
    """The disagreement between the checks: machine against evaluator, an unsure evaluator, an unstable answer, an
    ambiguous name."""
    machine = 0.0 if item.problem else 1.0
    judged = item.confidence if item.confidence is not None else 0.5
    parts = [abs(machine - judged), 1 - abs(2 * judged - 1)]  # they contradict each other; the evaluator is unsure
    ambiguous = item.value.ambiguous or (item.subject is not None and item.subject.ambiguous)
    return min(1.0, sum(parts) / 2 + 0.15 * (not outcome.stable) + 0.15 * ambiguous)
