"""Tables of playbooks: bullets through time, and the evidence about them.

`playbook_bullets` is a materialised view of the ledger: a row for every state a bullet has ever had, never changed or
removed again. A rollback is one row of `playbook_rollbacks`, which leaves a stretch of history aside; so each version
of a playbook is one indexed query, and going back costs the same however much has happened since.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from agentkit.json_types import JsonObject
from agentkit.store.base import Base, now


class BulletRow(Base):
    """One state of one bullet, from the version in which it was `revised` until the next on the same line."""

    __tablename__ = "playbook_bullets"
    __table_args__ = (Index("ix_playbook_bullets_revised", "target", "revised"),)

    target: Mapped[str] = mapped_column(String(200), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    revised: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    section: Mapped[str] = mapped_column(String(80))
    scope: Mapped[str] = mapped_column(String(120))
    content: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(8))
    added: Mapped[int]
    seq: Mapped[int]
    parents: Mapped[str] = mapped_column(Text, default="")


class RollbackRow(Base):
    """A version that begins a new line: what came before it is what was at an earlier version."""

    __tablename__ = "playbook_rollbacks"

    target: Mapped[str] = mapped_column(String(200), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    restored: Mapped[int]
    line: Mapped[int]
    """The rollback that began the line on which the restored version stands; 0 where none did."""


class OriginRow(Base):
    """Which applied change touched a bullet; the change names the run, the source and the author."""

    __tablename__ = "playbook_origins"

    target: Mapped[str] = mapped_column(String(200), primary_key=True)
    bullet_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    operation: Mapped[str] = mapped_column(String(16))
    change_id: Mapped[str] = mapped_column(String(64))


class VoteRow(Base):
    """Helpful and harmful marks that one change gave a bullet."""

    __tablename__ = "playbook_votes"

    target: Mapped[str] = mapped_column(String(200), primary_key=True)
    bullet_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    helpful: Mapped[int]
    harmful: Mapped[int]


class ExposureRow(Base):
    """A run in which a bullet was shown or withheld at random, and how the run ended."""

    __tablename__ = "playbook_exposures"

    target: Mapped[str] = mapped_column(String(200), primary_key=True)
    bullet_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    shown: Mapped[bool]
    probability: Mapped[float]
    weight: Mapped[float]
    """How much the run's task is about the bullet: 1 for the closest of those in play."""
    score: Mapped[float]
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class PlaybookRecallRow(Base):
    """The version a run was given: the same run gets the same block, whatever has been learnt since."""

    __tablename__ = "playbook_recalls"

    target: Mapped[str] = mapped_column(String(200), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int]
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class LessonRow(Base):
    """What a reflector drew from a run, until a curator has dealt with it."""

    __tablename__ = "playbook_lessons"
    __table_args__ = (Index("ix_playbook_lessons_claim", "target", "claimed_by"),)

    target: Mapped[str] = mapped_column(String(200), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    lesson: Mapped[JsonObject]
    claimed_by: Mapped[str] = mapped_column(String(64), default="")
    """The run whose learning curates it; empty while it waits."""
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class LearningStepRow(Base):
    """What learning did with a run: makes it happen once, and feeds the alarms."""

    __tablename__ = "playbook_steps"
    __table_args__ = (Index("ix_playbook_steps_created", "target", "created_at"),)

    target: Mapped[str] = mapped_column(String(200), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    outcome: Mapped[JsonObject]
    reflected: Mapped[bool]
    parsed: Mapped[bool]
    operations: Mapped[int]
    votes: Mapped[int]
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class VectorRow(Base):
    """The embedding of a text, by the hash of the text: never computed twice for one embedder."""

    __tablename__ = "playbook_vectors"

    embedder: Mapped[str] = mapped_column(String(120), primary_key=True)
    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)
