"""Outcomes of runs by what they spent, in the ledger: each is a change that can be shown, and taken back."""

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
    """How a run went, and what was spent on it.

    Attributes:
        run: its id; of several outcomes of one run the newest counts.
        kind: of its task (`agentkit.routing.outcomes.kind_in`).
        model: who answered.
        mode: the run's.
        score: of its answer, 0 to 1.
        tokens, seconds: what one answer took, read and written, by the models' own time.
        sure: how likely the answer seemed to be right; of a run that went up, its first answer. None: not known.
        up: whether the run began in a cheaper mode.
        evaluator: the model that checked the first answer; empty where none was asked.
        first, second: the scores of the answer before and after the evaluator was heard; None where not known.
        used: whether it became known in use, by a check or by feedback; not in an evaluation.
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
    """The outcomes of one name. The ledger alone holds them: what is in force follows from its changes."""

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
        """Those in force, oldest first, one a run. What was read before is not read again."""
        version = self.version
        with self._lock:
            for change in self._ledger.applied(self.target, after=len(self._operations), upto=version):
                self._operations.append(change.operations[0])
                self._known = self._after(self._known, len(self._operations))
            return tuple(self._known.values())

    def _after(self, known: dict[str, EffortOutcome], version: int) -> dict[str, EffortOutcome]:
        """Those in force at a version, from those before it."""
        operation = self._operations[version - 1]
        if operation["op"] == "rollback":
            return self._at(int(operation["to"]))
        known.pop(operation["run"], None)  # the newest word on a run counts, and is the newest
        known[operation["run"]] = EffortOutcome.from_json(operation)
        return known

    def _at(self, version: int) -> dict[str, EffortOutcome]:
        """Those that were in force at an earlier version."""
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
        """Take in a run's outcome; again with the same key it changes nothing.

        Args:
            key: names it: of the run, or of what somebody said about the run.
            signal: the channel of feedback that it is known by.
            source: the evaluation it comes from.
            effect: writes that belong to the same transaction.
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
        """Put in force again what was at a version, by a new change; the outcomes since no longer count.

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
