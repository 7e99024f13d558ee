"""Vectors of bullets are keyed by the same text hash as those of cases; existing ones are recomputed.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM playbook_vectors")


def downgrade() -> None:
    op.execute("DELETE FROM playbook_vectors")
