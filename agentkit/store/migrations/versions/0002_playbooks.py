"""Tables of playbooks: bullet history, rollbacks, votes, exposures, lessons and learning steps."""

import sqlalchemy as sa
from alembic import op

from agentkit.store.base import Time

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "playbook_bullets",
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("revised", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("section", sa.String(length=80), nullable=False),
        sa.Column("scope", sa.String(length=120), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("parents", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("target", "id", "revised", name=op.f("pk_playbook_bullets")),
    )
    op.create_index("ix_playbook_bullets_revised", "playbook_bullets", ["target", "revised"], unique=False)
    op.create_table(
        "playbook_exposures",
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("bullet_id", sa.String(length=32), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("shown", sa.Boolean(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("created_at", Time(length=32), nullable=False),
        sa.PrimaryKeyConstraint("target", "bullet_id", "run_id", name=op.f("pk_playbook_exposures")),
    )
    op.create_table(
        "playbook_lessons",
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lesson", sa.JSON(), nullable=False),
        sa.Column("claimed_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", Time(length=32), nullable=False),
        sa.PrimaryKeyConstraint("target", "run_id", "n", name=op.f("pk_playbook_lessons")),
    )
    op.create_index("ix_playbook_lessons_claim", "playbook_lessons", ["target", "claimed_by"], unique=False)
    op.create_table(
        "playbook_origins",
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("bullet_id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("operation", sa.String(length=16), nullable=False),
        sa.Column("change_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("target", "bullet_id", "version", name=op.f("pk_playbook_origins")),
    )
    op.create_table(
        "playbook_recalls",
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", Time(length=32), nullable=False),
        sa.PrimaryKeyConstraint("target", "run_id", name=op.f("pk_playbook_recalls")),
    )
    op.create_table(
        "playbook_rollbacks",
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("restored", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("target", "version", name=op.f("pk_playbook_rollbacks")),
    )
    op.create_table(
        "playbook_steps",
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.JSON(), nullable=False),
        sa.Column("reflected", sa.Boolean(), nullable=False),
        sa.Column("parsed", sa.Boolean(), nullable=False),
        sa.Column("operations", sa.Integer(), nullable=False),
        sa.Column("votes", sa.Integer(), nullable=False),
        sa.Column("created_at", Time(length=32), nullable=False),
        sa.PrimaryKeyConstraint("target", "run_id", name=op.f("pk_playbook_steps")),
    )
    op.create_index("ix_playbook_steps_created", "playbook_steps", ["target", "created_at"], unique=False)
    op.create_table(
        "playbook_vectors",
        sa.Column("embedder", sa.String(length=120), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("embedder", "hash", name=op.f("pk_playbook_vectors")),
    )
    op.create_table(
        "playbook_votes",
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("bullet_id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("helpful", sa.Integer(), nullable=False),
        sa.Column("harmful", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("target", "bullet_id", "version", name=op.f("pk_playbook_votes")),
    )
