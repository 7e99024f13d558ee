"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentkit.whole import STALE, written_whole


def test_what_is_written_appears_at_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with written_whole(path, durable=True) as part:
        part.write_text("one")
        assert not path.exists() and part.parent == path.parent
    assert path.read_text() == "one" and os.listdir(path.parent) == ["file.txt"]


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="full"), written_whole(path) as part:
        part.write_text("half")
        raise OSError("the disk is full")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file.txt"]


def test_what_a_killed_process_left_is_removed_later(tmp_path: Path) -> None:
    path, left, busy = (tmp_path / name for name in ("a[1].txt", ".a[1].txt.7.7.part", ".a[1].txt.8.8.part"))
    for item in (left, busy):
        item.write_text("half")
    os.utime(left, (0, os.stat(left).st_mtime - STALE - 1))
    with written_whole(path) as part:
        part.write_text("whole")
    assert path.read_text() == "whole" and busy.exists() and not left.exists()
