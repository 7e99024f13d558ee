"""Knowledge bases: coverage, papers with their quotes beside the claims, one claim, and the review queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import and_, func, select
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agentkit.curation.kb.history import history
from agentkit.curation.kb.knowledge_base import KnowledgeBase, open_kb
from agentkit.curation.kb.records import Record
from agentkit.curation.kb.review import queue_order
from agentkit.errors import UserError
from agentkit.ledger import Ledger
from agentkit.store.curation import OPEN, DocumentRow, KbClaimRow, KbDocumentRow
from agentkit.view.site import Site, address, done, not_found, shown, whole_number

PAGE = 50
_RELATIONS = 12
"""Columns of the table of coverage."""


def routes(site: Site) -> list[Route]:
    return [
        shown(site, "/kbs", listed),
        shown(site, "/kbs/{name}", one),
        shown(site, "/kbs/{name}/claims", claims),
        shown(site, "/kbs/{name}/claims/{id}", claim),
        shown(site, "/kbs/{name}/papers/{id}", paper),
        shown(site, "/kbs/{name}/review", review),
        done(site, "/kbs/{name}/claims/{id}/review", decided),
    ]


def _kb(site: Site, request: Request) -> KnowledgeBase:
    with not_found():
        return open_kb(site.store, request.path_params["name"])


def listed(site: Site, request: Request) -> Response:
    names = [target.removeprefix("kb:") for target in Ledger(site.store).targets("knowledge")]
    rows = [(name, KnowledgeBase(site.store, name).count(KbClaimRow, "status")) for name in names]
    return site.page("kbs", "Knowledge bases", rows=rows)


def one(site: Site, request: Request) -> Response:
    """Counts, and which paper says how much of which relation."""
    kb, start = _kb(site, request), _start(request)
    relations = sorted(kb.count(KbClaimRow, "predicate").items(), key=lambda item: (-item[1], item[0]))
    columns = [name for name, _ in relations[:_RELATIONS]]
    same = and_(KbDocumentRow.document == DocumentRow.id, KbDocumentRow.parser == DocumentRow.parser)
    page = select(DocumentRow.id, DocumentRow.title).join(KbDocumentRow, same).where(KbDocumentRow.kb == kb.name)
    page = page.order_by(DocumentRow.title, DocumentRow.id).offset(start).limit(PAGE + 1)
    row = KbClaimRow
    with site.store.read() as connection:
        papers = connection.execute(page).all()
        said = select(row.document, row.predicate, func.count()).where(
            row.kb == kb.name, row.until == OPEN, row.document.in_([paper.id for paper in papers[:PAGE]])
        )
        cells = {
            (document, predicate): count
            for document, predicate, count in connection.execute(said.group_by(row.document, row.predicate))
        }
    return site.page(
        "kb",
        f"Knowledge base {kb.name}",
        kb=kb,
        statuses=kb.count(KbClaimRow, "status"),
        relations=relations,
        columns=columns,
        papers=papers[:PAGE],
        cells=cells,
        start=start,
        more=address("kbs", kb.name, start=start + PAGE) if len(papers) > PAGE else "",
    )


def _start(request: Request) -> int:
    return whole_number(request.query_params.get("start", "0"), "place")


@dataclass(frozen=True, kw_only=True)
class Told:
    """A claim with the labels of its ends."""

    record: Record
    subject: str
    object: str


def _told(kb: KnowledgeBase, records: Sequence[Record]) -> list[Told]:
    ends = sorted({end for record in records for end in (record.claim.subject, record.claim.object)})
    labels = {
        entity.id: entity.label
        for begin in range(0, len(ends), 400)
        for entity in kb.entities(ids=ends[begin : begin + 400])
    }
    return [
        Told(
            record=record,
            subject=labels.get(record.claim.subject, record.claim.subject),
            object=labels.get(record.claim.object, record.claim.object),
        )
        for record in records
    ]


def claims(site: Site, request: Request) -> Response:
    """Claims by status and relation, in the order of their ids."""
    kb, asked = _kb(site, request), request.query_params
    status, predicate, after = (asked.get(name, "") for name in ("status", "predicate", "after"))
    row = KbClaimRow
    query = select(row.id).where(row.kb == kb.name, row.until == OPEN, row.id > after).order_by(row.id).limit(PAGE + 1)
    if status:
        query = query.where(row.status == status)
    if predicate:
        query = query.where(row.predicate == predicate)
    with site.store.read() as connection:
        ids = list(connection.execute(query).scalars())
    told = _told(kb, list(kb.records(ids=ids[:PAGE])))
    more = ""
    if len(ids) > PAGE:
        more = address("kbs", kb.name, "claims", status=status, predicate=predicate, after=ids[PAGE - 1])
    return site.page(
        "claims",
        f"Claims of {kb.name}",
        kb=kb,
        told=told,
        more=more,
        status=status,
        predicate=predicate,
        statuses=kb.count(row, "status"),
        relations=kb.count(row, "predicate"),
    )


def _record(kb: KnowledgeBase, id: str) -> Record:
    found = list(kb.records(ids=[id]))
    if not found:
        raise HTTPException(404, f"no claim {id!r}")
    return found[0]


def claim(site: Site, request: Request) -> Response:
    """One claim with its quotes, its history and who decided about it."""
    kb = _kb(site, request)
    record = _record(kb, request.path_params["id"])
    id = record.claim.id
    [told] = _told(kb, [record])
    return site.page(
        "claim",
        f"Claim {id[:12]}",
        kb=kb,
        told=told,
        history=history(kb, id),
        reviews=kb.reviews(id),
        title_of=_title(site, record.claim.document),
    )


def _title(site: Site, document: str) -> str:
    with site.store.read() as connection:
        return connection.execute(select(DocumentRow.title).where(DocumentRow.id == document)).scalar() or document


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A stretch of a paper's text, and the claims that quote it."""

    text: str
    claims: tuple[str, ...]


