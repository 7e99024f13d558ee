"""Claims that can't all be true: the same subject, relation, object and comparator, but different statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from agentkit.curation.claims import Qualifier, name_key
from agentkit.json_types import JsonObject

_TELLING = ("direction", "polarity", "negated")
"""Qualifiers in which claims contradict each other; any other qualifier makes them separate statements."""

_NOT_CONTEXT = {*_TELLING, "certainty"}


class Stated(Protocol):
    """The parts of a claim that can contradict another claim."""

    @property
    def id(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def predicate(self) -> str: ...
    @property
    def object(self) -> str: ...
    @property
    def qualifiers(self) -> Mapping[str, Qualifier]: ...
    @property
    def exported(self) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class Contradiction:
    """A set of claims that disagree.

    Attributes:
        subject, predicate, object: what they are about.
        context: the other qualifiers they share, such as the comparator.
        sides: the ids of the claims, by what they say.
    """

    subject: str
    predicate: str
    object: str
    context: tuple[tuple[str, str], ...]
    sides: dict[str, tuple[str, ...]]

    def to_json(self) -> JsonObject:
        return vars(self) | {"context": dict(self.context), "sides": {k: list(v) for k, v in self.sides.items()}}


def contradictions(claims: Iterable[Stated]) -> list[Contradiction]:
    """Every set of exported claims that disagree, within one paper or between papers, in a fixed order."""
    about: dict[tuple[str, str, str], list[Stated]] = defaultdict(list)
    for claim in claims:
        if claim.exported:
            about[claim.subject, claim.predicate, claim.object].append(claim)
    return [
        found
        for _, alike in sorted(about.items())
        if any(claim.qualifiers != alike[0].qualifiers for claim in alike)
        for found in _between(alike)
    ]


def _between(claims: Sequence[Stated]) -> Iterator[Contradiction]:
    """The contradictions among claims about the same two ends, by context."""
    groups: dict[tuple[tuple[str, str], ...], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for claim in claims:
        groups[context_of(claim)][side_of(claim)].append(claim.id)
    for context, sides in sorted(groups.items()):
        if len(sides) > 1:
            yield Contradiction(
                subject=claims[0].subject,
                predicate=claims[0].predicate,
                object=claims[0].object,
                context=context,
                sides={side: tuple(sorted(ids)) for side, ids in sorted(sides.items())},
            )


def context_of(claim: Stated) -> tuple[tuple[str, str], ...]:
    """The qualifiers that distinguish a claim from others about the same two ends, such as the comparator."""
    told = ((name, name_key(str(value))) for name, value in claim.qualifiers.items() if name not in _NOT_CONTEXT)
    return tuple(sorted(told))


def side_of(claim: Stated) -> str:
    """What a claim says of its two ends: its direction, polarity or negation; "stated" if it has none of them."""
    told = {name: claim.qualifiers[name] for name in _TELLING if name in claim.qualifiers}
    if str(told.get("negated", "")).lower() in {"false", "no", "0"}:
        del told["negated"]
    return ", ".join(f"{name}: {name_key(str(value))}" for name, value in sorted(told.items())) or "stated"
