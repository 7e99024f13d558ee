"""The bytes of runs' files: stored once per hash, for as long as a run refers to them."""

from __future__ import annotations

from sqlalchemy import Connection, ForeignKey, LargeBinary, String, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from agentkit.errors import DataError
from agentkit.store.base import Base
from agentkit.store.engine import Store
from agentkit.tasks import Task


class FileRow(Base):
    """File contents by hash."""

    __tablename__ = "files"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class RunFileRow(Base):
    """Which run has which file; deleted with the run."""

    __tablename__ = "run_files"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)


def save_files(store: Store, connection: Connection, run_id: str, task: Task) -> None:
    """Store the bytes of a run's files."""
    rows = [{"sha256": file.sha256, "data": file.data} for file in task.files if file.data is not None]
    store.insert_new(connection, FileRow, rows)
    store.insert_new(connection, RunFileRow, [{"run_id": run_id, "sha256": file.sha256} for file in task.files])


def with_files(store: Store, task: Task) -> Task:
    """The task with the bytes of its files loaded.

    Raises:
        DataError: the bytes of a file are not stored here.
    """
    wanted = {file.sha256 for file in task.files if file.data is None}
    if not wanted:
        return task
    with store.read() as connection:
        rows = connection.execute(select(FileRow.sha256, FileRow.data).where(FileRow.sha256.in_(wanted)))
        kept = {sha256: data for sha256, data in rows}
    if lost := [file.name for file in task.files if file.data is None and file.sha256 not in kept]:
        raise DataError(f"task {task.id!r}: the bytes of {lost[0]} are not in this database: provide the file")
    return task.model_copy(update={"files": tuple(file.with_data(kept.get(file.sha256)) for file in task.files)})


def drop_unused_files(connection: Connection) -> None:
    """Delete the bytes that no run refers to any more."""
    connection.execute(delete(FileRow).where(FileRow.sha256.not_in(select(RunFileRow.sha256))))
