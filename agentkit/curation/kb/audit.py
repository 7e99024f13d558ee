"""`kb audit`: what to know before using a knowledge base: contradictions, duplicates, gaps, stale claims."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from agentkit.curation.claims import Entity, name_key
from agentkit.curation.kb.contradictions import Contradiction, contradictions
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.kb.records import ClaimHead
from agentkit.curation.kb.verification import verify_kb
from agentkit.curation.kb.work import WorkLog
from agentkit.curation.ontology.schema import Ontology
from agentkit.json_types import JsonObject


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The coverage of a relation: papers with exported claims, with only unsupported ones, and with none."""

    relation: str
    claimed: int
    unsupported: int
    nothing: int


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The results of an audit.

    Attributes:
        broken: exported claims that no longer hold (numbers, names and assertion in their quotes), with the reason.
        doubles: entities of one class with the same label, by label.
        repeated: exported claims that one paper states more than once, by statement.
        clashes: sets of claims that contradict each other.
        stale: exported machine-made claims that no question of the current plan accounts for.
        unread: papers about which a question failed.
        coverage: the coverage of each relation.
    """

    broken: tuple[tuple[str, str], ...]
    doubles: tuple[tuple[str, tuple[str, ...]], ...]
    repeated: tuple[tuple[str, ...], ...]
    clashes: tuple[Contradiction, ...]
    stale: tuple[str, ...]
    unread: tuple[str, ...]
    coverage: tuple[Coverage, ...]

    def to_json(self) -> JsonObject:
        return {
            "broken": [list(pair) for pair in self.broken],
            "doubles": [{"label": label, "entities": list(ids)} for label, ids in self.doubles],
            "repeated": [list(ids) for ids in self.repeated],
            "clashes": [clash.to_json() for clash in self.clashes],
            "stale": list(self.stale),
            "unread": list(self.unread),
            "coverage": [dict(vars(row)) for row in self.coverage],
        }


def audit(kb: KnowledgeBase, *, around: int = 0, ontology: Ontology | None = None) -> Audit:
    """Check a whole knowledge base.

    Args:
        around, ontology: as for `verify_kb`.
    """
    heads, log = list(kb.heads()), WorkLog(kb.store, kb.name)
    live = {id_ for work in log.live() for id_ in work.claims}
    return Audit(
        broken=verify_kb(kb, around=around, ontology=ontology).broken,
        doubles=tuple(_doubles(kb.entities())),
        repeated=tuple(_repeated(heads)),
        clashes=tuple(contradictions(heads)),
        stale=tuple(h.id for h in heads if live and h.status == "supported" and h.id not in live),
        unread=tuple(sorted({work.document for work in log.failures()})),
        coverage=tuple(_coverage(heads, sum(1 for _ in kb.documents()))),
    )


def _doubles(entities: Iterable[Entity]) -> Iterable[tuple[str, tuple[str, ...]]]:
    called: dict[tuple[str, str], list[str]] = defaultdict(list)
    for entity in entities:
        called[entity.cls, name_key(entity.label)].append(entity.id)
    return [(label, tuple(sorted(ids))) for (_, label), ids in sorted(called.items()) if len(ids) > 1]


def _repeated(heads: Iterable[ClaimHead]) -> Iterable[tuple[str, ...]]:
    said: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for head in heads:
        if head.exported:
            told = tuple(sorted((key, str(value)) for key, value in head.qualifiers.items()))
            said[head.document, head.subject, head.predicate, head.object, told].append(head.id)
    return [tuple(sorted(ids)) for ids in said.values() if len(ids) > 1]


def _coverage(heads: Iterable[ClaimHead], papers: int) -> Iterable[Coverage]:
    found: dict[str, dict[str, bool]] = defaultdict(dict)
    for head in heads:
        found[head.predicate][head.document] = found[head.predicate].get(head.document, False) or head.exported
    for relation, documents in sorted(found.items()):
        counted = Counter(documents.values())
        yield Coverage(
            relation=relation,
            claimed=counted[True],
            unsupported=counted[False],
            nothing=max(0, papers - len(documents)),
        )
