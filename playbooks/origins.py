"""Where bullets come from: the changes that touched them, and the sources of those changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from agentkit.store.changes import ChangeRow
from agentkit.store.playbooks import OriginRow


@dataclass(frozen=True, kw_only=True)
class Origin:
    """One change that touched a bullet: what it did, who made it, and which run caused it."""

    bullet_id: str
    version: int
    operation: str
    change_id: str
    run_id: str | None
    role: str
    model: str
    source: str
    signal: str
    created_at: dt.datetime


_OF_THE_CHANGE = ("run_id", "role", "model", "source", "signal", "created_at")


def read_origins(connection: Connection, target: str, ids: Sequence[str]) -> list[Origin]:
    """Every change to a playbook that touched one of these bullets, oldest first."""
    query = select(OriginRow.bullet_id, OriginRow.version, OriginRow.operation, OriginRow.change_id)
    query = query.add_columns(*(getattr(ChangeRow, name) for name in _OF_THE_CHANGE))
    query = query.join(ChangeRow, ChangeRow.id == OriginRow.change_id)
    query = query.where(OriginRow.target == target, OriginRow.bullet_id.in_(ids)).order_by(OriginRow.version)
    return [Origin(**row) for row in connection.execute(query).mappings()]


def read_touched(connection: Connection, target: str, source: str) -> set[str]:
    """The ids of those bullets that were touched by a change with text from this source."""
    query = select(OriginRow.bullet_id).join(ChangeRow, ChangeRow.id == OriginRow.change_id)
    query = query.where(OriginRow.target == target, ChangeRow.source == source)
    return set(connection.execute(query).scalars())
