"""Tables of evolution: cached trials, tests of the gate, and the progress of `evolve`."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from agentkit.json_types import JsonObject
from agentkit.store.base import Base, now


class TrialRow(Base):
    """One answer to a held-out task with a known context; looked up by its key, so that it is never paid for twice."""

    __tablename__ = "trials"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 over the task, the texts of its context blocks, the agent's fingerprint and the seed."""
    task_id: Mapped[str] = mapped_column(String(200))
    run_id: Mapped[str] = mapped_column(String(64))
    answer: Mapped[str | None] = mapped_column(Text)
    judged: Mapped[float | None]
    cost: Mapped[JsonObject]
    details: Mapped[JsonObject]
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class GateTestRow(Base):
    """One test of the gate, with its evidence; the number of rows for a hold-out is how often it was used."""

    __tablename__ = "gate_tests"

    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    evolution: Mapped[str] = mapped_column(String(64), index=True)
    number: Mapped[int]
    """Its position among the tests of this evolution, from 1."""
    holdout: Mapped[str] = mapped_column(String(64), index=True)
    changes: Mapped[list[Any]]
    level: Mapped[float]
    outcome: Mapped[str] = mapped_column(String(16))
    evidence: Mapped[JsonObject]
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class EvolutionRow(Base):
    """One `evolve` run, identified by a hash of its configuration."""

    __tablename__ = "evolutions"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    config: Mapped[JsonObject]
    start: Mapped[JsonObject]
    """The version of each target at the start."""
    status: Mapped[str] = mapped_column(String(16))
    """running · done"""
    result: Mapped[JsonObject | None]
    created_at: Mapped[dt.datetime] = mapped_column(default=now)
    updated_at: Mapped[dt.datetime] = mapped_column(default=now)


class EvolutionStepRow(Base):
    """A finished step of an evolution: a batch that was learnt from, or a validation."""

    __tablename__ = "evolution_steps"

    evolution: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    data: Mapped[JsonObject]
    created_at: Mapped[dt.datetime] = mapped_column(default=now)
