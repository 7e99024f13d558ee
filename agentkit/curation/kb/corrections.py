"""Claims that reviewers write: corrections, and claims that the machine missed. Both are accepted as written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from agentkit.curation.claims import Claim, Entity, Evidence, Qualifier, name_key
from agentkit.curation.documents import Document
from agentkit.curation.evidence import find_quote, verify
from agentkit.curation.kb.knowledge_base import Author, KnowledgeBase, Write
from agentkit.curation.kb.records import BY_HAND, Record
from agentkit.errors import UserError
from agentkit.json_types import JsonObject
from agentkit.ledger import Change
from agentkit.store.curation import KbClaimRow, KbReviewRow


@dataclass(frozen=True, kw_only=True)
class Correction:
    """The changes to a claim: names of its ends, the quote, values of qualifiers. An empty text keeps a part as it is;
    an empty qualifier value removes the qualifier."""

    subject: str = ""
    object: str = ""
    predicate: str = ""
    quote: str = ""
    qualifiers: Mapping[str, Qualifier] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.subject or self.object or self.predicate or self.quote or self.qualifiers)


@dataclass(frozen=True, kw_only=True)
class Written:
    """A claim that a person wrote, with the objections of the machine checks (empty if they agree)."""

    claim: Claim
    objection: str = ""


def correct(kb: KnowledgeBase, claim: str, change: Correction, *, reviewer: str, note: str = "") -> Written:
    """Correct a claim: the old one is rejected and the new one accepted, in one change.

    Raises:
        UserError: the correction changes nothing, the paper is not stored, or the quote is not in it.
    """
    record = kb.find(claim)
    old = record.claim
    document = _document(kb, old.document)
    subject = _entity(kb, change.subject, old.subject)
    object_ = _entity(kb, change.object, old.object)
    near = old.evidence[0].start if old.evidence else 0
    evidence = (_evidence(document, change.quote, near),) if change.quote else old.evidence
    qualifiers = {k: v for k, v in {**old.qualifiers, **change.qualifiers}.items() if v != ""}
    new = replace(
        old,
        subject=subject.id,
        object=object_.id,
        predicate=change.predicate or old.predicate,
        evidence=evidence,
        qualifiers=qualifiers,
        status="accepted",
        reason=note,
        model=BY_HAND,
        confidence=None,
        id="",
    )
    if new.id == old.id:
        raise UserError("the correction changes nothing: give a different end, quote or value")
    names = {end.id: tuple(dict.fromkeys((*record.names.get(end.id, ()), end.label))) for end in (subject, object_)}
    made = Record(claim=new, names=names)
    said = f"{subject.label} — {new.predicate} → {object_.label}"
    rejected = Record(
        claim=old.with_status("rejected", f"corrected: {said}{f' ({note})' if note else ''}"),
        names=record.names,
        disagreement=record.disagreement,
    )
    decisions = {old.id: ("corrected", f"{note + ': ' if note else ''}{said}"), new.id: ("added", note)}
    _write(kb, [rejected, made], [subject, object_], decisions, reviewer=reviewer, note=note)
    return Written(claim=new, objection=verify(new, document, names).reason)


def add(kb: KnowledgeBase, paper: str, claim: Correction, *, reviewer: str, note: str = "") -> Written:
    """Add a claim that the machine missed.

    Args:
        paper: the document's id or the start of it, its file, or its publication's identifier.

    Raises:
        UserError: there is no such paper, an end, the relation or the quote is missing, or the quote is not in the
            paper.
    """
    missing = [part for part in ("subject", "predicate", "object", "quote") if not getattr(claim, part)]
    if missing:
        raise UserError(f"an added claim needs its {', '.join(missing)}")
    document = _paper(kb, paper)
    subject, object_ = _entity(kb, claim.subject, ""), _entity(kb, claim.object, "")
    new = Claim(
        subject=subject.id,
        predicate=claim.predicate,
        object=object_.id,
        document=document.id,
        qualifiers={k: v for k, v in claim.qualifiers.items() if v != ""},
        evidence=(_evidence(document, claim.quote, 0),),
        status="accepted",
        reason=note,
        model=BY_HAND,
    )
    names = {end.id: (end.label,) for end in (subject, object_)}
    made = Record(claim=new, names=names)
    _write(kb, [made], [subject, object_], {new.id: ("added", note)}, reviewer=reviewer, note=note)
    return Written(claim=new, objection=verify(new, document, names).reason)


def _document(kb: KnowledgeBase, id_: str) -> Document:
    document = kb.document(id_)
    if document is None:
        raise UserError("the paper of this claim is not stored: curate it again first")
    return document


def _paper(kb: KnowledgeBase, wanted: str) -> Document:
    found = [
        d
        for d in kb.documents()
        if d.id.startswith(wanted) or wanted in (d.source, d.metadata.publication, d.metadata.pmid, d.metadata.pmcid)
    ]
    if len(found) != 1:
        raise UserError(f"no paper {wanted!r} in {kb.name}" if not found else f"{wanted!r} names several papers")
    return found[0]


def _evidence(document: Document, quote: str, near: int) -> Evidence:
    found = find_quote(document, quote, near=near)
    if found is None:
        raise UserError(f"the quote is not in the paper: {quote[:120]!r}")
    return found


def _entity(kb: KnowledgeBase, name: str, old: str) -> Entity:
    """The entity with that name or id, of the old end's class if several fit; a new one if none does."""
    entities = {entity.id: entity for entity in kb.entities()}
    before = entities.get(old) or (Entity(id=old, label=old, cls="Thing") if old else None)
    if name in ("", old) and before is not None:
        return before
    if name in entities:
        return entities[name]
    key, cls = name_key(name), "" if before is None else before.cls
    fitting = [entity for entity in entities.values() if name_key(entity.label) == key]
    own = [entity for entity in fitting if entity.cls == cls]
    chosen = own or fitting
    return chosen[0] if chosen else Entity.named(name, cls or "Thing")


def _write(
    kb: KnowledgeBase,
    records: list[Record],
    entities: list[Entity],
    decisions: Mapping[str, tuple[str, str]],
    *,
    reviewer: str,
    note: str,
) -> Change:
    """Write one change: the new state of the claims, the entities they name, and a review row per decision."""
    content = Write(records=records, entities=[e for e in entities if e.cls != "Thing" or not _there(kb, e)])
    author = Author(role="person", signal="user", note=note, source=reviewer)
    number = len(kb.reviews())
    operations: list[JsonObject] = [
        {**operation, "op": "review", "decision": decisions[operation["id"]][0]}
        if operation["op"] == "claim"
        else operation
        for operation in content.operations()
    ]
    change = kb.change(operations, key=f"review:{records[-1].claim.id}:{number}", author=author)

    def effect(connection: Connection, applied: Change) -> None:
        assert applied.version is not None
        kb.replace(connection, KbClaimRow, [record.to_row() for record in records], applied.version)
        kb.put_entities(connection, content.entities, applied.version)
        rows = [
            {"kb": kb.name, "claim": id_, "decision": decision, "reviewer": reviewer, "note": text}
            for id_, (decision, text) in decisions.items()
        ]
        connection.execute(kb.store.insert(KbReviewRow), [row | {"version": applied.version} for row in rows])

    return kb.ledger.commit(change, effect)


def _there(kb: KnowledgeBase, entity: Entity) -> bool:
    return any(True for _ in kb.entities(ids=[entity.id]))
