"""What a knowledge base stores about a claim besides the claim itself: names of its ends, and its disagreement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Self

from agentkit.curation.claims import EXPORTED, Claim, Entity, Qualifier, Status, digest
from agentkit.json_types import JsonObject

BY_PERSON = ("accepted", "rejected")
"""Statuses that only a person gives."""
BY_HAND = "person"
"""The `model` of a claim that a person wrote."""
BY_PAIRS = "pairs"
"""The `model` of a claim that was made from a pair of names; followed by / and a model's name if that judged it too."""


class ClaimHead(NamedTuple):
    """The statement and status of a claim, without its evidence."""

    id: str
    subject: str
    predicate: str
    object: str
    document: str
    qualifiers: Mapping[str, Qualifier]
    status: Status
    disagreement: float

    @property
    def exported(self) -> bool:
        return self.status in EXPORTED


@dataclass(frozen=True, kw_only=True)
class Record:
    """A claim as it is stored.

    Attributes:
        names: by entity id, the names that it may have in the quote (as `evidence.verify` takes them).
        disagreement: in [0, 1]: the disagreement of explorer, evaluator and grounding; orders the review queue.
    """

    claim: Claim
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    disagreement: float = 0.0

    @cached_property
    def hash(self) -> str:
        names = {key: list(value) for key, value in self.names.items()}
        return digest(self.claim.to_json(), names, round(self.disagreement, 6))

    @property
    def by_person(self) -> bool:
        """Whether a person decided about it; then no machine changes it any more."""
        return self.claim.status in BY_PERSON

    @property
    def by_hand(self) -> bool:
        """Whether a person wrote it."""
        return self.claim.model == BY_HAND

    @property
    def paired(self) -> bool:
        """Whether it was made from a pair of names."""
        return self.claim.model.partition("/")[0] == BY_PAIRS

    def to_row(self) -> JsonObject:
        names = {key: list(value) for key, value in self.names.items()}
        return self.claim.to_json() | {"names": names, "disagreement": round(self.disagreement, 6), "hash": self.hash}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        names = {key: tuple(value) for key, value in (row["names"] or {}).items()}
        return cls(claim=Claim.from_json(row), names=names, disagreement=row["disagreement"] or 0.0)


def entity_row(entity: Entity) -> JsonObject:
    row = entity.to_json()
    return row | {"hash": digest(row)}


def merged(old: Entity, new: Entity) -> Entity:
    """Merge two records of one entity; the order does not matter."""
    first, second = sorted((old, new), key=lambda e: (e.label.casefold(), e.label, e.cls))
    return Entity(
        id=first.id,
        label=first.label,
        cls=first.cls,
        curies=tuple(sorted({*first.curies, *second.curies})),
        ambiguous=first.ambiguous or second.ambiguous,
        groundable=first.groundable or second.groundable,
    )
