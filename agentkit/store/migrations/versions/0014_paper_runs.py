"""What stands behind a question about a paper: its run, what it recalled, its model calls, its bare key."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("curation_work", sa.Column("run_id", sa.String(length=64), nullable=True))
    op.add_column("curation_work", sa.Column("recalled", sa.JSON(), nullable=True))
    op.add_column("curation_work", sa.Column("called", sa.JSON(), nullable=True))
    op.add_column("curation_work", sa.Column("question", sa.String(length=64), nullable=True))
