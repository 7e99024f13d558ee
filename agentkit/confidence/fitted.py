"""What is fitted to outcomes, in the ledger: each fit is a change that can be shown, compared and taken back."""

from __future__ import annotations

from typing import ClassVar

from agentkit.json_types import JsonObject
from agentkit.ledger import Change, Ledger, digest
from agentkit.store import Store


class FittedStore:
    """The fits of one name. The ledger alone holds them: a version is the change that made it.

    Subclasses say what is fitted, and give its JSON a type.

    Attributes:
        kind, role, signal: of its changes.
        target: what they edit.
    """

    kind: ClassVar[str]
    role: ClassVar[str]
    signal: ClassVar[str] = ""

    def __init__(self, store: Store, name: str) -> None:
        self.target = f"{self.kind}:{name}"
        self._ledger = Ledger(store)

    @property
    def version(self) -> int:
        return self._ledger.version(self.target)

    def rollback(self, version: int, *, reason: str = "") -> int:
        """Put an earlier fit in force again, as a new version, which is returned.

        Raises:
            UserError: no such version.
        """
        return self._commit({**self._operation(version), "op": "rollback", "to": version}, note=reason)

    def _save(self, fitted: JsonObject, *, source: str) -> int:
        """Put a fit in force and return its version; the same one again changes nothing."""
        base = self.version
        known = self._operation(base) if base else self._first() or {}
        if fitted == {name: known.get(name) for name in fitted}:
            return base
        return self._commit({"op": "fit", **fitted}, source=source)

    def _operation(self, version: int) -> JsonObject:
        """The operation that made a version, which holds all that was fitted.

        Raises:
            UserError: no such version.
        """
        if version == 0 and (first := self._first()) is not None:
            return {"op": "fit", **first}
        return self._ledger.at(self.target, version).operations[0]

    def _first(self) -> JsonObject | None:
        """What is in force before the first fit; None where nothing is."""
        return None

    def _model(self, operation: JsonObject) -> str:
        """The model that a fit is about; empty where it is about none."""
        return ""

    def _commit(self, operation: JsonObject, *, source: str = "", note: str = "") -> int:
        base = self.version
        change = Change(
            key=f"{self.target}:{base}:{digest(operation)[:16]}",
            kind=self.kind,
            target=self.target,
            base=base,
            operations=(operation,),
            role=self.role,
            model=self._model(operation),
            source=source,
            signal=self.signal,
            note=note,
        )
        return self._ledger.commit(change, lambda connection, applied: None).version or base
