"""Several processes on one memory; `python -m benchmarks.memory_together` runs eight and eight for a minute."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.together import together


def test_writers_and_readers_lose_nothing_and_read_their_own_writes(tmp_path: Path) -> None:
    report = together(str(tmp_path / "a.db"), 1.5, writers=2, readers=2)
    assert report["problems"] == []
    assert report["writes"] > 2


@pytest.mark.postgres
def test_the_same_holds_on_postgresql(postgres_url: str) -> None:
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute('CREATE DATABASE "together"')
    report = together(postgres_url.rsplit("/", 1)[0] + "/together", 1.5, writers=2, readers=2)
    assert report["problems"] == []
    assert report["writes"] > 2
