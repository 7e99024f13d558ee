"""Heartbeats of runs, so that a run whose process died is not shown as running for ever."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import select, update

from agentkit.errors import StoreError
from agentkit.store.base import now
from agentkit.store.engine import Store
from agentkit.store.owner import is_gone
from agentkit.store.runs import RunRow

BEAT = 20.0
"""Seconds between two heartbeats."""

SILENCE = dt.timedelta(minutes=3)
"""A run on another machine counts as interrupted after this long without a heartbeat."""


Sign = tuple[str | None, dt.datetime]
"""The name of a process, and the time of its last heartbeat."""


def is_lost(owner: str | None, seen: dt.datetime) -> bool:
    """Whether no process is working any more on a run that is recorded as running.

    On the same machine the process itself is checked; for other machines only the age of the heartbeat is known.
    """
    gone = is_gone(owner) if owner else None
    return now() - seen > SILENCE if gone is None else gone


class Heartbeat:
    """Records every `BEAT` seconds, from a thread of its own, which runs this process is working on."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._runs: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def of(self, run_id: str) -> Iterator[None]:
        """Send heartbeats for a run while the block lasts."""
        with self._lock:
            self._runs[run_id] += 1
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="agentkit-heartbeat", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._runs[run_id] -= 1
                self._runs += Counter()  # drops the zeros

    def last(self, run_id: str) -> Sign | None:
        """The last sign of life of the process that a run is recorded as running in; None if it is not running."""
        query = select(RunRow.owner, RunRow.updated_at).where(RunRow.id == run_id, RunRow.status == "running")
        with self.store.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else (row[0], row[1])

    def heard(self, run_id: str, before: Sign) -> bool:
        """Whether the process that a run is recorded as running in is known to be alive: it runs on this machine, or it
        has given a sign of life other than `before`."""
        sign = self.last(run_id)
        gone = is_gone(sign[0]) if sign is not None and sign[0] else None
        return sign is not None and (sign != before if gone is None else not gone)

    def beat(self) -> None:
        """Write the heartbeats now."""
        with self._lock:
            ids = sorted(self._runs)
        with suppress(StoreError), self.store.write() as connection:  # the run itself will report database errors
            for start in range(0, len(ids), 500):
                mine = RunRow.id.in_(ids[start : start + 500])
                connection.execute(update(RunRow).where(mine).values(updated_at=now()))

    def _work(self) -> None:
        while True:
            time.sleep(BEAT)
            with self._lock:
                if not self._runs:
                    self._thread = None
                    return
            self.beat()
