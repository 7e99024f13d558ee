"""Vectors of bullets are kept under one hash of their text, as those of cases are: the earlier ones are made anew.

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
