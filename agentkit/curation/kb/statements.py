"""Statements: what several papers say, as one row with the papers for it and against it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from agentkit.curation.kb.contradictions import context_of, side_of
from agentkit.curation.kb.records import ClaimHead
from agentkit.json_types import JsonObject


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One thing said, by however many papers.

    Attributes:
        context: the qualifiers that set it apart from others about the same ends, such as the comparator.
        said: how it is told: its direction, polarity or negation; "stated" where it has none.
        claims: ids of the exported claims that say so.
        papers: the documents they are of, each once.
        against: documents with exported claims that tell it otherwise.
        belief: in [0, 1]; None where it was not worked out.
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
    """The exported claims as statements: those of most papers first, ties by what they say."""
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
    """Statements with their belief: the share of papers that can be expected on their side, where one paper on either
    side is taken for granted (Laplace's rule of succession), and a paper counts as much as a person is likely to accept
    its claims.

    Args:
        every: all statements, those that contradict the ones in question among them.
        likely: by claim, how likely a person would accept it; a claim that is missing counts half.
    """
    sides: dict[tuple[object, ...], list[Statement]] = defaultdict(list)
    for item in every:
        sides[_about(item)].append(item)

    def weight(item: Statement) -> float:
        """The number of papers that can be expected to say so."""
        mean = sum(likely.get(claim, 0.5) for claim in item.claims) / len(item.claims)
        return mean * len(item.papers)

    def belief(item: Statement) -> float:
        against = sum(weight(other) for other in sides[_about(item)] if other.said != item.said)
        return (1 + weight(item)) / (2 + weight(item) + against)

    return [replace(item, belief=belief(item)) for item in found]


def _about(item: Statement) -> tuple[object, ...]:
    return item.subject, item.predicate, item.object, item.context
