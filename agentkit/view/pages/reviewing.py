"""The review queue, by keyboard: each claim has its own address, so the browser's Back returns to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Literal

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from agentkit.curation.kb.contradictions import contradictions
from agentkit.curation.kb.corrections import correct
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.kb.records import BY_PERSON, Record
from agentkit.curation.kb.review import cells_of, correction_of, queue_order
from agentkit.errors import UserError
from agentkit.store.curation import KbClaimRow
from agentkit.view.lessons import LearningQueue
from agentkit.view.pages.knowledge import Told, asked_kb, asked_place, record_of, title_of, told_of
from agentkit.view.site import Site, address, done, shown

_DECISIONS: Mapping[str, Literal["accepted", "rejected"]] = {"accept": "accepted", "reject": "rejected"}
_OPPOSED = 20
"""The most contradicting claims that are shown."""


def routes(site: Site, lessons: LearningQueue) -> list[Route]:
    return [
        shown(site, "/kbs/{name}/review", review),
        done(site, "/kbs/{name}/claims/{id}/review", partial(decided, lessons)),
    ]


def review(site: Site, request: Request) -> Response:
    """The claim named in the address, or the next in the queue, the most disputed first."""
    kb, start, named = asked_kb(site, request), asked_place(request), request.query_params.get("claim")
    title = f"Review of {kb.name}"
    if named is None:
        order = queue_order(kb, first=start + 1)
        if not order:
            return site.page("review", title, kb=kb, told=None)
        place = len(order) - 1
        return RedirectResponse(address("kbs", kb.name, "review", claim=order[place][0], start=place), 303)
    record = record_of(kb, named)
    [told] = told_of(kb, [record])
    return site.page(
        "review",
        title,
        kb=kb,
        told=told,
        left=sum(n for status, n in kb.count(KbClaimRow, "status").items() if status not in BY_PERSON),
        start=start,
        cells=cells_of(record, _labels(told)),
        reviews=kb.reviews(record.claim.id),
        against=_against(kb, record),
        title_of=title_of(site, record.claim.document),
    )


def _labels(told: Told) -> dict[str, str]:
    claim = told.record.claim
    return {claim.subject: told.subject, claim.object: told.object}


def _against(kb: KnowledgeBase, record: Record) -> list[Told]:
    """The claims that can't be true if this one is."""
    id, about = record.claim.id, kb.heads(subject=record.claim.subject)
    sides = [set(ids) for clash in contradictions(about) for ids in _others(clash.sides.values(), id)]
    return told_of(kb, list(kb.records(ids=sorted(set().union(*sides))[:_OPPOSED])))


def _others(sides: Collection[tuple[str, ...]], id: str) -> list[tuple[str, ...]]:
    """The other sides of a contradiction that a claim is part of."""
    apart = [ids for ids in sides if id not in ids]
    return apart if len(apart) < len(sides) else []


def decided(lessons: LearningQueue, site: Site, request: Request, fields: Mapping[str, str]) -> str:
    """Record a person's decision about a claim: accept, reject or correct; returns the address to go to."""
    kb = asked_kb(site, request)
    record, note = record_of(kb, request.path_params["id"]), fields.get("note", "").strip()
    claim = record.claim.id
    if (decision := fields.get("decision", "")) == "correct":
        [told] = told_of(kb, [record])
        cells = {name: " ".join(fields.get(name, "").split()) for name in cells_of(record, _labels(told))}
        change = correction_of(record, _labels(told), cells)
        claim = correct(kb, claim, change, reviewer=site.options.reviewer, note=note).claim.id
    elif decision in _DECISIONS:
        kb.review(claim, _DECISIONS[decision], reviewer=site.options.reviewer, note=note)
    else:
        raise UserError("decide: accept, reject or correct")
    lessons.of(kb.name)
    if "start" in fields:
        return address("kbs", kb.name, "review", start=fields["start"])
    return address("kbs", kb.name, "claims", claim)
