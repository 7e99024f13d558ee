"""Tables of curation: documents, the work on them, and all versions of the knowledge base."""

import sqlalchemy as sa
from alembic import op

from agentkit.store.base import Time

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "documents",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("parser", sa.String(length=40), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", "parser", name=op.f("pk_documents")),
    )
    op.create_table(
        "kb_documents",
        sa.Column("kb", sa.String(length=160), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("parser", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("kb", "document", name=op.f("pk_kb_documents")),
    )
    op.create_table(
        "curation_work",
        sa.Column("kb", sa.String(length=160), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("element", sa.String(length=200), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=120), nullable=False),
        sa.Column("lease_until", Time(length=32), nullable=True),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("claims", sa.JSON(), nullable=False),
        sa.Column("rounds", sa.Integer(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Double(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("updated_at", Time(length=32), nullable=False),
        sa.PrimaryKeyConstraint("kb", "key", name=op.f("pk_curation_work")),
    )
    op.create_index("ix_curation_work_document", "curation_work", ["kb", "document"], unique=False)
    op.create_table(
        "kb_entities",
        sa.Column("kb", sa.String(length=160), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("since", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("until", sa.Integer(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("cls", sa.String(length=120), nullable=False),
        sa.Column("curies", sa.JSON(), nullable=False),
        sa.Column("ambiguous", sa.Boolean(), nullable=False),
        sa.Column("groundable", sa.Boolean(), nullable=False),
        sa.Column("hash", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("kb", "id", "since", name=op.f("pk_kb_entities")),
    )
    op.create_index("ix_kb_entities_since", "kb_entities", ["kb", "since"], unique=False)
    op.create_index("ix_kb_entities_until", "kb_entities", ["kb", "until", "id"], unique=False)
    op.create_table(
        "kb_claims",
        sa.Column("kb", sa.String(length=160), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("since", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("until", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("predicate", sa.String(length=120), nullable=False),
        sa.Column("object", sa.String(length=200), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("qualifiers", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("disagreement", sa.Double(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("hash", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("kb", "id", "since", name=op.f("pk_kb_claims")),
    )
    op.create_index("ix_kb_claims_document", "kb_claims", ["kb", "document"], unique=False)
    op.create_index("ix_kb_claims_since", "kb_claims", ["kb", "since"], unique=False)
    op.create_index("ix_kb_claims_subject", "kb_claims", ["kb", "subject"], unique=False)
    op.create_index("ix_kb_claims_until", "kb_claims", ["kb", "until", "id"], unique=False)
    op.create_table(
        "kb_reviews",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kb", sa.String(length=160), nullable=False),
        sa.Column("claim", sa.String(length=64), nullable=False),
        sa.Column("decision", sa.String(length=12), nullable=False),
        sa.Column("reviewer", sa.String(length=120), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", Time(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kb_reviews")),
    )
    op.create_index("ix_kb_reviews_claim", "kb_reviews", ["kb", "claim"], unique=False)
