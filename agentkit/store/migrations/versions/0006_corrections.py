"""Cases store their answer and correction; opinions on past runs get a table.

The answers of existing cases are read from the last lines of their plans.
"""

import sqlalchemy as sa
from alembic import op

from agentkit.store.base import Time

revision = "0006"
down_revision = "0005"

_BATCH = 1000
_MARKS = ("Wrong answer: ", "Answer: ")


def upgrade() -> None:
    op.add_column("cases", sa.Column("answer", sa.Text(), nullable=True))
    op.add_column("cases", sa.Column("correction", sa.Text(), nullable=True))
    op.add_column("cases", sa.Column("corrected_by", sa.String(length=200), server_default="", nullable=False))
    op.add_column("cases", sa.Column("instructions", sa.String(length=32), server_default="", nullable=False))
    op.create_table(
        "opinions",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", Time(length=32), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_opinions_run_id_runs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opinions")),
        sa.UniqueConstraint("key", name=op.f("uq_opinions_key")),
    )
    op.create_index(op.f("ix_opinions_run_id"), "opinions", ["run_id"], unique=False)
    _read_answers(op.get_bind())


def _read_answers(connection: sa.Connection) -> None:
    cases = sa.table("cases", sa.column("seq"), sa.column("plan"), sa.column("answer"), sa.column("run_id"))
    last = 0
    while True:
        query = sa.select(cases.c.seq, cases.c.plan).where(cases.c.seq > last, cases.c.run_id.is_not(None))
        rows = connection.execute(query.order_by(cases.c.seq).limit(_BATCH)).all()
        if not rows:
            return
        found = [{"case": row.seq, "found": answer} for row in rows if (answer := _answer(row.plan)) is not None]
        if found:
            change = sa.update(cases).where(cases.c.seq == sa.bindparam("case"))
            connection.execute(change.values(answer=sa.bindparam("found")), found)
        last = rows[-1].seq


def _answer(plan: str) -> str | None:
    """The text behind the last line-initial mark."""
    starts = [(plan.rfind(f"\n{mark}") + 1, mark) for mark in _MARKS if f"\n{mark}" in plan]
    starts += [(0, mark) for mark in _MARKS if not starts and plan.startswith(mark)]
    if not starts:
        return None
    start, mark = max(starts)
    return plan[start + len(mark) :]
