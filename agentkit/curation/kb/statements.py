"""Statements: what several papers say, as one row with the papers for and against it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from agentkit.curation.kb.contradictions import context_of, side_of
from agentkit.curation.kb.records import ClaimHead
from agentkit.json_types import JsonObject


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement, made by one or more papers.

    Attributes:
        context: the qualifiers that distinguish it from others about the same ends, such as the comparator.
        said: its direction, polarity or negation; "stated" if it has none of them.
        claims: the ids of the exported claims that make the statement.
        papers: their documents, without duplicates.
        against: the documents with exported claims that say otherwise.
        belief: in [0, 1]; None if it was not computed.
    """

    subject: str
    predicate: str
    object: str
    context: tuple[tuple[str, str], ...] = ()
    said: str = "stated"
    claims: tuple[str, ...] = ()
    papers: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    belief: float | None = None

    def to_json(self) -> JsonObject:
        lists = {name: list(getattr(self, name)) for name in ("claims", "papers", "against")}
        return vars(self) | {"context": dict(self.context)} | lists


def statements(heads: Iterable[ClaimHead]) -> list[Statement]:
    """The exported claims as statements, those of the most papers first, ties in a fixed order."""
    groups: dict[tuple[object, ...], dict[str, list[ClaimHead]]] = defaultdict(lambda: defaultdict(list))
    for head in heads:
        if head.exported:
            groups[head.subject, head.predicate, head.object, context_of(head)][side_of(head)].append(head)
    found = [_statement(side, sides) for sides in groups.values() for side in sides]
    return sorted(found, key=lambda item: (-len(item.papers), item.subject, item.predicate, item.object, item.said))


def _statement(side: str, sides: Mapping[str, Sequence[ClaimHead]]) -> Statement:
    own, first = sides[side], sides[side][0]
    others = {head.document for name, heads in sides.items() if name != side for head in heads}
    return Statement(
        subject=first.subject,
        predicate=first.predicate,
        object=first.object,
        context=context_of(first),
        said=side,
        claims=tuple(sorted(head.id for head in own)),
        papers=tuple(sorted({head.document for head in own})),
        against=tuple(sorted(others)),
    )


def believed(found: Sequence[Statement], every: Sequence[Statement], likely: Mapping[str, float]) -> list[Statement]:
    """Statements with their belief: the expected share of papers on their side, starting from one paper on each side
    (Laplace's rule of succession); a paper's weight is the probability that a person would accept its claims.

    Args:
        every: all statements, including those that contradict the ones in `found`.
        likely: by claim, the probability that a person would accept it; one half for a missing claim.
    """
    sides: dict[tuple[object, ...], list[Statement]] = defaultdict(list)
    for item in every:
        sides[_about(item)].append(item)

    def weight(item: Statement) -> float:
        """The expected number of papers that make the statement."""
        mean = sum(likely.get(claim, 0.5) for claim in item.claims) / len(item.claims)
        return mean * len(item.papers)

    def belief(item: Statement) -> float:
        against = sum(weight(other) for other in sides[_about(item)] if other.said != item.said)
        return (1 + weight(item)) / (2 + weight(item) + against)

    return [replace(item, belief=belief(item)) for item in found]


def _about(item: Statement) -> tuple[object, ...]:
    return item.subject, item.predicate, item.object, item.context
