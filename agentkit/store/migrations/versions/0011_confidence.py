"""How likely a run's answer is right."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("runs", sa.Column("confidence", sa.Double(), nullable=True))
