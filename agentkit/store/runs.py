"""Tables of runs, their calls and the feedback on them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import Double, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from agentkit.json_types import JsonObject
from agentkit.store.base import Base, now


class RunRow(Base):
    """One pass of the state machine over a task; `id` is also its LangGraph thread."""

    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    task: Mapped[JsonObject]
    status: Mapped[str] = mapped_column(String(16), index=True)
    """running · done · abstained · declined · waiting (for a person) · failed · interrupted"""
    owner: Mapped[str | None] = mapped_column(String(200))
    """The process that is working on it; see `agentkit.store.owner`."""
    model: Mapped[str] = mapped_column(String(200))
    options: Mapped[JsonObject]
    answer: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    batch: Mapped[str | None] = mapped_column(String(200), index=True)
    rounds: Mapped[int] = mapped_column(default=0)
    seconds: Mapped[float] = mapped_column(default=0.0)
    effort: Mapped[JsonObject | None]
    """The decision on the run's mode: `mode`, `why`, `probability`."""
    confidence: Mapped[float | None] = mapped_column(Double)
    """The probability that the answer is right, by the calibration in effect at the time."""
    created_at: Mapped[dt.datetime] = mapped_column(default=now, index=True)
    updated_at: Mapped[dt.datetime] = mapped_column(default=now)
    """While it is running, the time of its last heartbeat."""


class RecallRow(Base):
    """The context blocks of a run, fixed when it started."""

    __tablename__ = "recalls"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    blocks: Mapped[list[Any]]
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class ModelCallRow(Base):
    """A completed model call; a resumed run takes the answer from here instead of calling again."""

    __tablename__ = "model_calls"
    __table_args__ = (Index("ix_model_calls_request", "request_hash"),)

    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    scope: Mapped[str] = mapped_column(String(120))
    role: Mapped[str] = mapped_column(String(40))
    model: Mapped[str] = mapped_column(String(200))
    request_hash: Mapped[str] = mapped_column(String(64))
    response: Mapped[JsonObject]
    input_tokens: Mapped[int] = mapped_column(default=0)
    output_tokens: Mapped[int] = mapped_column(default=0)
    cached_tokens: Mapped[int] = mapped_column(default=0)
    cost: Mapped[float] = mapped_column(default=0.0)
    seconds: Mapped[float] = mapped_column(default=0.0)
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class ToolCallRow(Base):
    """A completed tool call, recorded so that its effect is not repeated when a run resumes."""

    __tablename__ = "tool_calls"

    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    tool: Mapped[str] = mapped_column(String(120))
    arguments: Mapped[JsonObject]
    result: Mapped[str] = mapped_column(Text)
    ok: Mapped[bool]
    seconds: Mapped[float] = mapped_column(default=0.0)
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class FeedbackRow(Base):
    """What is known about a run's answer; one row per channel and round."""

    __tablename__ = "feedback"
    __table_args__ = (UniqueConstraint("run_id", "channel", "round"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    channel: Mapped[str] = mapped_column(String(16))
    round: Mapped[int] = mapped_column(default=0)
    score: Mapped[float | None]
    text: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class OpinionRow(Base):
    """An opinion on a finished run; the same opinion given twice by the same person is one row."""

    __tablename__ = "opinions"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    by: Mapped[str] = mapped_column(String(200))
    channel: Mapped[str] = mapped_column(String(16))
    """user · label"""
    score: Mapped[float | None] = mapped_column(Double)
    answer: Mapped[str | None] = mapped_column(Text)
    """The right answer, in their view."""
    text: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[dt.datetime] = mapped_column(default=now)
