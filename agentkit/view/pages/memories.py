"""Case memories: the cases with their effects, one case, and a map by the similarity of their tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy import Select, and_, func, select
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agentkit.ledger import Ledger
from agentkit.memory.case import STATUSES, SUCCESS
from agentkit.memory.credit import Credit, credit
from agentkit.memory.projection import principal_plane
from agentkit.store.cases import CaseOfferRow, CaseRecallRow, CaseRow, CaseVectorRow, MemoryRow
from agentkit.text import clipped
from agentkit.view.maps import Dot, scatter
from agentkit.view.pages.learnt import MOST, asked_number, changes_of, waits_of
from agentkit.view.pictures import Interval, forest
from agentkit.view.site import Site, address, done, shown

PAGE = 50
DOTS = 1_500
"""The most cases on a map; more would slow the browser without showing more."""
COLOURS = ("reward", "kind", "status")
"""The properties that dots of a map can be coloured by."""
_KINDS = 5
"""The number of kinds of task with their own colour; the others share one."""


Placed: TypeAlias = "Select[str, str, str, float | None, str, str, bytes]"
"""A query for the columns that a map needs: id, namespace, state, reward, status, instructions, the state's vector."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """How one group of dots is drawn: its class in the style sheet, its name, and its place in the legend."""

    style: str
    name: str
    place: int


_REWARDS = tuple(
    Look(style=style, name=name, place=place)
    for place, (style, name) in enumerate((("good", "success"), ("bad", "failure"), ("open", "unknown")))
)


def routes(site: Site) -> list[Route]:
    return [
        shown(site, "/memories", memories),
        shown(site, "/memories/{name}", memory),
        shown(site, "/memories/{name}/map", case_map),
        shown(site, "/memories/{name}/cases/{id}", one),
        done(site, "/memories/{name}/cases/{id}/release", released),
    ]


def memories(site: Site, request: Request) -> Response:
    counted = select(CaseRow.memory, CaseRow.status, func.count()).group_by(CaseRow.memory, CaseRow.status)
    with site.store.read() as connection:
        names = connection.execute(select(MemoryRow.name, MemoryRow.embedder).order_by(MemoryRow.name)).all()
        counts: dict[str, dict[str, int]] = {}
        for name, status, count in connection.execute(counted):
            counts.setdefault(name, {})[status] = count
    return site.page("memories", "Memories", rows=[(name, embedder, counts.get(name, {})) for name, embedder in names])


def memory(site: Site, request: Request) -> Response:
    """Cases, newest first, with the measured effect of showing them."""
    name, asked = request.path_params["name"], request.query_params
    status, words, before = asked.get("status", ""), asked.get("q", "").strip(), asked_number(asked.get("before"), 0)
    query = select(CaseRow.__table__).where(CaseRow.memory == name).order_by(CaseRow.seq.desc()).limit(PAGE + 1)
    if status:
        query = query.where(CaseRow.status == status)
    if words:
        query = query.where(CaseRow.state.contains(words, autoescape=True))
    if before:
        query = query.where(CaseRow.seq < before)
    with site.store.read() as connection:
        _embedder(connection, name)
        found = connection.execute(query).all()
        effects = _credits(connection, name, [case.id for case in found[:PAGE]])
    cases, ledger = found[:PAGE], Ledger(site.store)
    rows = [
        Interval(
            label=f"{case.id[:8]} {case.state}",
            value=effect.value,
            low=max(-1.0, effect.low),
            high=min(1.0, effect.high),
            note=f"n={effect.n}",
        )
        for case in cases
        if (effect := effects.get(case.id)) is not None
    ]
    older = address("memories", name, status=status, q=words, before=cases[-1].seq) if len(found) > PAGE else ""
    target = f"policy:{name}"
    return site.page(
        "memory",
        f"Memory {name}",
        name=name,
        cases=cases,
        effects=effects,
        picture=forest(rows[:MOST]),
        older=older,
        status=status,
        words=words,
        statuses=STATUSES,
        target=target,
        version=ledger.version(target),
        waits=waits_of(ledger, target),
        log=changes_of(ledger, target),
    )


def _embedder(connection: Any, name: str) -> str:
    """The embedder of a memory; raises HTTPException 404 if there is no such memory."""
    found = connection.execute(select(MemoryRow.embedder).where(MemoryRow.name == name)).scalar()
    if found is None:
        raise HTTPException(404, f"no memory {name!r}")
    return str(found)


def one(site: Site, request: Request) -> Response:
    """A complete case, the measured effect of showing it, and the cases with the nearest tasks."""
    name, id = request.path_params["name"], request.path_params["id"]
    query = select(CaseRow.__table__).where(CaseRow.memory == name, CaseRow.id == id)
    if namespace := request.query_params.get("namespace", ""):
        query = query.where(CaseRow.namespace == namespace)
    with site.store.read() as connection:
        embedder = _embedder(connection, name)
        case = connection.execute(query.order_by(CaseRow.seq).limit(1)).one_or_none()
        if case is None:
            raise HTTPException(404, f"no case {id!r}")
        effect = _credits(connection, name, [case.id]).get(case.id)
        others = connection.execute(_placed(name, embedder).where(CaseRow.namespace == case.namespace)).all()
    return site.page("case", f"Case {case.id[:10]}", name=name, case=case, effect=effect, near=_nearest(case, others))


