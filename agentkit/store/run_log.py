"""The stored parts of runs: status, context, tool calls, feedback, and the usage of model calls.

Recognisable secrets are redacted in all of it (`agentkit.redaction`).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Select, Text, bindparam, cast, delete, func, or_, select, update

from agentkit.errors import UserError
from agentkit.json_types import JsonObject
from agentkit.protocols import Block
from agentkit.redaction import redact, redact_data
from agentkit.store.base import JsonValue, now
from agentkit.store.engine import Store
from agentkit.store.files import drop_unused_files, save_files, with_files
from agentkit.store.heartbeat import Heartbeat, is_lost
from agentkit.store.owner import this_process
from agentkit.store.runs import FeedbackRow, ModelCallRow, RecallRow, RunRow, ToolCallRow
from agentkit.tasks import Feedback, Task

FINISHED = ("done", "abstained", "declined")
"""Statuses after which a run can't be resumed."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run as stored; if its process died, its status is `interrupted`."""

    id: str
    task: Task
    status: str
    model: str
    options: JsonObject
    answer: str | None
    error: str | None
    batch: str | None
    rounds: int
    seconds: float
    effort: JsonObject | None
    confidence: float | None
    created_at: dt.datetime


@dataclass(frozen=True, kw_only=True)
class Totals:
    """The total usage of model calls."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: float = 0.0
    model_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """A tool call with its result."""

    key: str
    tool: str
    arguments: JsonObject
    result: str
    ok: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What was done in a run: its model calls in order, its tool calls with their times, and all feedback on it."""

    model_calls: list[JsonObject]
    tool_calls: list[JsonObject]
    feedback: list[Feedback]


_RUN_COLUMNS = [getattr(RunRow, name) for name in (*RunRecord.__dataclass_fields__, "owner", "updated_at")]


def _of_run(row: type[Any], names: Iterable[str], *order: Any) -> Select[Any]:
    """A query for the rows of the run passed as `run`. Every run needs these queries; building them once halves their
    cost."""
    return select(*(getattr(row, name) for name in names)).where(row.run_id == bindparam("run")).order_by(*order)


_BLOCKS = _of_run(RecallRow, ["blocks"])
_TOOL_CALLS = _of_run(ToolCallRow, ToolCall.__dataclass_fields__, ToolCallRow.created_at, ToolCallRow.key)
_TIMED = _of_run(ToolCallRow, ["tool", "arguments", "result", "ok", "seconds", "created_at"])
_FEEDBACK = _of_run(FeedbackRow, ["channel", "score", "text"], FeedbackRow.id)
_MODEL_CALLS = _of_run(ModelCallRow, ModelCallRow.__table__.columns.keys(), ModelCallRow.created_at, ModelCallRow.key)
_ENDED = ("status", "answer", "error", "rounds", "effort", "confidence", "updated_at")
_DECIDED = func.coalesce(bindparam("new_effort", type_=JsonValue), RunRow.effort)
_FINISH = (
    update(RunRow)
    .where(RunRow.id == bindparam("run"))
    .values(seconds=RunRow.seconds + bindparam("more"), **{name: bindparam(f"new_{name}") for name in _ENDED})
    .values(effort=_DECIDED)
)


