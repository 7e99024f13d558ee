"""Playbooks: effects of bullets, versions, waiting changes; decisions and rollbacks for everything that evolves."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agentkit import changes
from agentkit.ledger import Change, Ledger
from agentkit.playbooks.evidence import UsageLog
from agentkit.playbooks.storage import PlaybookStore, playbook_names
from agentkit.view.pictures import Interval, forest
from agentkit.view.site import Site, done, not_found, page_of, shown, whole_number

_SHOWN = 30
"""The number of changes on a page."""
MOST = 40
"""The most rows of a forest plot."""


def routes(site: Site) -> list[Route]:
    return [
        shown(site, "/playbooks", playbooks),
        shown(site, "/playbooks/{name}", playbook),
        shown(site, "/playbooks/{name}/diff", differences),
        shown(site, "/playbooks/{name}/bullets/{id}", bullet),
        done(site, "/changes/{id}/decide", decided),
        done(site, "/targets/{name}/rollback", rolled_back),
    ]


def playbooks(site: Site, request: Request) -> Response:
    books = [PlaybookStore(site.store, name).current() for name in playbook_names(site.store)]
    return site.page("playbooks", "Playbooks", books=books)


def _book(site: Site, request: Request) -> PlaybookStore:
    with not_found():
        return PlaybookStore.open(site.store, request.path_params["name"], must_exist=True)


def playbook(site: Site, request: Request) -> Response:
    """The bullets of a version with their measured effects, waiting changes, and the versions."""
    store = _book(site, request)
    newest = store.version()
    version = asked_number(request.query_params.get("version"), newest)
    book, effects = store.at(version), UsageLog(store.store, store.target).effects()
    votes = store.votes(version)
    known = [(item, effects[item.id]) for item in book.active if item.id in effects][:MOST]
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
    return site.page(
        "playbook",
        f"Playbook {store.name}",
        book=book,
        newest=newest,
        votes=votes,
        picture=forest(rows),
        effects=effects,
        waits=waits_of(store.ledger, store.target),
        log=changes_of(store.ledger, store.target),
    )


def changes_of(ledger: Ledger, target: str, status: Any = None) -> list[Change]:
    """The newest changes of a target."""
    return ledger.history(target, status=status, limit=_SHOWN)


def waits_of(ledger: Ledger, target: str) -> list[tuple[Change, str]]:
    """The changes of a target that wait for a person, with the reason."""
    found = [change for status in ("quarantined", "waiting") for change in changes_of(ledger, target, status)]
    return [(change, _reason(ledger, change)) for change in found]


def _reason(ledger: Ledger, change: Change) -> str:
    return str((ledger.events(change.id)[-1].verdict or {}).get("reason", ""))


def asked_number(text: str | None, otherwise: int) -> int:
    """A number given in the address, or the default if there is none."""
    return whole_number(text, "version") if text else otherwise


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of a comparison: in both texts ("same"), only in the first ("gone"), or only in the second ("new")."""

    kind: str
    text: str


def words_apart(before: str, after: str) -> list[Piece]:
    """Compare two texts word by word."""
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
    """The differences between two versions, word by word."""
    store, asked = _book(site, request), request.query_params
    newest = store.version()
    before, after = asked_number(asked.get("from"), max(0, newest - 1)), asked_number(asked.get("to"), newest)
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
    """The origin of a bullet."""
    store = _book(site, request)
    id = request.path_params["id"]
    found = store.current().bullets.get(id)
    if found is None:
        raise HTTPException(404, f"no bullet {id!r}")
    return site.page("bullet", f"Bullet {id}", name=store.name, bullet=found, origins=store.blame(id))


def decided(site: Site, request: Request, fields: Mapping[str, str]) -> str:
    """Accept or reject a waiting change; returns the address to go to."""
    reason = fields.get("reason", "").strip() or f"decided by {site.options.reviewer}"
    change = changes.decide(
        site.store, request.path_params["id"], accept=fields.get("decision") == "accept", reason=reason
    )
    return page_of(change.target) or "/runs"


def rolled_back(site: Site, request: Request, fields: Mapping[str, str]) -> str:
    """Roll back to an earlier version; returns the address to go to."""
    target = request.path_params["name"]
    version = asked_number(fields.get("version") or "x", 0)
    changes.rollback(site.store, target, version, reason=f"by {site.options.reviewer}")
    return page_of(target) or "/runs"
