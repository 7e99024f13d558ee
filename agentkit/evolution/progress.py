"""The progress of an evolution: finished steps are stored, so that a killed one resumes where it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update

from agentkit import faults
from agentkit.errors import Conflict
from agentkit.json_types import JsonObject
from agentkit.store import Store
from agentkit.store.base import now
from agentkit.store.evolution import EvolutionRow, EvolutionStepRow


class EvolutionProgress:
    """The stored steps of one evolution. They are numbered: `recorded` and `record` move on to the next number, so the
    calls must come in the same order each time.

    Args:
        evolution: its id, a hash of its configuration.
        config: stored with it.
    """

    def __init__(self, store: Store, evolution: str, config: Mapping[str, Any]) -> None:
        self.store, self.id, self.config = store, evolution, dict(config)
        self._next = 0
        self._known: dict[int, tuple[str, JsonObject]] = {}

    def begin(self, versions: Mapping[str, int]) -> dict[str, int]:
        """Start or resume; returns the versions at which this evolution began."""
        row = {"id": self.id, "config": self.config, "start": dict(versions), "status": "running"}

        def work(connection: Any) -> dict[str, int]:
            self.store.insert_new(connection, EvolutionRow, [row])
            start = connection.execute(select(EvolutionRow.start).where(EvolutionRow.id == self.id)).scalar_one()
            return dict(start)

        start = self.store.transaction(work)
        query = select(EvolutionStepRow.number, EvolutionStepRow.kind, EvolutionStepRow.data)
        with self.store.read() as connection:
            rows = connection.execute(query.where(EvolutionStepRow.evolution == self.id))
            self._known = {row.number: (row.kind, row.data) for row in rows}
        return start

    def recorded(self, kind: str) -> JsonObject | None:
        """The result of the next step, if it was finished earlier.

        Raises:
            Conflict: the stored step is of another kind, so the program has changed although the configuration hash is
                the same.
        """
        found = self._known.get(self._next)
        if found is None:
            return None
        if found[0] != kind:
            raise Conflict(f"evolution {self.id}: step {self._next} was {found[0]!r}, not {kind!r}; start a new one")
        self._next += 1
        return found[1]

    def record(self, kind: str, data: JsonObject) -> JsonObject:
        """Store a finished step."""
        row = {"evolution": self.id, "number": self._next, "kind": kind, "data": data}
        faults.point("before:evolve.step")
        self.store.transaction(lambda connection: self.store.insert_new(connection, EvolutionStepRow, [row]))
        faults.point("after:evolve.step")
        self._next += 1
        return data

    def finish(self, result: JsonObject) -> None:
        done = update(EvolutionRow).where(EvolutionRow.id == self.id)
        values = {"status": "done", "result": result, "updated_at": now()}
        self.store.transaction(lambda connection: connection.execute(done.values(**values)))

    def result(self) -> JsonObject | None:
        """The result of a finished evolution."""
        with self.store.read() as connection:
            row = connection.execute(
                select(EvolutionRow.status, EvolutionRow.result).where(EvolutionRow.id == self.id)
            ).one_or_none()
        return None if row is None or row.status != "done" else row.result