def _placed(name: str, embedder: str) -> Placed:
    """The query for cases with the vectors of their states, newest first."""
    vector, row = CaseVectorRow, CaseRow
    same = and_(vector.hash == row.state_hash, vector.embedder == embedder)
    columns: list[Any] = [row.id, row.namespace, row.state, row.reward, row.status, row.instructions, vector.vector]
    return select(*columns).join(vector, same).where(row.memory == name).order_by(row.seq.desc()).limit(DOTS)


def _vectors(rows: Sequence[Any]) -> Any:
    return np.stack([np.frombuffer(row.vector, dtype="<f4") for row in rows])


def _nearest(case: Any, others: Sequence[Any], most: int = 5) -> list[tuple[float, Any]]:
    """The cases on the map that are nearest to a case, with their cosine similarities."""
    place = next((number for number, row in enumerate(others) if row.id == case.id), None)
    if place is None:
        return []
    vectors = _vectors(others)
    cosines = vectors @ vectors[place]
    order = [int(number) for number in np.argsort(-cosines) if number != place][:most]
    return [(float(cosines[number]), others[number]) for number in order]


def case_map(site: Site, request: Request) -> Response:
    """A map of the newest cases, on which similar tasks are close together; each dot links to its case."""
    name, asked = request.path_params["name"], request.query_params
    by, status = asked.get("by", "reward"), asked.get("status", "")
    if by not in COLOURS:
        raise HTTPException(400, f"by: {', '.join(COLOURS)}")
    with site.store.read() as connection:
        query = _placed(name, _embedder(connection, name))
        rows = connection.execute(query.where(CaseRow.status == status) if status else query).all()
        total = connection.execute(select(func.count()).where(CaseRow.memory == name)).scalar_one()
    enough = len(rows) > 2
    points, shares = principal_plane(_vectors(rows)) if enough else (np.zeros((0, 2)), (0.0, 0.0))
    looks = _looks(rows, by)
    dots = [
        Dot(
            x=float(x),
            y=float(y),
            look=look.style,
            href=address("memories", name, "cases", row.id, namespace=row.namespace),
            label=f"{'–' if row.reward is None else f'{row.reward:.2f}'} {row.status}: {row.state}",
        )
        for (x, y), row, look in zip(points, rows, looks, strict=False)
    ]
    legend = {look.name: look for look in looks}
    return site.page(
        "map",
        f"Map of {name}",
        name=name,
        picture=scatter(dots, f"the cases of {name}") if enough else "",
        legend=sorted(legend.values(), key=lambda look: look.place),
        counts=Counter(look.name for look in looks),
        shares=shares,
        shown=len(rows),
        total=total,
        by=by,
        colours=COLOURS,
        statuses=STATUSES,
        status=status,
    )


def _looks(rows: Sequence[Any], by: str) -> list[Look]:
    """The look of each case's dot."""
    if by == "reward":
        return [_REWARDS[2 if row.reward is None else int(row.reward < SUCCESS)] for row in rows]
    values = [row.status if by == "status" else row.instructions for row in rows]
    places = {value: min(place, _KINDS) for place, (value, _) in enumerate(Counter(values).most_common())}
    example = {row.instructions: f"like: {clipped(row.state, 40)}" for row in reversed(rows)} if by == "kind" else {}
    names = {value: example.get(value, value) if place < _KINDS else "others" for value, place in places.items()}
    return [Look(name=names[value], place=places[value], style=f"l{places[value]}") for value in values]


def _credits(connection: Any, memory: str, ids: Sequence[str]) -> dict[str, Credit]:
    """The effect of showing each of these cases, measured in runs to which it was offered at random."""
    offer, recall = CaseOfferRow, CaseRecallRow
    same = and_(offer.memory == recall.memory, offer.namespace == recall.namespace, offer.run_id == recall.run_id)
    query = select(offer.case_id, offer.shown, offer.probability, recall.outcome).join(recall, same)
    query = query.where(offer.memory == memory, offer.case_id.in_(ids), recall.outcome.is_not(None))
    seen: dict[str, list[tuple[float, float, float]]] = {}
    for case, was_shown, probability, outcome in connection.execute(query):
        if 0 < probability < 1:
            seen.setdefault(case, []).append((float(was_shown), probability, outcome))
    return {case: credit(*np.array(found, dtype=float).T) for case, found in seen.items()}


def released(site: Site, request: Request, fields: Mapping[str, str]) -> str:
    """Vouch for a case in quarantine; returns the address to go to."""
    from agentkit.memory import open_cases
    from agentkit.memory.trust import release

    name = request.path_params["name"]
    memory = open_cases(site.store, name, settings=site.settings)
    release(memory, [request.path_params["id"]], namespace=fields.get("namespace", "default"))
    return address("memories", name)
