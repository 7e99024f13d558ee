"""Knowledge bases: coverage, papers with their quotes beside the claims, and one claim."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import and_, func, select
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agentkit.curation.kb.history import history
from agentkit.curation.kb.knowledge_base import KnowledgeBase, open_kb
from agentkit.curation.kb.records import Record
from agentkit.ledger import Ledger
from agentkit.store.curation import OPEN, DocumentRow, KbClaimRow, KbDocumentRow
from agentkit.view.pages.learnt import changes_of
from agentkit.view.site import Site, address, not_found, shown, whole_number

PAGE = 50
FILTERS = ("status", "predicate", "subject", "object")
_RELATIONS = 12
"""The number of columns in the table of coverage."""


def routes(site: Site) -> list[Route]:
    return [
        shown(site, "/kbs", listed),
        shown(site, "/kbs/{name}", one),
        shown(site, "/kbs/{name}/claims", claims),
        shown(site, "/kbs/{name}/claims/{id}", claim),
        shown(site, "/kbs/{name}/papers/{id}", paper),
    ]


def asked_kb(site: Site, request: Request) -> KnowledgeBase:
    """The knowledge base named in the address."""
    with not_found():
        return open_kb(site.store, request.path_params["name"])


def listed(site: Site, request: Request) -> Response:
    names = [target.removeprefix("kb:") for target in Ledger(site.store).targets("knowledge")]
    rows = [(name, KnowledgeBase(site.store, name).count(KbClaimRow, "status")) for name in names]
    return site.page("kbs", "Knowledge bases", rows=rows)


def one(site: Site, request: Request) -> Response:
    """Counts, and how much each paper says about each relation."""
    kb, start = asked_kb(site, request), asked_place(request)
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
        log=changes_of(kb.ledger, kb.target),
        taught=changes_of(kb.ledger, f"verifier:{kb.name}"),
    )


def asked_place(request: Request) -> int:
    """The offset into a list given in the address, from 0."""
    return whole_number(request.query_params.get("start", "0"), "place")


@dataclass(frozen=True, kw_only=True)
class Told:
    """A claim with the labels of its ends."""

    record: Record
    subject: str
    object: str


def labels_of(kb: KnowledgeBase, ids: Collection[str]) -> dict[str, str]:
    """The labels of entities; for one that is not stored, its id."""
    ends, labels = sorted(ids), {id: id for id in ids}
    for begin in range(0, len(ends), 400):
        labels |= {entity.id: entity.label for entity in kb.entities(ids=ends[begin : begin + 400])}
    return labels


def told_of(kb: KnowledgeBase, records: Sequence[Record]) -> list[Told]:
    """Claims with the labels of their ends."""
    labels = labels_of(kb, {end for record in records for end in (record.claim.subject, record.claim.object)})
    return [
        Told(record=record, subject=labels[record.claim.subject], object=labels[record.claim.object])
        for record in records
    ]


def claims(site: Site, request: Request) -> Response:
    """Claims by status, relation and ends, in the order of their ids."""
    kb, asked = asked_kb(site, request), request.query_params
    after, wanted = asked.get("after", ""), {name: asked.get(name, "") for name in FILTERS}
    row = KbClaimRow
    query = select(row.id).where(row.kb == kb.name, row.until == OPEN, row.id > after).order_by(row.id).limit(PAGE + 1)
    query = query.where(*(getattr(row, name) == value for name, value in wanted.items() if value))
    with site.store.read() as connection:
        ids = list(connection.execute(query).scalars())
    told = told_of(kb, list(kb.records(ids=ids[:PAGE])))
    more = ""
    if len(ids) > PAGE:
        more = address("kbs", kb.name, "claims", **wanted, after=ids[PAGE - 1])
    return site.page(
        "claims",
        f"Claims of {kb.name}",
        kb=kb,
        told=told,
        more=more,
        wanted=wanted,
        ends=labels_of(kb, {wanted[end] for end in ("subject", "object") if wanted[end]}),
        statuses=kb.count(row, "status"),
        relations=kb.count(row, "predicate"),
    )


def record_of(kb: KnowledgeBase, id: str) -> Record:
    """A claim by its id; raises HTTPException 404 if there is none."""
    found = list(kb.records(ids=[id]))
    if not found:
        raise HTTPException(404, f"no claim {id!r}")
    return found[0]


def claim(site: Site, request: Request) -> Response:
    """One claim with its quotes, its history and the decisions about it."""
    kb = asked_kb(site, request)
    record = record_of(kb, request.path_params["id"])
    id = record.claim.id
    [told] = told_of(kb, [record])
    return site.page(
        "claim",
        f"Claim {id[:12]}",
        kb=kb,
        told=told,
        history=history(kb, id),
        reviews=kb.reviews(id),
        title_of=title_of(site, record.claim.document),
    )


def title_of(site: Site, document: str) -> str:
    """A paper's title, or its id if it has none."""
    with site.store.read() as connection:
        return connection.execute(select(DocumentRow.title).where(DocumentRow.id == document)).scalar() or document


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A stretch of a paper's text, and the claims that quote it."""

    text: str
    claims: tuple[str, ...]


def paper(site: Site, request: Request) -> Response:
    """A paper with its quotes marked, beside the claims that they support."""
    kb, id = asked_kb(site, request), request.path_params["id"]
    document = kb.document(id)
    if document is None:
        raise HTTPException(404, f"no paper {id!r}")
    records = list(kb.records(document=id))
    return site.page(
        "paper",
        document.title or id,
        kb=kb,
        document=document,
        told=told_of(kb, records),
        stretches=stretches(document.text, records),
    )


def stretches(text: str, records: Sequence[Record]) -> list[Stretch]:
    """A text split where quotes begin and end."""
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
