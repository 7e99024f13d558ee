"""What was learnt: playbooks and memories, with their effects, versions and what waits for a person."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import and_, func, select
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agentkit import changes
from agentkit.ledger import Change, Ledger
from agentkit.memory.credit import Credit, credit
from agentkit.playbooks.evidence import UsageLog
from agentkit.playbooks.storage import PlaybookStore, playbook_names
from agentkit.store.cases import CaseOfferRow, CaseRecallRow, CaseRow, MemoryRow
from agentkit.view.pictures import Interval, forest
from agentkit.view.site import Site, address, done, not_found, shown, whole_number

PAGE = 50
_SHOWN = 30
"""Changes on a page."""
_MOST = 40
"""Rows of a forest plot."""


def routes(site: Site) -> list[Route]:
    return [
        shown(site, "/playbooks", playbooks),
        shown(site, "/playbooks/{name}", playbook),
        shown(site, "/playbooks/{name}/diff", differences),
        shown(site, "/playbooks/{name}/bullets/{id}", bullet),
        shown(site, "/memories", memories),
        shown(site, "/memories/{name}", memory),
        done(site, "/changes/{id}/decide", decided),
        done(site, "/targets/{name}/rollback", rolled_back),
        done(site, "/memories/{name}/cases/{id}/release", released),
    ]


def playbooks(site: Site, request: Request) -> Response:
    books = [PlaybookStore(site.store, name).current() for name in playbook_names(site.store)]
    return site.page("playbooks", "Playbooks", books=books)


def _book(site: Site, request: Request) -> PlaybookStore:
    with not_found():
        return PlaybookStore.open(site.store, request.path_params["name"], must_exist=True)


def playbook(site: Site, request: Request) -> Response:
    """The bullets of a version, what each was seen to change, what waits, and the versions."""
    store = _book(site, request)
    newest = store.version()
    version = _number(request.query_params.get("version"), newest)
    book, effects = store.at(version), UsageLog(store.store, store.target).effects()
    votes = store.votes(version)
    known = [(item, effects[item.id]) for item in book.active if item.id in effects][:_MOST]
    rows = [
        Interval(
            label=f"{item.id} {item.content}",
            value=effect.mean,
            low=effect.interval()[0],
            high=effect.interval()[1],
            note=f"n={effect.shown}+{effect.withheld}",
        )
        for item, effect in known
    ]
    waits = [change for status in ("quarantined", "waiting") for change in _changes(store.ledger, store.target, status)]
    return site.page(
        "playbook",
        f"Playbook {store.name}",
        book=book,
        newest=newest,
        votes=votes,
        picture=forest(rows),
        effects=effects,
        waits=[(change, _reason(store.ledger, change)) for change in waits],
        log=_changes(store.ledger, store.target, None),
    )


def _changes(ledger: Ledger, target: str, status: Any) -> list[Change]:
    return ledger.history(target, status=status, limit=_SHOWN)


def _reason(ledger: Ledger, change: Change) -> str:
    return str((ledger.events(change.id)[-1].verdict or {}).get("reason", ""))


def _number(text: str | None, otherwise: int) -> int:
    return whole_number(text, "version") if text else otherwise


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A stretch of two texts: in both ("same"), in the first alone ("gone"), in the second alone ("new")."""

    kind: str
    text: str


