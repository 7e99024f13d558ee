"""Tables of playbooks: the history of bullets, and the evidence about them.

`playbook_bullets` is a materialised view of the ledger: one row for every state that a bullet has ever had; rows are
never changed or removed. A rollback is one row of `playbook_rollbacks`, which hides a stretch of history. So any
version of a playbook is one indexed query, and a rollback costs the same no matter how much has happened since.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from agentkit.json_types import JsonObject
from agentkit.store.base import Base, now


class BulletRow(Base):
    """One state of a bullet, from the version in which it was `revised` until its next state on the same line of
    history."""

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
    """A version that starts a new line of history, which continues from an earlier version."""

    __tablename__ = "playbook_rollbacks"

    target: Mapped[str] = mapped_column(String(200), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    restored: Mapped[int]
    line: Mapped[int]
    """The rollback that started the line which the restored version is on; 0 if it is on the first line."""


class OriginRow(Base):
    """Which applied change touched a bullet; the change names the run, the source and the author."""

    __tablename__ = "playbook_origins"

    target: Mapped[str] = mapped_column(String(200), primary_key=True)
    bullet_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    operation: Mapped[str] = mapped_column(String(16))
    change_id: Mapped[str] = mapped_column(String(64))


class VoteRow(Base):
    """Helpful and harmful marks that one change gave to a bullet."""

    __tablename__ = "playbook_votes"

    target: Mapped[str] = mapped_column(String(200), primary_key=True)
    bullet_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    helpful: Mapped[int]
    harmful: Mapped[int]


class ExposureRow(Base):
    """A run in which a bullet was shown, or withheld at random, and the run's score."""

    __tablename__ = "playbook_exposures"

    target: Mapped[str] = mapped_column(String(200), primary_key=True)
    bullet_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    shown: Mapped[bool]
    probability: Mapped[float]
    weight: Mapped[float]
    """How relevant the bullet was to the run's task: 1 for the most relevant one considered."""
    score: Mapped[float]
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class PlaybookRecallRow(Base):
    """The version that a run was given: the same run always gets the same block, whatever has been learnt since."""

    __tablename__ = "playbook_recalls"

    target: Mapped[str] = mapped_column(String(200), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int]
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class LessonRow(Base):
    """A lesson that the reflector drew from a run, kept until the curator has processed it."""

    __tablename__ = "playbook_lessons"
    __table_args__ = (Index("ix_playbook_lessons_claim", "target", "claimed_by"),)

    target: Mapped[str] = mapped_column(String(200), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    lesson: Mapped[JsonObject]
    claimed_by: Mapped[str] = mapped_column(String(64), default="")
    """The run whose learning step curates it; empty while it is pending."""
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class LearningStepRow(Base):
    """The outcome of learning from a run; ensures that it happens once, and is input for the alarms."""

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
    """The embedding of a text, keyed by its hash; computed only once per embedder."""

    __tablename__ = "playbook_vectors"

    embedder: Mapped[str] = mapped_column(String(120), primary_key=True)
    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)
