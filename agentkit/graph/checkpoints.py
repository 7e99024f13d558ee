"""LangGraph's published checkpoint savers on our store, usable from any event loop.

The asynchronous SQLite saver uses a thread for every write and is bound to one event loop. A checkpoint takes less than
a millisecond to write, so the synchronous saver is called in place instead; PostgreSQL's is called in a worker thread.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Interrupt

from agentkit import faults
from agentkit.errors import MissingExtra
from agentkit.redaction import may_hold, redact, redact_data
from agentkit.store import Store
from agentkit.store.engine import BUSY_SECONDS

if TYPE_CHECKING:
    Saver = BaseCheckpointSaver[str]

T = TypeVar("T")


class _Kept(JsonPlusSerializer):
    """A serializer that only builds types known to be harmless, whatever a checkpoint contains, and redacts secrets."""

    def __init__(self) -> None:
        super().__init__(allowed_msgpack_modules=None)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        kind, data = super().dumps_typed(obj)
        return super().dumps_typed(_redacted(obj)) if may_hold(data) else (kind, data)


def _redacted(obj: Any) -> Any:
    """State without secrets: its data, its messages, and the questions of interrupts."""
    if isinstance(obj, BaseMessage):
        names = ("content", "tool_calls", "invalid_tool_calls")
        said = {name: getattr(obj, name) for name in names if hasattr(obj, name)}
        return obj.model_copy(update=redact_data(said))
    if isinstance(obj, Interrupt):
        return Interrupt(value=_redacted(obj.value), id=obj.id)
    if isinstance(obj, dict):
        plain = redact_data({key: value for key, value in obj.items() if isinstance(value, str)})
        return {key: plain[key] if key in plain else _redacted(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple) and type(obj) in (list, tuple):
        return type(obj)(map(_redacted, obj))
    return redact(obj) if isinstance(obj, str) else obj


_STRICT = _Kept()


def open_checkpoints(store: Store) -> Saver:
    """The checkpoint saver for a store's database; missing tables are created."""
    if store.dialect == "sqlite":
        path = store.engine.url.database or ":memory:"
        with store.guarded():
            connection = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
            connection.execute("PRAGMA synchronous=NORMAL")
            saver = SqliteCheckpoints(connection, serde=_STRICT)
            saver.setup()
        return _guarded(saver, store)
    return _guarded(_open_postgres(store), store)


def _guarded(saver: Saver, store: Store) -> Saver:
    """Wrap a saver so that database errors are raised as StoreError, like the store's own."""

    def guard(method: Callable[..., T]) -> Callable[..., T]:
        @wraps(method)
        def call(*args: Any, **options: Any) -> T:
            with store.guarded():
                return method(*args, **options)

        return call

    for name in ("get_tuple", "put", "put_writes", "delete_thread"):
        setattr(saver, name, guard(getattr(saver, name)))
    return saver


class SqliteCheckpoints(SqliteSaver):
    """`SqliteSaver` with asynchronous methods that write in place, without a thread."""

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        if _first(metadata):
            return _named(config, checkpoint)
        faults.point("before:checkpoint")
        done = super().put(config, checkpoint, metadata, new_versions)
        faults.point("after:checkpoint")
        return done

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return self.get_tuple(config)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return self.put(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        if kept := _kept(writes):
            self.put_writes(config, kept, task_id, task_path)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        for item in list(self.list(config, filter=filter, before=before, limit=limit)):
            yield item

    async def adelete_thread(self, thread_id: str) -> None:
        self.delete_thread(thread_id)


def _first(metadata: CheckpointMetadata) -> bool:
    """Whether no node has run yet. Such a checkpoint holds only the initial state, which is rebuilt on resuming, so it
    is not saved."""
    return metadata["step"] < 1


def _named(config: RunnableConfig, checkpoint: Checkpoint) -> RunnableConfig:
    """The configuration that `put` returns for a checkpoint."""
    return {"configurable": {**config["configurable"], "checkpoint_id": checkpoint["id"]}}


def _kept(writes: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The writes of a node that must be saved separately: interrupts, replies to them, errors.

    All other writes are part of the checkpoint that follows immediately, since one node runs at a time. If the process
    is killed between the two, the node runs again and finds its completed calls in the journals.
    """
    return [write for write in writes if write[0].startswith("__")]


def _open_postgres(store: Store) -> Saver:
    try:
        from langgraph.checkpoint.postgres import PostgresSaver
        from psycopg.rows import dict_row
        from psycopg_pool import ConnectionPool
    except ModuleNotFoundError:
        raise MissingExtra("postgres", "langgraph-checkpoint-postgres") from None

    class PostgresCheckpoints(PostgresSaver):
        """`PostgresSaver` with asynchronous methods that write in a worker thread."""

        async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
            return await asyncio.to_thread(self.get_tuple, config)

        async def aput(
            self,
            config: RunnableConfig,
            checkpoint: Checkpoint,
            metadata: CheckpointMetadata,
            new_versions: ChannelVersions,
        ) -> RunnableConfig:
            if _first(metadata):
                return _named(config, checkpoint)
            return await asyncio.to_thread(self.put, config, checkpoint, metadata, new_versions)

        async def aput_writes(
            self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
        ) -> None:
            if kept := _kept(writes):
                await asyncio.to_thread(self.put_writes, config, kept, task_id, task_path)

        async def alist(self, config: RunnableConfig | None, **kwargs: Any) -> AsyncIterator[CheckpointTuple]:
            for item in await asyncio.to_thread(lambda: list(self.list(config, **kwargs))):
                yield item

        async def adelete_thread(self, thread_id: str) -> None:
            await asyncio.to_thread(self.delete_thread, thread_id)

    url = store.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    with store.guarded():
        pool: Any = ConnectionPool(url, min_size=1, max_size=8, kwargs=options, open=True)
        saver = PostgresCheckpoints(pool, serde=_STRICT)
        saver.setup()
    return saver
