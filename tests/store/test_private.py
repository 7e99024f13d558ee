"""A database is its owner's alone."""

from __future__ import annotations

from pathlib import Path

from agentkit.store import Store


def modes(folder: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in folder.glob("*.db*")}


def test_a_database_and_its_new_folders_are_for_their_owner_alone(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "a" / "b" / "agentkit.db")
    assert modes(tmp_path / "a" / "b") == {0o600}
    assert {folder.stat().st_mode & 0o777 for folder in (tmp_path / "a", tmp_path / "a" / "b")} == {0o700}
    store.close()


def test_a_database_that_all_could_read_is_closed_to_them(tmp_path: Path) -> None:
    Store.open(tmp_path / "agentkit.db").close()
    (tmp_path / "agentkit.db").chmod(0o644)
    store = Store.open(tmp_path / "agentkit.db")
    assert modes(tmp_path) == {0o600}
    store.close()
