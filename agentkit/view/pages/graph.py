"""The graph of a knowledge base's claims: entities, and the relations that claims state between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, or_, select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agentkit.curation.claims import EXPORTED
from agentkit.curation.kb.contradictions import contradictions
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.store.curation import OPEN, KbClaimRow
from agentkit.view.maps import GraphEdge, GraphNode, network
from agentkit.view.pages.knowledge import asked_kb, labels_of
from agentkit.view.site import Site, address, shown

MOST = 60
"""The most relations in a picture; more would be unreadable."""


def routes(site: Site) -> list[Route]:
    return [shown(site, "/kbs/{name}/graph", graph)]


@dataclass(frozen=True, kw_only=True)
class ClaimEdge:
    """A relation between two entities, stated by claims.

    Attributes:
        count: the number of claims that state it.
        href: the address that lists them.
        clashes: whether some of them contradict each other.
    """

    subject: str
    predicate: str
    object: str
    count: int
    href: str
    clashes: bool


def graph(site: Site, request: Request) -> Response:
    """The relations stated by the most claims, in the whole knowledge base or around one entity."""
    kb, asked = asked_kb(site, request), request.query_params
    around, predicate = asked.get("around", ""), asked.get("predicate", "")
    found = _relations(kb, around, predicate)
    relations = found[:MOST]
    labels = labels_of(kb, {end for item in relations for end in (item.subject, item.object)})
    return site.page(
        "graph",
        f"Graph of {kb.name}" + (f": {labels.get(around, around)}" if around else ""),
        kb=kb,
        picture=_picture(kb.name, relations, labels, around),
        edges=relations,
        more=len(found) > MOST,
        labels=labels,
        around=around,
        predicate=predicate,
        relations=kb.count(KbClaimRow, "predicate"),
    )


def _relations(kb: KnowledgeBase, around: str, predicate: str) -> list[ClaimEdge]:
    """The relations, those with the most claims first; at most one more than can be drawn."""
    row = KbClaimRow
    ends = (row.subject, row.predicate, row.object)
    count = func.count()
    query = select(*ends, count).where(row.kb == kb.name, row.until == OPEN, row.status.in_(EXPORTED)).group_by(*ends)
    if around:
        query = query.where(or_(row.subject == around, row.object == around))
    if predicate:
        query = query.where(row.predicate == predicate)
    with kb.store.read() as connection:
        rows = connection.execute(query.order_by(count.desc(), *ends).limit(MOST + 1)).all()
    clashes = contradictions(kb.heads(told_apart=True))
    apart = {(clash.subject, clash.predicate, clash.object) for clash in clashes}
    return [
        ClaimEdge(
            subject=subject,
            predicate=name,
            object=object_,
            count=claims,
            href=address("kbs", kb.name, "claims", subject=subject, predicate=name, object=object_),
            clashes=(subject, name, object_) in apart,
        )
        for subject, name, object_, claims in rows
    ]


def _picture(kb: str, relations: Sequence[ClaimEdge], labels: dict[str, str], around: str) -> str:
    degrees = Counter(end for item in relations for end in (item.subject, item.object))
    nodes = {
        key: GraphNode(
            label=labels[key],
            href=address("kbs", kb, "graph", around=key),
            look="now" if key == around else "",
            size=4 + min(8.0, degree**0.5 * 1.5),
        )
        for key, degree in degrees.items()
    }
    edges = [
        GraphEdge(
            source=item.subject,
            target=item.object,
            label=f"{labels[item.subject]} — {item.predicate} → {labels[item.object]}, claims: {item.count}",
            href=item.href,
            look="bad" if item.clashes else "",
            weight=item.count,
        )
        for item in relations
    ]
    return network(nodes, edges, f"the claims of {kb} as a graph")
