"""Tables of evolution."""

import sqlalchemy as sa
from alembic import op

from agentkit.store.base import Time

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "trials",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("task_id", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("judged", sa.Double(), nullable=True),
        sa.Column("cost", sa.JSON(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", Time(length=32), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_trials")),
    )
    op.create_table(
        "gate_tests",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("evolution", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("holdout", sa.String(length=64), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("level", sa.Double(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("created_at", Time(length=32), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_gate_tests")),
    )
    op.create_index(op.f("ix_gate_tests_evolution"), "gate_tests", ["evolution"], unique=False)
    op.create_index(op.f("ix_gate_tests_holdout"), "gate_tests", ["holdout"], unique=False)
    op.create_table(
        "evolutions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("start", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("created_at", Time(length=32), nullable=False),
        sa.Column("updated_at", Time(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evolutions")),
    )
    op.create_table(
        "evolution_steps",
        sa.Column("evolution", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", Time(length=32), nullable=False),
        sa.PrimaryKeyConstraint("evolution", "number", name=op.f("pk_evolution_steps")),
    )
