"""The content of a knowledge base's export, and importing one."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import get_args

from agentkit.curation.claims import EXPORTED, Claim, Entity, Status, digest
from agentkit.curation.export import Content, Paper, read_jsonl
from agentkit.curation.kb.knowledge_base import Author, KnowledgeBase, Write
from agentkit.curation.kb.records import Record
from agentkit.curation.ontology.schema import Ontology
from agentkit.text import clean

BATCH = 5_000
"""Claims in one ledger change of an import."""


def content_of(
    kb: KnowledgeBase,
    *,
    everything: bool = False,
    ontology: Ontology | None = None,
    at: int | None = None,
    only: Container[str] | None = None,
) -> Content:
    """The content of an export of a version: supported and accepted claims, or all claims; if `only` is given, only
    those with these ids."""
    iris = {} if ontology is None else _iris(ontology)
    papers = [Paper.of(document) for document in kb.documents()]
    statuses = frozenset(get_args(Status)) if everything else EXPORTED
    claims = (claim for claim in kb.claims(at=at) if only is None or claim.id in only)
    return Content.of(claims, kb.entities(at=at), papers, statuses=statuses, iris=iris)


def _iris(ontology: Ontology) -> dict[str, str]:
    found = {name: concept.uri for name, concept in ontology.concepts.items() if concept.uri}
    return found | {relation.name: relation.uri for relation in ontology.relations if relation.uri}


def _undecided(claim: Claim) -> Claim:
    """Undo a decision from a file, which counts for nothing here: the claim waits, unsupported, for a reviewer."""
    if claim.status not in ("accepted", "rejected"):
        return claim
    return claim.with_status("unsupported", f"imported as {claim.status}: to be reviewed here")


def import_jsonl(kb: KnowledgeBase, path: Path) -> int:
    """Import the entities and claims of a JSONL export; idempotent. Returns the number of claims in the file.

    Raises:
        DataError: a line is not part of such an export.
    """
    entities: dict[str, Entity] = {}
    claims: list[Claim] = []
    source = clean(path.name)
    for row in read_jsonl(path):
        if isinstance(row, Entity):
            entities[row.id] = row
        elif isinstance(row, Claim):
            claims.append(_undecided(row))
    for start in range(0, max(len(claims), 1), BATCH):
        batch = claims[start : start + BATCH]
        ends = {id_ for claim in batch for id_ in (claim.subject, claim.object)}
        named = [entities[id_] for id_ in sorted(ends & entities.keys())]
        labels = {id_: (entities[id_].label,) for id_ in ends & entities.keys()}
        records = [
            Record(claim=claim, names={i: labels[i] for i in (claim.subject, claim.object) if i in labels})
            for claim in batch
        ]
        key = f"import:{digest(source, [claim.id for claim in batch], kb.version, length=24)}"
        kb.write(Write(records=records, entities=named), key=key, author=Author(role="import", source=source))
    return len(claims)
