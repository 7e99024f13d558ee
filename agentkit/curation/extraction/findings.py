"""Findings in a paper so far: instances of concepts, their connections, and the context that a question may use.

Findings are keyed by (subject, relation, concept), so a disorder of the participants and one of the intervention stay
distinct; a question forks for each instance of its subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentkit.curation.claims import Entity
from agentkit.curation.extraction.duo import Item
from agentkit.curation.extraction.plan import PlanStep
from agentkit.json_types import JsonObject

FORKS = 20
"""The most subjects that one step asks about in one paper."""

TOGETHER = 30
"""The most subjects in one question about several subjects."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One finding: an entity, its concept, and the subject and relation that led to it."""

    entity: Entity
    concept: str
    relation: str = ""
    subject: str = ""
    supported: bool = True

    def to_json(self) -> JsonObject:
        return {**vars(self), "entity": self.entity.to_json()}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Finding:
        return cls(**{**row, "entity": Entity.from_json(row["entity"])})


def findings_of(items: Iterable[Item], step: PlanStep) -> list[Finding]:
    """The findings of an answer; an item whose quote is not in the paper adds none."""
    return [
        Finding(
            entity=item.value,
            concept=step.concept.name,
            relation="" if step.relation is None else step.relation.name,
            subject="" if item.subject is None else item.subject.id,
            supported=not item.problem and item.holds is not False,
        )
        for item in items
        if item.evidence is not None
    ]


@dataclass
class Findings:
    """The findings of one paper, in the order they were made."""

    found: list[Finding] = field(default_factory=list)

    def add(self, new: Iterable[Finding]) -> None:
        self.found.extend(finding for finding in new if finding.supported)

    def instances(self, concept: str) -> list[Entity]:
        """The distinct entities of a concept, in the order in which they were found."""
        seen: dict[str, Entity] = {}
        for finding in self.found:
            if finding.concept == concept:
                seen.setdefault(finding.entity.id, finding.entity)
        return list(seen.values())

    def forks(self, step: PlanStep) -> Iterator[tuple[Entity, ...]]:
        """The subjects of each question of a step: none for a root, else each instance by itself or all together."""
        if step.relation is None:
            yield ()
            return
        subjects = self.instances(step.relation.head)
        if not step.relation.together:
            yield from ((subject,) for subject in subjects[:FORKS])
            return
        by_label = {subject.label.casefold(): subject for subject in reversed(subjects)}
        distinct = [subject for subject in subjects if by_label[subject.label.casefold()] is subject]
        for start in range(0, len(distinct), TOGETHER):
            yield tuple(distinct[start : start + TOGETHER])

    def context(self, step: PlanStep, subjects: tuple[Entity, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """For each concept in the step's context, the names in these subjects' own chain of findings."""
        chain = self._chain({subject.id for subject in subjects})
        known = []
        for concept in step.context:
            names = [f.entity.label for f in self.found if f.concept == concept and self._belongs(f, chain)]
            known.append((concept, tuple(dict.fromkeys(names))))
        return tuple((concept, names) for concept, names in known if names)

    def _chain(self, ids: set[str]) -> set[str]:
        """The subjects and the entities that led to them, up to the roots."""
        chain, grown = set(ids), True
        while grown:
            above = {f.subject for f in self.found if f.entity.id in chain and f.subject} - chain
            chain |= above
            grown = bool(above)
        return chain

    def _belongs(self, finding: Finding, chain: set[str]) -> bool:
        return not chain or finding.entity.id in chain or finding.subject in chain
