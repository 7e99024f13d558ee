"""Checks SQL answers: one is right if it returns the same rows as the target's SQL."""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, ClassVar

from pydantic import Field

from agentkit.checkers.base import CheckerSettings, final_answer, target_of
from agentkit.errors import DataError, ToolError
from agentkit.tasks import Channel, Feedback, Task
from agentkit.tools.database import Database, Row, Rows, open_database

_BLOCK = re.compile(r"```[ \t]*(?:sql|sqlite|postgres(?:ql)?)?[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_NESTED = re.compile(r"\([^()]*\)")
_MAX_ROWS = 10_000


class SqlSettings(CheckerSettings):
    """The databases to run the queries on.

    Attributes:
        database: a SQLAlchemy URL for SQLite or PostgreSQL, or the path of a SQLite file.
        suites: more databases with the same schema; the answer must return the right rows in all of them, so that a
            wrong query is not accepted because it happens to be right once (Zhong et al. 2020, arXiv 2010.02840).
        seconds: how long one query may take.
    """

    database: str
    suites: tuple[str, ...] = ()
    seconds: float = Field(default=10.0, gt=0)


@dataclass(frozen=True, kw_only=True)
class Sql:
    """Checks that the answer's query returns the same rows as the target's.

    Rows are compared as a multiset; their order counts only if the target itself ends in ORDER BY. Columns are compared
    by position, not by name; 2 equals 2.0, and floats are equal if they agree to nine digits.
    """

    settings: SqlSettings
    name: ClassVar[str] = "sql"
    needs_target: ClassVar[bool] = True
    channel: ClassVar[Channel] = "label"

    async def check(self, answer: str, task: Task) -> Feedback:
        """Raises UserError if a database can't be reached, DataError if the target's own query fails."""
        target = target_of(task, self.name)
        return await asyncio.to_thread(self._check, sql_of(answer), target, task.id)

    def _check(self, answer: str, target: str, task_id: str) -> Feedback:
        ordered = has_order(target)
        for url in (self.settings.database, *self.settings.suites):
            database = _opened(url, self.settings.seconds)
            try:
                wanted = database.query(target)
            except ToolError as error:
                raise DataError(f"task {task_id!r}: its target can't be run on {database.name}: {error}") from None
            try:
                found = database.query(answer)
            except ToolError as error:
                return _label(0.0, f"the query fails: {error}")
            if not same_rows(found, wanted, ordered=ordered):
                return _label(0.0, f"the query runs, but its {len(found.rows)} rows are not the expected ones")
        return _label(1.0, "right")


@lru_cache(maxsize=64)
def _opened(url: str, seconds: float) -> Database:
    return open_database(url, seconds=seconds, max_rows=_MAX_ROWS)


def sql_of(answer: str) -> str:
    """The query in an answer: its last fenced block, else what follows `Final answer:`, else all of it."""
    blocks = [block for block in _BLOCK.findall(answer) if block.strip()]
    return str(blocks[-1]).strip() if blocks else final_answer(answer) if "nswer" in answer else answer.strip()


def has_order(sql: str) -> bool:
    """Whether a query's own result is ordered; an ORDER BY inside parentheses orders something else."""
    text = _QUOTED.sub(" ", sql)
    while text != (text := _NESTED.sub(" ", text)):
        pass
    return re.search(r"\border\s+by\b", text, re.IGNORECASE) is not None


def same_rows(found: Rows, wanted: Rows, *, ordered: bool) -> bool:
    """Whether two results have the same rows, each the same number of times; with `ordered`, in the same order."""
    left, right = [_plain(row) for row in found.rows], [_plain(row) for row in wanted.rows]
    if found.more != wanted.more or len(left) != len(right):
        return False
    return left == right if ordered else Counter(left) == Counter(right)


def _plain(row: Row) -> Row:
    return tuple(_value(cell) for cell in row)


def _value(cell: Any) -> Any:
    """Numbers as floats with nine digits, so that 2, 2.0 and sums computed in another order are equal; other values as
    text, which never equals a number."""
    if isinstance(cell, bool | int | float | Decimal):
        number = float(cell)
        return number if number == 0 or not math.isfinite(number) else float(f"{number:.9g}")
    return cell if cell is None or isinstance(cell, bytes | str) else str(cell)


def _label(score: float, text: str) -> Feedback:
    return Feedback(channel="label", score=score, text=text)
