"""Searching a folder of text files: passages ranked by BM25, each with its file and line."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from langchain_core.tools import BaseTool

from agentkit.errors import ToolError
from agentkit.tools.files import folder, read_text
from agentkit.tools.function import tool
from agentkit.words import asked, spaced

SUFFIXES = (".txt", ".md", ".rst")
MAX_FILE_BYTES = 5_000_000
PASSAGE_CHARACTERS = 700
QUERY_WORDS = 64
SHOWN = 5
"""Passages in a reply. A model isn't asked how many: small ones ask for one and answer from whatever it says."""

NAMED = 5
"""A reply names at most this many of the files that could not be searched."""


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A piece of a file: its path relative to the folder, its first line, the heading above it, and its text."""

    file: str
    line: int
    heading: str
    text: str


def passages(text: str, file: str) -> Iterator[Passage]:
    """Split a text at blank lines and headings into passages of about `PASSAGE_CHARACTERS`; none spans a heading."""
    heading, start, held = "", 1, list[str]()

    def flush() -> Iterator[Passage]:
        body = "\n".join(held).strip()
        if body:
            yield Passage(file=file, line=start, heading=heading, text=body)
        held.clear()

    for number, line in enumerate(text.splitlines(), 1):
        title = re.match(r"#{1,6}\s+(.*)", line)
        size = sum(len(part) + 1 for part in held)
        full = size > PASSAGE_CHARACTERS and not line.strip()
        if title or full or size + len(line) > 2 * PASSAGE_CHARACTERS:
            yield from flush()
        if title:
            heading = title.group(1).strip()
            continue
        if line.strip() and not held:
            start = number
        if line.strip() or held:
            held.append(line)
    yield from flush()


class FolderIndex:
    """An in-memory full-text index of a folder, updated when a file changes.

    Ranking is SQLite's `bm25` over stemmed words in any script; headings count twice. Links that lead out of the folder
    are not followed. A file that can't be read is skipped and named in `left_out`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._stamp: dict[Path, tuple[int, ...]] | None = None
        self._left_out: dict[str, str] = {}
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._db.execute(
            "CREATE VIRTUAL TABLE passages USING fts5(file UNINDEXED, line UNINDEXED, heading UNINDEXED,"
            " text UNINDEXED, heading_words, words,"
            " tokenize=\"porter unicode61 remove_diacritics 2 categories 'L* M* N* Co'\")"
        )

    def search(self, query: str, limit: int = 5) -> list[Passage]:
        """The passages that share the most informative words with the query, best first; matching any word is
        enough."""
        words = asked(query, QUERY_WORDS)
        if not words:
            return []
        match = " OR ".join(f'"{word}"' for word in words)
        with self._lock:
            self._refresh()
            rows = self._db.execute(
                "SELECT file, line, heading, text FROM passages WHERE passages MATCH ?"
                " ORDER BY bm25(passages, 0, 0, 0, 0, 2.0, 1.0), file, line LIMIT ?",
                (match, limit),
            ).fetchall()
        return [Passage(file=file, line=line, heading=heading, text=text) for file, line, heading, text in rows]

    @property
    def left_out(self) -> Mapping[str, str]:
        """The files and folders that could not be searched, each with the reason."""
        return self._left_out

    def _files(self) -> Iterator[Path]:
        """Every file in the folder with one of our suffixes; what `os.walk` can't read is recorded as left out."""

        def note(error: OSError) -> None:
            self._left_out[self._name(Path(os.fsdecode(error.filename)))] = error.strerror or str(error)

        for folder_path, folders, names in os.walk(self._root, onerror=note):
            folders.sort()
            yield from (Path(folder_path, name) for name in sorted(names) if name.endswith(SUFFIXES))

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _stamps(self) -> Iterator[tuple[Path, tuple[int, ...]]]:
        for path in self._files():
            if not path.resolve().is_relative_to(self._root):
                continue  # a link that leads out of the folder
            try:
                info = path.stat()
            except OSError as error:
                self._left_out[self._name(path)] = error.strerror or str(error)
                continue
            yield path, (info.st_mtime_ns, info.st_ctime_ns, info.st_size)

    def _refresh(self) -> None:
        before, self._left_out = self._left_out, {}
        files = dict(self._stamps())
        if files == self._stamp:
            self._left_out = {**before, **self._left_out}
            return
        with self._db:
            self._db.execute("DELETE FROM passages")
            for path in files:
                self._add(self._name(path))
        self._stamp = files

    def _add(self, name: str) -> None:
        try:
            text = read_text(self._root, name, limit=MAX_FILE_BYTES)
        except ToolError as error:
            self._left_out[name] = str(error).removeprefix(f"{name!r} ").removeprefix(f"{name}: ")
            return
        rows = [
            (piece.file, piece.line, piece.heading, piece.text, spaced(piece.heading), spaced(piece.text))
            for piece in passages(text, name)
        ]
        self._db.executemany("INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?)", rows)


def search_tool(root: str | Path) -> BaseTool:
    """The built-in `search` tool over the .txt, .md and .rst files of one folder."""
    index = FolderIndex(folder(root, used_by="search"))

    def search(query: str) -> str:
        """Search the local folder of documents. Returns the best passages with file name and line.

        Args:
            query: a few words that the passage should contain.
        """
        found = index.search(query, SHOWN)
        shown = [_show(passage) for passage in found] or [f"no passage contains any word of {query!r}"]
        return "\n\n".join([*shown, *_not_searched(index.left_out)])

    return tool(search)


def _show(passage: Passage) -> str:
    heading = f" ({passage.heading})" if passage.heading else ""
    return f"[{passage.file}:{passage.line}]{heading}\n{passage.text}"


def _not_searched(left_out: Mapping[str, str]) -> list[str]:
    if not left_out:
        return []
    named = ", ".join(f"{name} ({reason})" for name, reason in list(left_out.items())[:NAMED])
    more = f" and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
    return [f"[not searched: {len(left_out)}: {named}{more}]"]
