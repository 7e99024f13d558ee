"""Calibrations in the ledger: each fit is a change that can be shown, compared and taken back."""

from __future__ import annotations

from dataclasses import dataclass

from agentkit.confidence.calibration import Calibration
from agentkit.json_types import JsonObject
from agentkit.ledger import Change, Ledger, digest
from agentkit.store import Store


@dataclass(frozen=True, kw_only=True)
class StoredCalibration:
    """A calibration as the ledger holds it.

    Attributes:
        thresholds: the least confidence for each `max_error` that could be shown to hold, by that error as text.
        version: of its target.
    """

    calibration: Calibration
    thresholds: dict[str, float]
    version: int


class CalibrationStore:
    """The calibrations of one name. The ledger alone holds them: a version is the change that made it."""

    def __init__(self, store: Store, name: str) -> None:
        self.target = f"calibration:{name}"
        self._ledger = Ledger(store)

    @property
    def version(self) -> int:
        return self._ledger.version(self.target)

    def current(self) -> StoredCalibration | None:
        """The one in force; None before the first."""
        return self.at(self.version) if self.version else None

    def at(self, version: int) -> StoredCalibration:
        """The one of a version.

        Raises:
            UserError: no such version.
        """
        operation = self._ledger.at(self.target, version).operations[0]
        calibration = Calibration.from_json(operation["calibration"])
        return StoredCalibration(calibration=calibration, thresholds=operation["thresholds"], version=version)

    def save(self, calibration: Calibration, thresholds: dict[str, float], *, source: str) -> int:
        """Put a calibration in force; the same one again changes nothing.

        Args:
            source: the evaluation whose outcomes it was fitted on.

        Returns:
            its version.
        """
        return self._commit(
            {"op": "fit", "calibration": calibration.to_json(), "thresholds": thresholds}, source=source
        )

    def rollback(self, version: int, *, reason: str = "") -> int:
        """Put an earlier calibration in force again, as a new version."""
        earlier = self.at(version)
        operation = {"op": "rollback", "to": version, "calibration": earlier.calibration.to_json()}
        return self._commit(operation | {"thresholds": earlier.thresholds}, source="", note=reason)

    def _commit(self, operation: JsonObject, *, source: str, note: str = "") -> int:
        base = self.version
        change = Change(
            key=f"{self.target}:{base}:{digest(operation)[:16]}",
            kind="calibration",
            target=self.target,
            base=base,
            operations=(operation,),
            role="calibrator",
            model=operation["calibration"]["model"],
            source=source,
            note=note,
        )
        if base and self._same(base, operation):
            return base
        return self._ledger.commit(change, lambda connection, applied: None).version or base

    def _same(self, version: int, operation: JsonObject) -> bool:
        stored = self.at(version)
        return (stored.calibration.to_json(), stored.thresholds) == (operation["calibration"], operation["thresholds"])
