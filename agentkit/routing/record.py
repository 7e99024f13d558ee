"""Outcomes of runs by mode, kept in the ledger: each is a change that can be inspected and rolled back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Self

from sqlalchemy import Connection

from agentkit.errors import UserError
from agentkit.json_types import JsonObject
from agentkit.ledger import Change, Ledger
from agentkit.store import Store


@dataclass(frozen=True, kw_only=True)
class EffortOutcome:
    """How a run went, and what it used.

    Attributes:
        run: its id; if a run has several outcomes, the newest counts.
        kind: the kind of its task (`agentkit.routing.outcomes.kind_in`).
        model: the model that answered.
        mode: the run's mode.
        score: the score of its answer, 0 to 1.
        tokens, seconds: what one answer used, tokens read and written, and the models' own time.
        sure: the confidence in the answer; for a run that went to a higher mode, that in its first answer. None if
            unknown.
        up: whether the run began in a cheaper mode.
        evaluator: the model that checked the first answer; empty if none did.
        first, second: the scores of the answer before and after the evaluator's verdict; None if unknown.
        used: whether the outcome comes from actual use (a check or feedback) rather than from an evaluation.
    """

    run: str
    kind: str
    model: str
    mode: str
    score: float
    tokens: float = 0.0
    seconds: float = 0.0
    sure: float | None = None
    up: bool = False
    evaluator: str = ""
    first: float | None = None
    second: float | None = None
    used: bool = True

    def to_json(self) -> JsonObject:
        return asdict(self)

    @classmethod
    def from_json(cls, data: JsonObject) -> Self:
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in data.items() if name in known})


class EffortRecord:
    """The outcomes under one name. They are stored only in the ledger: those in effect follow from its changes."""

    def __init__(self, store: Store, name: str = "default") -> None:
        self.target = f"effort:{name}"
        self._ledger = Ledger(store)
        self._operations: list[JsonObject] = []
        self._known: dict[str, EffortOutcome] = {}
        self._lock = threading.Lock()

    @property
    def version(self) -> int:
        return self._ledger.version(self.target)

    def outcomes(self) -> Sequence[EffortOutcome]:
        """The outcomes in effect, oldest first, one per run. Only changes since the last call are read."""
        version = self.version
        with self._lock:
            for change in self._ledger.applied(self.target, after=len(self._operations), upto=version):
                self._operations.append(change.operations[0])
                self._known = self._after(self._known, len(self._operations))
            return tuple(self._known.values())

    def _after(self, known: dict[str, EffortOutcome], version: int) -> dict[str, EffortOutcome]:
        """The outcomes in effect at a version, computed from those before it."""
        operation = self._operations[version - 1]
        if operation["op"] == "rollback":
            return self._at(int(operation["to"]))
        known.pop(operation["run"], None)  # a run's newest outcome replaces older ones and moves to the end
        known[operation["run"]] = EffortOutcome.from_json(operation)
        return known

    def _at(self, version: int) -> dict[str, EffortOutcome]:
        """The outcomes in effect at an earlier version."""
        known: dict[str, EffortOutcome] = {}
        for earlier in range(1, version + 1):
            known = self._after(known, earlier)
        return known

    def learn(
        self,
        outcome: EffortOutcome,
        *,
        key: str,
        signal: str = "",
        source: str = "",
        role: str = "router",
        effect: Callable[[Connection, Change], None] = lambda connection, change: None,
    ) -> Change:
        """Record a run's outcome; repeating it with the same key changes nothing.

        Args:
            key: identifies the run, or the feedback on it.
            signal: the feedback channel that the outcome comes from.
            source: the evaluation that the outcome comes from.
            effect: further writes for the same transaction.
        """
        change = Change(
            key=f"{key}:{self.target}",
            kind="effort",
            target=self.target,
            base=self.version,
            operations=({"op": "outcome", **outcome.to_json()},),
            role=role,
            model=outcome.model,
            run_id=outcome.run,
            signal=signal,
            source=source,
            note=f"{outcome.mode}, {outcome.score:g}",
        )
        return self._ledger.commit(change, effect)

    def rollback(self, version: int, *, reason: str = "") -> Change:
        """Restore the outcomes of an earlier version, by a new change; later outcomes no longer count.

        Raises:
            UserError: no such version.
        """
        newest = self.version
        if not 0 <= version <= newest:
            raise UserError(f"{self.target} has versions 0 to {newest}, not {version}")
        change = Change(
            key=f"{self.target}:rollback:{newest}:{version}",
            kind="effort",
            target=self.target,
            base=newest,
            operations=({"op": "rollback", "to": version},),
            role="person",
            note=reason,
        )
        return self._ledger.commit(change, lambda connection, applied: None)
