"""Mirror: an in-memory copy of what searches need from a memory's rows. The database is authoritative; the mirror only
follows.

How it follows: `clock` counts all changes to the memory's cases, and each row stores the clock value of its last
change, so `refresh` reads only the rows changed since its own clock value. `epoch` is an id that is renewed when
that would not be enough. Each case has a position here, in the order of case numbers (`seq`); position i is row i in
every column and in every view. A removed case keeps its position, marked `_GONE`, so that positions and vectors
never move.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections import defaultdict
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from agentkit.embedding import VectorCache, Vectors, text_hash
from agentkit.memory import index_file
from agentkit.memory.case import STATUSES, SUCCESS, Filters
from agentkit.memory.flat import FlatView, Mask, Positions
from agentkit.memory.rows import CaseRows
from agentkit.store import Store

_STATUS = {name: number for number, name in enumerate(STATUSES)}
_OUTCOMES: dict[str, Any] = {"success": lambda r: r >= SUCCESS, "failure": lambda r: r < SUCCESS, "unknown": np.isnan}
BATCH = 256
"""Texts that are embedded and written at a time."""
_GONE = -1
_COLUMNS: dict[str, Any] = {
    "seq": np.int64,
    "space": np.int32,
    "status": np.int8,
    "reward": np.float32,
    "trusted": np.bool_,
    "created": np.float64,
    "state": np.uint64,
}


class Mirror:
    """Columns and vectors of all cases of a memory, by position. Positions increase with case numbers.

    Args:
        folder: where vectors are cached; None writes no files.
    """

    def __init__(self, store: Store, rows: CaseRows, vectors: VectorCache, folder: Path | None) -> None:
        self.store, self.rows, self.vectors, self.folder = store, rows, vectors, folder
        self.lock = threading.RLock()
        self._reset()

    def _reset(self) -> None:
        self.clock, self.epoch, self.size, self.gone = -1, "", 0, 0
        self.columns = {name: np.zeros(1024, dtype=kind) for name, kind in _COLUMNS.items()}
        self.spaces: dict[str, int] = {}
        self.tags: dict[str, set[int]] = defaultdict(set)
        self.views: dict[str, FlatView] = {}
        self._saved: dict[str, int] = {}
        self.features: Any = None
        self.fits: dict[Any, Any] = {}
        """What policies have fitted to these cases, under a key of their own; they compare their state with
        `changed`."""
        self.changed = 0
        """Incremented by every change; anything derived from the mirror is stale when it differs."""

    def column(self, name: str) -> NDArray[Any]:
        return self.columns[name][: self.size]

    def refresh(self, reading: Connection | None = None) -> None:
        """Bring the mirror up to date; if nothing has changed this is one cheap query.

        Args:
            reading: a connection to read from; None opens one.
        """
        with self.lock, self.store.read() if reading is None else nullcontext(reading) as connection:
            clock, epoch, _ = self.rows.stamp(connection)
            if (clock, epoch) == (self.clock, self.epoch):
                return
            # The epoch changes when rows were removed for good or re-embedded: then nothing here can be trusted. A
            # clock that went backwards means that the database was restored. The holes of removed cases cost every
            # search a little; when they make up a quarter of all positions, starting afresh is cheaper.
            if epoch != self.epoch or clock < self.clock or self.gone > 1000 + self.size // 4:
                self._reset()
            rows = self.rows.changes(connection, self.clock)
            last = int(self.columns["seq"][self.size - 1]) if self.size else -1
            for row in rows:  # a case that is here already keeps its position, so its vector does not move
                if row[0] <= last:
                    self._write(self._position(row[0]), [row])
            # Case numbers only increase, so every row above the last known number is a new case.
            self._append([row for row in rows if row[0] > last])
            self._drop(self.rows.removals(connection, self.clock) if self.clock >= 0 else [])
            self.clock, self.epoch, self.changed = clock, epoch, self.changed + 1

    def _append(self, rows: list[tuple[Any, ...]]) -> None:
        """Add cases whose numbers are higher than all others."""
        room = len(self.columns["seq"])
        if self.size + len(rows) > room:
            more = max(room, len(rows))
            self.columns = {
                name: np.concatenate([old, np.zeros(more, old.dtype)]) for name, old in self.columns.items()
            }
        start, self.size = self.size, self.size + len(rows)
        self._write(start, rows)

    def _write(self, start: int | None, rows: list[tuple[Any, ...]]) -> None:
        """Fill the columns from this position on, one position per row."""
        if not rows or start is None:
            return
        seqs, spaces, statuses, rewards, trusted, created, tags, states = zip(*rows, strict=True)
        values: dict[str, Any] = {
            "seq": seqs,
            "space": [self.spaces.setdefault(space, len(self.spaces)) for space in spaces],
            "status": [_STATUS[status] for status in statuses],
            "trusted": trusted,
            "reward": [np.nan if reward is None else reward for reward in rewards],
            "created": [dt.datetime.fromisoformat(text).timestamp() for text in created],
            "state": [int(state[:16], 16) for state in states],
        }
        for name, column in values.items():
            self.columns[name][start : start + len(rows)] = column
        for offset, found in enumerate(tags):
            # Most memories have no tags; until the first one appears, parsing them is skipped entirely.
            if self.tags or found not in ("[]", []):
                self._tag(start + offset, json.loads(found) if isinstance(found, str) else found)

    def _tag(self, position: int, tags: list[str]) -> None:
        if tags or self.tags:
            for members in self.tags.values():
                members.discard(position)
            for tag in tags:
                self.tags[tag].add(position)

    def _position(self, seq: int) -> int | None:
        seqs = self.column("seq")
        place = int(np.searchsorted(seqs, seq))
        return place if place < self.size and seqs[place] == seq else None

    def _drop(self, seqs: list[int]) -> None:
        for position in map(self._position, seqs):
            if position is not None and self.columns["status"][position] != _GONE:
                self.columns["status"][position] = _GONE
                self.gone += 1

    def mask(self, filters: Filters) -> Mask:
        """Which positions the filters allow, shape (size,)."""
        space = self.spaces.get(filters.namespace)
        if space is None:
            return np.zeros(self.size, dtype=np.bool_)
        mask: Mask = self.column("space") == space
        mask &= _any_of(self.column("status"), [_STATUS[name] for name in filters.statuses])
        reward, created = self.column("reward"), self.column("created")
        if filters.trusted is not None:
            mask &= self.column("trusted") == filters.trusted
        if filters.outcomes:
            mask &= np.logical_or.reduce([_OUTCOMES[name](reward) for name in filters.outcomes])
        if filters.min_reward is not None:
            mask &= reward >= filters.min_reward
        if filters.since is not None:
            mask &= created >= filters.since.timestamp()
        if filters.until is not None:
            mask &= created <= filters.until.timestamp()
        for tag in filters.tags:
            mask &= np.isin(np.arange(self.size), list(self.tags.get(tag, ())))
        if filters.exclude_state is not None:
            mask &= self.column("state") != np.uint64(int(text_hash(filters.exclude_state)[:16], 16))
        return mask

    def positions(self, seqs: list[int]) -> Positions:
        found = [position for position in map(self._position, seqs) if position is not None]
        return np.asarray(found, dtype=np.int64)

    def view(self, name: str) -> FlatView:
        """The vectors of a view, extended to all positions; texts that are not embedded yet are embedded now."""
        with self.lock:
            view = self.views.get(name)
            if view is None:
                view = self.views[name] = self._opened(name)
            if len(view) < self.size:
                self._grow(name, view)
            if view.wants_ivf():
                view.build_in_background(self.lock)
            return view

    def _grow(self, name: str, view: FlatView) -> None:
        after = int(self.column("seq")[len(view) - 1]) if len(view) else 0
        found: dict[int, bytes | None] = {}
        # Another process may add cases between the read and the embedding of missing texts, so read again until none is
        # missing.
        while not found or None in found.values():
            with self.store.read() as connection:
                found = dict(self.rows.vectors(connection, name, self.vectors.embedder.name, after))
            if None not in found.values():
                break
            self.embed_missing(name)
        width = self.vectors.embedder.dimension * 4
        seqs = self.column("seq")[len(view) :]
        blobs = [found.get(int(seq)) or bytes(width) for seq in seqs]  # zeros for a case that has just been removed
        view.add(np.frombuffer(b"".join(blobs), dtype="<f4").reshape(len(blobs), -1))

    def embed_missing(self, view: str, *, batch: int = BATCH) -> int:
        """Embed the texts that this embedder has not embedded yet; returns how many."""
        count = 0
        while missing := dict(self.rows.missing_texts(view, self.vectors.embedder.name, batch)):
            vectors = self.vectors.vectors(list(missing.values()))
            with self.store.write() as connection:
                self.vectors.store_vectors(connection, list(missing), vectors)
            count += len(missing)
        return count

    def path(self, view: str) -> Path | None:
        if self.folder is None:
            return None
        name = f"{self.rows.memory}-{view}-{text_hash(self.vectors.embedder.name)[:8]}.vectors"
        return self.folder / name

    def _opened(self, name: str) -> FlatView:
        view, path = FlatView(self.vectors.embedder.dimension), self.path(name)
        found = index_file.load(path) if path is not None else None
        if found is None:
            return view
        # A file is used only if it was made by this embedder in this epoch and contains every case that is in the rows
        # up to the file's last one. Cases removed since are left out here; later ones are added by `_grow`.
        stamp, seqs, vectors = found
        wanted = (self.epoch, self.vectors.embedder.name, name, view.dimension)
        upto = int(np.searchsorted(self.column("seq"), stamp.last, side="right"))
        places = np.searchsorted(seqs, self.column("seq")[:upto])
        fits = (stamp.epoch, stamp.embedder, stamp.view, stamp.dimension) == wanted and stamp.rows == len(seqs) > 0
        if not fits or upto == 0 or places.max() >= len(seqs) or (seqs[places] != self.column("seq")[:upto]).any():
            return view
        whole = upto == len(seqs)
        view.add(vectors if whole else vectors[places])
        self._saved[name] = len(view) if whole else 0
        return view

    def save(self, *, always: bool = False) -> None:
        """Write the views that have grown by a tenth since they were last saved."""
        with self.lock:
            for name, view in self.views.items():
                path = self.path(name)
                if path is None or not len(view) or (not always and len(view) < 1.1 * self._saved.get(name, 0) + 256):
                    continue
                live = self.column("status")[: len(view)] != _GONE
                seqs = self.column("seq")[: len(view)]
                if not live.any():
                    path.unlink(missing_ok=True)
                    continue
                kept = (seqs, view.matrix) if live.all() else (seqs[live], view.matrix[live])
                stamp = index_file.Stamp(
                    epoch=self.epoch,
                    embedder=self.vectors.embedder.name,
                    view=name,
                    dimension=view.dimension,
                    rows=len(kept[0]),
                    last=int(kept[0][-1]),
                )
                index_file.save(path, stamp, *kept)
                self._saved[name] = len(view)

    def rebuild(self) -> None:
        """Discard everything here and read the rows again."""
        with self.lock:
            for file in self.folder.glob(f"{self.rows.memory}-*.vectors*") if self.folder else ():
                file.unlink(missing_ok=True)
            self._reset()
            self.refresh()

    def compare(self, connection: Connection, view: str) -> int:
        """How many vectors in memory differ from those in the database."""
        flat, bad = self.view(view), 0
        known = dict(self.rows.vectors(connection, view, self.vectors.embedder.name, 0))
        for position, seq in enumerate(self.column("seq")):
            blob = known.get(int(seq))
            if blob is not None and not np.array_equal(np.frombuffer(blob, dtype="<f4"), flat.matrix[position]):
                bad += 1
        return bad


def _any_of(column: NDArray[Any], values: list[int]) -> Mask:
    found: Mask = column == values[0] if len(values) == 1 else np.isin(column, values)
    return found


__all__ = ["Mirror", "Vectors"]
