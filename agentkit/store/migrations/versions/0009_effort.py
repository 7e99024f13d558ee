"""The mode that a run took, and why."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("runs", sa.Column("effort", sa.JSON(), nullable=True))
