"""The sql checker: right is what finds the same rows, in every database of the suite."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from agentkit.checkers import get_checker
from agentkit.checkers.sql import has_order
from agentkit.errors import DataError, UserError
from agentkit.tasks import Feedback, Task

ROWS = [("berlin", 3_600_000, 1.5), ("hamburg", 1_800_000, 2.0), ("bremen", 560_000, None)]


def base(path: Path, rows: list[tuple[str, int, float | None]]) -> Path:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE city (name TEXT, people INTEGER, score REAL)")
        connection.executemany("INSERT INTO city VALUES (?, ?, ?)", rows)
    connection.close()
    return path


async def score(tmp_path: Path, answer: str, target: str, *, suites: tuple[Path, ...] = ()) -> Feedback:
    path = tmp_path / "a.sqlite"
    file = path if path.exists() else base(path, ROWS)
    checker = get_checker({"name": "sql", "database": str(file), "suites": [str(suite) for suite in suites]})
    return await checker.check(answer, Task(id="t", input="?", target=target))


@pytest.mark.parametrize(
    ("answer", "target", "right"),
    [
        ("SELECT name AS n FROM city WHERE people > 1e6", "SELECT name FROM city WHERE people > 1000000", True),
        ("SELECT name FROM city ORDER BY name DESC", "SELECT name FROM city", True),
        ("SELECT name FROM city ORDER BY name DESC", "SELECT name FROM city ORDER BY name", False),
        ("SELECT name, people FROM city", "SELECT people, name FROM city", False),
        ("SELECT DISTINCT 1 FROM city", "SELECT 1 FROM city", False),
        ("SELECT count(*) * 1.0 FROM city", "SELECT count(*) FROM city", True),
        ("SELECT 0.1 + 0.2", "SELECT 0.3", True),
        ("SELECT '3'", "SELECT 3", False),
        ("SELECT score FROM city WHERE score IS NULL", "SELECT NULL", True),
        ("```sql\nSELECT name FROM city\n```", "SELECT name FROM city", True),
        ("DROP TABLE city", "SELECT name FROM city", False),
        ("SELECT nothing FROM city", "SELECT name FROM city", False),
    ],
)
async def test_rows_decide(tmp_path: Path, answer: str, target: str, right: bool) -> None:
    feedback = await score(tmp_path, answer, target)
    assert (feedback.score, feedback.channel) == (float(right), "label")
    assert target not in feedback.text


async def test_a_lucky_match_on_one_database_is_found_out_by_another(tmp_path: Path) -> None:
    lucky, target = (
        "SELECT name FROM city LIMIT 1",
        "SELECT name FROM city WHERE people = (SELECT max(people) FROM city)",
    )
    assert (await score(tmp_path, lucky, target)).score == 1
    other = base(tmp_path / "b.sqlite", ROWS[::-1])
    assert (await score(tmp_path, lucky, target, suites=(other,))).score == 0
    assert (await score(tmp_path, target, target, suites=(other,))).score == 1


async def test_a_target_that_can_not_be_run_and_a_database_that_is_not_there_are_no_wrong_answers(
    tmp_path: Path,
) -> None:
    with pytest.raises(DataError, match="'t': its target can't be run"):
        await score(tmp_path, "SELECT 1", "SELEC 1")
    with pytest.raises(UserError, match="can't be reached"):
        await score(tmp_path, "SELECT 1", "SELECT 1", suites=(tmp_path / "none.sqlite",))


@pytest.mark.parametrize(
    ("sql", "ordered"),
    [
        ("SELECT a FROM t ORDER  BY a", True),
        ("SELECT a FROM (SELECT a FROM t ORDER BY a LIMIT 3)", False),
        ("SELECT 'order by' FROM t", False),
        ("SELECT a FROM t -- order by a", False),
        ("SELECT a, row_number() OVER (ORDER BY (b)) FROM t", False),
    ],
)
def test_only_the_order_of_the_result_itself_counts(sql: str, ordered: bool) -> None:
    assert has_order(sql) is ordered
