"""Tables of memory: cases, vectors, offers, recalls, removals and policy snapshots."""

import sqlalchemy as sa
from alembic import op

from agentkit.store.base import Time

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "case_items",
        sa.Column("memory", sa.String(length=80), nullable=False),
        sa.Column("prefix", sa.String(length=400), nullable=False),
        sa.Column("key", sa.String(length=400), nullable=False),
        sa.Column("value", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("paths", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("ttl", sa.Double(), nullable=True),
        sa.Column("expires_at", Time(length=32), nullable=True),
        sa.Column("created_at", Time(length=32), nullable=False),
        sa.Column("updated_at", Time(length=32), nullable=False),
        sa.PrimaryKeyConstraint("memory", "prefix", "key", name=op.f("pk_case_items")),
    )
    op.create_index("ix_case_items_expires", "case_items", ["memory", "expires_at"], unique=False)
    op.create_table(
        "case_memories",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("epoch", sa.String(length=32), nullable=False),
        sa.Column("clock", sa.Integer(), nullable=False),
        sa.Column("embedder", sa.String(length=200), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("settings", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", Time(length=32), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_case_memories")),
    )
    op.create_table(
        "case_offers",
        sa.Column("memory", sa.String(length=80), nullable=False),
        sa.Column("namespace", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("shown", sa.Boolean(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("features", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("memory", "namespace", "run_id", "place", name=op.f("pk_case_offers")),
    )
    op.create_index("ix_case_offers_case_id", "case_offers", ["memory", "case_id"], unique=False)
    op.create_table(
        "case_recalls",
        sa.Column("memory", sa.String(length=80), nullable=False),
        sa.Column("namespace", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("policy", sa.String(length=80), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state_hash", sa.String(length=32), nullable=False),
        sa.Column("outcome", sa.Double(), nullable=True),
        sa.Column("learnt", sa.Integer(), nullable=True),
        sa.Column("created_at", Time(length=32), nullable=False),
        sa.PrimaryKeyConstraint("memory", "namespace", "run_id", name=op.f("pk_case_recalls")),
    )
    op.create_table(
        "case_vectors",
        sa.Column("embedder", sa.String(length=200), nullable=False),
        sa.Column("hash", sa.String(length=32), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("embedder", "hash", name=op.f("pk_case_vectors")),
    )
    op.create_table(
        "policy_snapshots",
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("policy", sa.String(length=80), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", Time(length=32), nullable=False),
        sa.PrimaryKeyConstraint("target", "policy", name=op.f("pk_policy_snapshots")),
    )
    op.create_table(
        "case_removals",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("memory", sa.String(length=80), nullable=False),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["memory"], ["case_memories.name"], name=op.f("fk_case_removals_memory_case_memories")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_case_removals")),
    )
    op.create_index("ix_case_removals_memory_rev", "case_removals", ["memory", "rev"], unique=False)
    op.create_table(
        "cases",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.Column("memory", sa.String(length=80), nullable=False),
        sa.Column("namespace", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("reward", sa.Double(), nullable=True),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("source", sa.String(length=400), nullable=False),
        sa.Column("trusted", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("parents", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("masked", sa.Text(), nullable=False),
        sa.Column("state_hash", sa.String(length=32), nullable=False),
        sa.Column("masked_hash", sa.String(length=32), nullable=False),
        sa.Column("plan_hash", sa.String(length=32), nullable=False),
        sa.Column("created_at", Time(length=32), nullable=False),
        sa.ForeignKeyConstraint(["memory"], ["case_memories.name"], name=op.f("fk_cases_memory_case_memories")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_cases")),
        sa.UniqueConstraint("memory", "namespace", "id", name=op.f("uq_cases_memory_namespace_id")),
        sa.UniqueConstraint("memory", "namespace", "run_id", name=op.f("uq_cases_memory_namespace_run_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_cases_memory_rev", "cases", ["memory", "rev"], unique=False)