class RunLog:
    """Reads and writes the rows of runs. Every write is idempotent by key."""

    def __init__(self, store: Store) -> None:
        self.store, self.heartbeat = store, Heartbeat(store)

    def start(
        self,
        run_id: str,
        task: Task,
        *,
        model: str,
        options: JsonObject,
        batch: str | None = None,
        status: str = "running",
    ) -> bool:
        """Record a run; does nothing if the id exists. Returns whether it is new."""
        kept = stored_task(task)
        row = {"id": run_id, "task": kept.model_dump(), "status": status, "model": model}
        row["options"] = redact_data(options)
        row["owner"], stamp = this_process(), now()
        with self.store.write() as connection:
            values = {**row, "batch": batch, "created_at": stamp, "updated_at": stamp}
            fresh = self.store.insert_new(connection, RunRow, [values]) == 1
            if fresh and kept.files:
                save_files(self.store, connection, run_id, kept)
            return fresh

    def with_files(self, task: Task) -> Task:
        """The task with the bytes of its files loaded.

        Raises:
            DataError: the bytes of a file are not stored here.
        """
        return with_files(self.store, task)

    def take_up(self, run_id: str) -> None:
        """Record that this process is resuming a run."""
        values = {"status": "running", "owner": this_process(), "error": None, "updated_at": now()}
        with self.store.write() as connection:
            connection.execute(update(RunRow).where(RunRow.id == run_id).values(**values))

    def claim(self, run_id: str) -> bool:
        """Take over a run that no process is working on; if several processes try, one of them succeeds."""
        query = select(RunRow.status, RunRow.owner, RunRow.updated_at).where(RunRow.id == run_id).with_for_update()
        with self.store.write() as connection:
            row = connection.execute(query).one_or_none()
            if row is None or not (row.status == "interrupted" or (row.status == "running" and is_lost(*row[1:]))):
                return False
            mine = {"status": "running", "owner": this_process(), "error": None, "updated_at": now()}
            connection.execute(update(RunRow).where(RunRow.id == run_id).values(**mine))
            return True

    def finish(
        self,
        run_id: str,
        status: str,
        *,
        answer: str | None = None,
        error: str | None = None,
        rounds: int = 0,
        seconds: float = 0.0,
        effort: JsonObject | None = None,
        confidence: float | None = None,
    ) -> Steps:
        """Record that a run ended or is waiting; `seconds` is added to that of earlier attempts.

        Args:
            effort: the decision on the run's mode and any later ones; None leaves the recorded ones in place.
            confidence: the probability that the answer is right.

        Returns:
            what was done in the run.
        """
        *said, effort = redact_data((answer, error, effort))
        ended = zip(_ENDED, (status, *said, rounds, effort, confidence, now()), strict=True)
        values = {"run": run_id, "more": seconds} | {f"new_{name}": value for name, value in ended}
        with self.store.write() as connection:
            connection.execute(_FINISH, values)
            return _steps(connection, run_id)

    def fix(self, run_id: str, name: str, decided: JsonObject) -> JsonObject:
        """Record a decision about a run's effort under a name, before acting on it.

        Returns:
            the first decision recorded under that name, so that a decision repeated after a crash does not change.
        """

        def work(connection: Connection) -> JsonObject:
            query = select(RunRow.effort).where(RunRow.id == run_id).with_for_update()
            known: JsonObject = connection.execute(query).scalar_one_or_none() or {}
            fixed = known.get("fixed", {})
            if name in fixed:
                found: JsonObject = fixed[name]
                return found
            shown = decided if name == "mode" else {}
            changed = {**shown, **known, "fixed": {**fixed, name: decided}}
            connection.execute(update(RunRow).where(RunRow.id == run_id).values(effort=changed))
            return decided

        return self.store.transaction(work)

    def fixed(self, run_id: str, name: str) -> JsonObject | None:
        """The recorded decision under a name; None if there is none."""
        with self.store.read() as connection:
            known = connection.execute(select(RunRow.effort).where(RunRow.id == run_id)).scalar_one_or_none() or {}
        found: JsonObject | None = known.get("fixed", {}).get(name)
        return found

    def get(self, run_id: str) -> RunRecord:
        """A run by its id or a unique prefix of it.

        Raises:
            UserError: no such run, or more than one.
        """
        with self.store.read() as connection:
            query = select(*_RUN_COLUMNS).where(RunRow.id.startswith(run_id, autoescape=True)).limit(2)
            rows = connection.execute(query).mappings().all()
        exact = [row for row in rows if row["id"] == run_id] or (rows if run_id else [])
        if len(exact) != 1:
            problem = "matches several runs" if exact else "is not a run; see  agentkit runs ls"
            raise UserError(f"{run_id!r} {problem}")
        return _record(dict(exact[0]))

    def find(self, run_id: str) -> RunRecord | None:
        """A run by its whole id; None where there is none."""
        with self.store.read() as connection:
            row = connection.execute(select(*_RUN_COLUMNS).where(RunRow.id == run_id)).mappings().one_or_none()
        return None if row is None else _record(dict(row))

    def sources(self, record: RunRecord) -> tuple[str, ...]:
        """Where outside text in a run came from: its task, the context it recalled, and results of tools, except tools
        that were marked as reading nothing from outside when it began."""
        own = set(record.options.get("own_tools", ()))
        found = {f"tool:{call.tool}" for call in self.tool_calls(record.id) if call.tool not in own}
        found |= {source for block in self.blocks(record.id) or () for source in block.outside}
        return tuple(sorted(found.union(record.task.outside)))

    def runs(
        self,
        *,
        status: str | None = None,
        batch: str | None = None,
        limit: int | None = 50,
        before: dt.datetime | None = None,
        containing: str = "",
    ) -> list[RunRecord]:
        """Runs, newest first.

        Args:
            before: only those that started before this time.
            containing: only those whose task or answer contains this text.
        """
        query = select(*_RUN_COLUMNS).order_by(RunRow.created_at.desc(), RunRow.id)
        if status is not None:
            stored = ("running", "interrupted") if status == "interrupted" else (status,)
            query = query.where(RunRow.status.in_(stored))
        if batch is not None:
            query = query.where(RunRow.batch == batch)
        if before is not None:
            query = query.where(RunRow.created_at < before)
        if containing:
            written = json.dumps(containing)[1:-1]  # as it is encoded in the column
            task = cast(RunRow.task, Text).contains(written, autoescape=True)
            query = query.where(or_(task, RunRow.answer.contains(containing, autoescape=True)))
        if status not in ("running", "interrupted"):
            query = query.limit(limit)
        with self.store.read() as connection:
            found = (_record(dict(row)) for row in connection.execute(query).mappings())
            return list(islice((run for run in found if status in (None, run.status)), limit))

    def counts(self) -> dict[str, int]:
        """The number of runs by stored status."""
        query = select(RunRow.status, func.count()).group_by(RunRow.status).order_by(RunRow.status)
        with self.store.read() as connection:
            return {status: count for status, count in connection.execute(query)}

    def save_blocks(self, run_id: str, blocks: Sequence[Block]) -> None:
        """Fix the context of a run; only the first call has an effect."""
        row = {"run_id": run_id, "blocks": redact_data([block.to_json() for block in blocks]), "created_at": now()}
        with self.store.write() as connection:
            self.store.insert_new(connection, RecallRow, [row])

    def blocks(self, run_id: str) -> list[Block] | None:
        """The context fixed for a run; None if it has not been fixed yet."""
        with self.store.read() as connection:
            row = connection.execute(_BLOCKS, {"run": run_id}).scalar_one_or_none()
        return None if row is None else [Block.from_json(block) for block in row]

    def save_tool_call(self, run_id: str, call: ToolCall) -> None:
        said = redact_data({"arguments": call.arguments, "result": call.result})
        row = {**vars(call), **said, "run_id": run_id, "created_at": now()}
        with self.store.write() as connection:
            self.store.insert_new(connection, ToolCallRow, [row])

    def tool_calls(self, run_id: str) -> list[ToolCall]:
        """The completed tool calls of a run, in order."""
        with self.store.read() as connection:
            return [ToolCall(**row) for row in _rows(connection, _TOOL_CALLS, run_id)]

    def save_feedback(self, run_id: str, feedback: Feedback, *, round: int = 0) -> None:
        """Add feedback; one per run, channel and round."""
        row = {"run_id": run_id, "round": round, **redact_data(feedback.model_dump()), "created_at": now()}
        with self.store.write() as connection:
            self.store.insert_new(connection, FeedbackRow, [row])

    def feedback(self, run_id: str) -> list[Feedback]:
        """All feedback on a run, oldest first."""
        with self.store.read() as connection:
            return [Feedback.model_validate(row) for row in _rows(connection, _FEEDBACK, run_id)]

    def steps(self, run_id: str) -> Steps:
        """What has been done in a run so far."""
        with self.store.read() as connection:
            return _steps(connection, run_id)

    def totals(self, run_ids: Iterable[str]) -> Totals:
        """The combined usage of the model calls of these runs."""
        ids = list(run_ids)
        sums = [func.sum(getattr(ModelCallRow, name)) for name in ("input_tokens", "output_tokens", "cached_tokens")]
        query = select(func.count(), *sums, func.sum(ModelCallRow.cost), func.sum(ModelCallRow.seconds))
        found = [0.0] * 6
        with self.store.read() as connection:
            for start in range(0, len(ids), 500):
                row = connection.execute(query.where(ModelCallRow.run_id.in_(ids[start : start + 500]))).one()
                found = [old + (new or 0) for old, new in zip(found, row, strict=True)]
        calls, input_tokens, output_tokens, cached, cost, seconds = found
        return Totals(
            calls=int(calls),
            input_tokens=int(input_tokens),
            output_tokens=int(output_tokens),
            cached_tokens=int(cached),
            cost=cost,
            model_seconds=seconds,
        )

    def prune(self, before: dt.datetime, *, finished_only: bool = True) -> list[str]:
        """Delete runs that started before a time, with their calls and feedback; returns their ids."""
        with self.store.write() as connection:
            query = select(RunRow.id).where(RunRow.created_at < before)
            if finished_only:
                query = query.where(RunRow.status.in_((*FINISHED, "failed")))
            ids = list(connection.execute(query).scalars())
            for start in range(0, len(ids), 500):
                connection.execute(delete(RunRow).where(RunRow.id.in_(ids[start : start + 500])))
            drop_unused_files(connection)
        return ids