def words_apart(before: str, after: str) -> list[Piece]:
    """Two texts against each other, word by word."""
    one, two = (re.findall(r"\s+|\w+|[^\w\s]", text) for text in (before, after))
    pieces = []
    for kind, a, b, c, d in difflib.SequenceMatcher(a=one, b=two, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(Piece(kind="same", text="".join(one[a:b])))
            continue
        pieces += [Piece(kind="gone", text="".join(one[a:b]))] if b > a else []
        pieces += [Piece(kind="new", text="".join(two[c:d]))] if d > c else []
    return pieces


def differences(site: Site, request: Request) -> Response:
    """What differs between two versions, word by word."""
    store, asked = _book(site, request), request.query_params
    newest = store.version()
    before, after = _number(asked.get("from"), max(0, newest - 1)), _number(asked.get("to"), newest)
    edits = [
        (edit.kind, edit.after or edit.before, words_apart(_content(edit.before), _content(edit.after)))
        for edit in store.diff(before, after)
    ]
    return site.page(
        "diff", f"Playbook {store.name}: {before} → {after}", name=store.name, edits=edits, before=before, after=after
    )


def _content(bullet: Any) -> str:
    return bullet.content if bullet is not None and bullet.active else ""


def bullet(site: Site, request: Request) -> Response:
    """Where a bullet comes from."""
    store = _book(site, request)
    id = request.path_params["id"]
    found = store.current().bullets.get(id)
    if found is None:
        raise HTTPException(404, f"no bullet {id!r}")
    return site.page("bullet", f"Bullet {id}", name=store.name, bullet=found, origins=store.blame(id))


def memories(site: Site, request: Request) -> Response:
    counted = select(CaseRow.memory, CaseRow.status, func.count()).group_by(CaseRow.memory, CaseRow.status)
    with site.store.read() as connection:
        names = connection.execute(select(MemoryRow.name, MemoryRow.embedder).order_by(MemoryRow.name)).all()
        counts: dict[str, dict[str, int]] = {}
        for name, status, count in connection.execute(counted):
            counts.setdefault(name, {})[status] = count
    return site.page("memories", "Memories", rows=[(name, embedder, counts.get(name, {})) for name, embedder in names])


def memory(site: Site, request: Request) -> Response:
    """Cases, newest first, with what showing them was seen to change."""
    name, asked = request.path_params["name"], request.query_params
    status, words, before = asked.get("status", ""), asked.get("q", "").strip(), _number(asked.get("before"), 0)
    query = select(CaseRow.__table__).where(CaseRow.memory == name).order_by(CaseRow.seq.desc()).limit(PAGE + 1)
    if status:
        query = query.where(CaseRow.status == status)
    if words:
        query = query.where(CaseRow.state.contains(words, autoescape=True))
    if before:
        query = query.where(CaseRow.seq < before)
    with site.store.read() as connection:
        if connection.execute(select(MemoryRow.name).where(MemoryRow.name == name)).scalar() is None:
            raise HTTPException(404, f"no memory {name!r}")
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
        picture=forest(rows[:_MOST]),
        older=older,
        status=status,
        words=words,
        target=target,
        version=ledger.version(target),
        log=_changes(ledger, target, None),
    )


def _credits(connection: Any, memory: str, ids: Sequence[str]) -> dict[str, Credit]:
    """What showing each of these cases was seen to change, in runs to which it was offered at random."""
    offer, recall = CaseOfferRow, CaseRecallRow
    same = and_(offer.memory == recall.memory, offer.namespace == recall.namespace, offer.run_id == recall.run_id)
    query = select(offer.case_id, offer.shown, offer.probability, recall.outcome).join(recall, same)
    query = query.where(offer.memory == memory, offer.case_id.in_(ids), recall.outcome.is_not(None))
    seen: dict[str, list[tuple[float, float, float]]] = {}
    for case, was_shown, probability, outcome in connection.execute(query):
        if 0 < probability < 1:
            seen.setdefault(case, []).append((float(was_shown), probability, outcome))
    return {case: credit(*np.array(found, dtype=float).T) for case, found in seen.items()}


def decided(site: Site, request: Request, fields: Mapping[str, str]) -> str:
    """Accept or reject a change that waits."""
    reason = fields.get("reason", "").strip() or f"decided by {site.options.reviewer}"
    change = changes.decide(
        site.store, request.path_params["id"], accept=fields.get("decision") == "accept", reason=reason
    )
    return _home(change.target)


def rolled_back(site: Site, request: Request, fields: Mapping[str, str]) -> str:
    """Make an earlier version current."""
    target = request.path_params["name"]
    version = _number(fields.get("version") or "x", 0)
    changes.rollback(site.store, target, version, reason=f"by {site.options.reviewer}")
    return _home(target)


def _home(target: str) -> str:
    """The page of what evolves."""
    kind, _, name = target.partition(":")
    return address({"playbook": "playbooks", "policy": "memories", "kb": "kbs"}.get(kind, "runs"), name)


def released(site: Site, request: Request, fields: Mapping[str, str]) -> str:
    """Vouch for a case in quarantine."""
    from agentkit.memory import open_cases
    from agentkit.memory.trust import release

    name = request.path_params["name"]
    memory = open_cases(site.store, name, settings=site.settings)
    release(memory, [request.path_params["id"]], namespace=fields.get("namespace", "default"))
    return address("memories", name)