def paper(site: Site, request: Request) -> Response:
    """A paper with its quotes marked, beside what they are said to show."""
    kb, id = _kb(site, request), request.path_params["id"]
    document = kb.document(id)
    if document is None:
        raise HTTPException(404, f"no paper {id!r}")
    records = list(kb.records(document=id))
    return site.page(
        "paper",
        document.title or id,
        kb=kb,
        document=document,
        told=_told(kb, records),
        stretches=stretches(document.text, records),
    )


def stretches(text: str, records: Sequence[Record]) -> list[Stretch]:
    """A text cut where quotes begin and end."""
    spans = [(e.start, min(e.end, len(text)), record.claim.id) for record in records for e in record.claim.evidence]
    cuts = sorted({0, len(text), *(cut for start, end, _ in spans for cut in (start, end) if cut <= len(text))})
    opening: dict[int, set[str]] = {}
    closing: dict[int, set[str]] = {}
    for start, end, id in spans:
        if start < end:
            opening.setdefault(start, set()).add(id)
            closing.setdefault(end, set()).add(id)
    found, inside = [], set[str]()
    for start, end in pairwise(cuts):
        inside = (inside - closing.get(start, set())) | opening.get(start, set())
        found.append(Stretch(text=text[start:end], claims=tuple(sorted(inside))))
    return found


def review(site: Site, request: Request) -> Response:
    """The queue, one claim at a time, the most disputed first; keys decide."""
    kb, start = _kb(site, request), _start(request)
    order = queue_order(kb)
    start = min(start, max(0, len(order) - 1))
    if not order:
        return site.page("review", f"Review of {kb.name}", kb=kb, told=None, left=0, start=0)
    id, disagreement = order[start]
    [told] = _told(kb, [_record(kb, id)])
    return site.page(
        "review",
        f"Review of {kb.name}",
        kb=kb,
        told=told,
        left=len(order),
        start=start,
        disagreement=disagreement,
        title_of=_title(site, told.record.claim.document),
    )


def decided(site: Site, request: Request, fields: Mapping[str, str]) -> str:
    """A person's decision about a claim."""
    kb, id = _kb(site, request), request.path_params["id"]
    decision: Any = {"accept": "accepted", "reject": "rejected"}.get(fields.get("decision", ""))
    if decision is None:
        raise UserError("decide: accept or reject")
    kb.review(_record(kb, id).claim.id, decision, reviewer=site.options.reviewer, note=fields.get("note", "").strip())
    if "start" in fields:
        return address("kbs", kb.name, "review", start=fields["start"])
    return address("kbs", kb.name, "claims", id)