def stored_task(task: Task) -> Task:
    """A task as it is stored: without secrets, except in its target and checker, which are needed to judge a resumed
    run."""
    shown = {"input": task.input, "instructions": task.instructions, "metadata": task.metadata}
    redacted = redact_data(shown)
    files = tuple(file.with_text(redact(file.text)) for file in task.files)
    if redacted == shown and files == task.files:
        return task
    return task.model_copy(update={**redacted, "files": files})


def _steps(connection: Connection, run_id: str) -> Steps:
    feedback = [Feedback.model_validate(row) for row in _rows(connection, _FEEDBACK, run_id)]
    calls, tools = (_rows(connection, query, run_id) for query in (_MODEL_CALLS, _TIMED))
    return Steps(model_calls=calls, tool_calls=tools, feedback=feedback)


def _rows(connection: Connection, query: Select[Any], run_id: str) -> list[JsonObject]:
    return [dict(row) for row in connection.execute(query, {"run": run_id}).mappings()]


def _record(row: JsonObject) -> RunRecord:
    owner, seen = row.pop("owner"), row.pop("updated_at")
    lost = row["status"] == "running" and is_lost(owner, seen)
    return RunRecord(**{**row, "task": Task.model_validate(row["task"]), **({"status": "interrupted"} if lost else {})})
