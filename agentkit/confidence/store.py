"""Calibrations in the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from agentkit.confidence.calibration import Calibration
from agentkit.confidence.fitted import FittedStore
from agentkit.json_types import JsonObject


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


class CalibrationStore(FittedStore):
    """The calibrations of one name."""

    kind, role = "calibration", "calibrator"

    def current(self) -> StoredCalibration | None:
        """The one in force; None before the first."""
        return self.at(version) if (version := self.version) else None

    def at(self, version: int) -> StoredCalibration:
        """The one of a version.

        Raises:
            UserError: no such version.
        """
        operation = self._operation(version)
        calibration = Calibration.from_json(operation["calibration"])
        return StoredCalibration(calibration=calibration, thresholds=operation["thresholds"], version=version)

    def save(self, calibration: Calibration, thresholds: dict[str, float], *, source: str) -> int:
        """Put a calibration in force; the same one again changes nothing.

        Args:
            source: the evaluation whose outcomes it was fitted on.

        Returns:
            its version.
        """
        return self._save({"calibration": calibration.to_json(), "thresholds": thresholds}, source=source)

    def _model(self, operation: JsonObject) -> str:
        return str(operation["calibration"]["model"])
