"""What a knowledge base keeps of a claim beyond the claim: the words that name its ends, and how far it is disputed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Self

from agentkit.curation.claims import EXPORTED, Claim, Entity, Qualifier, Status, digest
from agentkit.json_types import JsonObject

BY_PERSON = ("accepted", "rejected")
"""Statuses that a person gave."""
BY_HAND = "person"
"""The `model` of a claim that a person wrote."""
BY_PAIRS = "pairs"
"""The `model` of a claim that was made of a pair of names, and judged by the learned verifier."""


class ClaimHead(NamedTuple):
    """What a claim says and how it stands, without its evidence."""

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
        names: by entity id, the words that may name it in the quote (what `evidence.verify` takes).
        disagreement: in [0, 1]: how far explorer, evaluator and grounding were apart; orders the review queue.
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
        """Whether a person decided on it: no machine changes it any more."""
        return self.claim.status in BY_PERSON

    @property
    def by_hand(self) -> bool:
        """Whether a person wrote it."""
        return self.claim.model == BY_HAND

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
    """Two sightings of one entity as one, the same in whichever order they come."""
    first, second = sorted((old, new), key=lambda e: (e.label.casefold(), e.label, e.cls))
    return Entity(
        id=first.id,
        label=first.label,
        cls=first.cls,
        curies=tuple(sorted({*first.curies, *second.curies})),
        ambiguous=first.ambiguous or second.ambiguous,
        groundable=first.groundable or second.groundable,
    )
