"""Answer schemas: what the explorer and the evaluator must return, built from the ontology element asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, create_model

from agentkit.curation.extraction.plan import Mode, PlanStep
from agentkit.curation.ontology.schema import Concept, Qualifier
from agentkit.models.union import IN_PROMPT

MAX_ITEMS = 20
"""The default for the most items in one answer: a small model that repeats itself fills any list."""
MAX_VALUE = 200
"""The most characters of a value, a name or phrase from the paper: without a limit, a small model may not stop."""


def answer_schema(
    step: PlanStep,
    *,
    subjects: Sequence[str] = (),
    value: str | None = None,
    given: Sequence[str] = (),
    quotes: Sequence[str] = (),
    values: Sequence[str] = (),
    most: int = MAX_ITEMS,
) -> type[BaseModel]:
    """`{"items": [{subject?, quote, value, qualifiers…, reason?}]}`.

    A reason is asked for only if the evaluator judges reasons; in a list the quotes speak for themselves. The question,
    not the schema, explains `quote` and `value`: a small model copies a schema's descriptions into its answer.

    Args:
        subjects: the names to choose the subject from, for a question about several subjects together.
        value: the object, if it is given and only its qualifiers are asked for.
        given: qualifiers that are already known.
        quotes, values: the sentences to quote and the names to choose from, for a model whose answers can't violate
            their schema; if empty, any text is allowed.
        most: the most items in a list.
    """
    names = tuple(dict.fromkeys(values))
    return _answer_schema(step, tuple(dict.fromkeys(subjects)), value, tuple(given), tuple(quotes), names, most)


@lru_cache(maxsize=128)
def _answer_schema(
    step: PlanStep,
    subjects: tuple[str, ...],
    value: str | None,
    given: tuple[str, ...],
    quotes: tuple[str, ...],
    values: tuple[str, ...],
    most: int,
) -> type[BaseModel]:
    qualifiers = [q for q in step.relation.qualifiers if q.name not in given] if step.relation is not None else []
    fields: dict[str, Any] = {}
    if subjects:
        fields["subject"] = (Literal[subjects], Field(description="which of the given subjects it is about"))
    for name in field_order(step, value):
        fields[name] = _value_field(step.concept, values) if name == "value" else _quote_field(quotes)
    for qualifier in qualifiers:
        fields[qualifier.name] = _qualifier_field(qualifier)
    if step.mode == "rationality":
        fields["reason"] = (str, Field(max_length=120))
    item = create_model("Item", **fields)
    limit = most if step.mode == "completeness" else 1
    items = Field(max_length=limit)
    return create_model("Findings", __doc__="What the paper says.", items=(list[item], items))


def field_order(step: PlanStep, value: str | None) -> tuple[str, ...]:
    """The order of quote and value. A single answer follows from its quote; in a list the value comes first, since
    otherwise a small model repeats one quote until the list is full."""
    if value is not None:
        return ("quote",)
    return ("value", "quote") if step.mode == "completeness" else ("quote", "value")


def _quote_field(quotes: tuple[str, ...]) -> tuple[Any, Any]:
    return _one_of(quotes) if quotes else (str, ...)


def _one_of(texts: tuple[str, ...]) -> tuple[Any, Any]:
    """A choice among texts from the prompt."""
    return Literal[texts], Field(json_schema_extra={IN_PROMPT: True})


_TEXT = Annotated[str, Field(max_length=MAX_VALUE)]


def _value_field(concept: Concept, values: tuple[str, ...]) -> tuple[Any, Any]:
    if values:
        return _one_of(values)
    if concept.kind == "values":
        return Literal[tuple(value.name for value in concept.values)], ...
    kind: Any = {"integer": int, "float": float, "double": float, "decimal": float, "number": float, "boolean": bool}
    return kind.get(concept.datatype, _TEXT), ...


def _qualifier_field(qualifier: Qualifier) -> tuple[Any, Any]:
    about = Field(description=qualifier.description or qualifier.name)
    if qualifier.values:
        names = tuple(value.name for value in qualifier.values)
        return Literal[names if qualifier.required else (*names, "")], about
    return _TEXT, about


class ItemJudgement(BaseModel):
    """What the evaluator thinks of one item."""

    item: int = Field(description="the item's number")
    reason: str = Field(description="what the quote says about it, in a few words", max_length=120)
    holds: bool = Field(description="whether the quote states exactly this")
    sure: int = Field(ge=0, le=100, description="how sure you are, in percent")


class Rationality(BaseModel):
    """Judge each item by its quote."""

    judgements: list[ItemJudgement] = Field(max_length=MAX_ITEMS)


class Completeness(BaseModel):
    """Judge each item by its quote, and name what the list leaves out."""

    judgements: list[ItemJudgement] = Field(max_length=MAX_ITEMS)
    missing: list[str] = Field(max_length=8, description="names in the quotes' text that belong on the list")


def evaluation_schema(mode: Mode) -> type[Rationality] | type[Completeness]:
    return Completeness if mode == "completeness" else Rationality
