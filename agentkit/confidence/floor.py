"""How sure a run must be of its answer: a calibration in force, and the confidence below which it declines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentkit.confidence.calibration import Calibration
from agentkit.confidence.features import Features
from agentkit.confidence.risk import threshold_for
from agentkit.confidence.store import CalibrationStore, StoredCalibration
from agentkit.errors import UserError

ERRORS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
"""Shares of wrong answers for which a calibration looks for a threshold."""


@dataclass(frozen=True, kw_only=True)
class Assessor:
    """Tells how likely an answer is right, and whether that is enough.

    Attributes:
        calibration: None where there is none for the model: nothing is known then.
        floor: the confidence below which an answer is declined; None declines nothing.
        source: the calibration's target and version, for the records.
    """

    calibration: Calibration | None = None
    floor: float | None = None
    source: str = ""

    def confidence(self, features: Features | None) -> float | None:
        """Between 0 and 1; None where there is no calibration, or the model told no log-probabilities."""
        return None if self.calibration is None or features is None else self.calibration.probability(features)

    def declines(self, confidence: float | None) -> bool:
        """Whether a confidence is known and too low."""
        return self.floor is not None and confidence is not None and confidence < self.floor


def check_share(name: str, value: float | None) -> None:
    """Raises UserError where a threshold is not between 0 and 1."""
    if value is not None and not 0 < value < 1:
        raise UserError(f"{name} must lie between 0 and 1, not at {value:g}")


def assessor_for(
    store: CalibrationStore, model: str, *, decline_below: float | None = None, max_error: float | None = None
) -> Assessor:
    """What judges answers of a model.

    Args:
        store: of the calibrations of one name.
        decline_below: the least confidence of an answer.
        max_error: the largest share of wrong answers among those given; the higher of the two floors counts.

    Raises:
        UserError: a floor without a calibration of this model's answers, or an error that none was shown to keep.
    """
    stored = store.current()
    fits = stored is not None and stored.calibration.model == model
    wanted = decline_below is not None or max_error is not None
    if wanted and stored is None:
        raise UserError("declining needs a calibration: make one with  agentkit calibrate TASKS.jsonl")
    if wanted and stored is not None and not fits:
        raise UserError(
            f"{store.target} was fitted on answers of {stored.calibration.model}, not of {model}: make one for it "
            "with  agentkit calibrate TASKS.jsonl"
        )
    if stored is None or not fits:
        return Assessor()
    floors = [floor for floor in (decline_below, _threshold(stored, max_error)) if floor is not None]
    source = f"{store.target} version {stored.version}"
    return Assessor(calibration=stored.calibration, floor=max(floors, default=None), source=source)


def _threshold(stored: StoredCalibration, max_error: float | None) -> float | None:
    """The threshold of the largest error that is not above the wanted one."""
    if max_error is None:
        return None
    shown = {float(error): floor for error, floor in stored.thresholds.items()}
    known = [error for error in shown if error <= max_error + 1e-9]
    if not known:
        least = f"the least is {min(shown):g}" if shown else "no error at all could"
        raise UserError(
            f"no threshold was shown to keep errors under {max_error:g} ({least}): calibrate on more outcomes, or "
            "allow more errors"
        )
    return shown[max(known)]


def thresholds_of(confidences: Sequence[float], scores: Sequence[float]) -> dict[str, float]:
    """The threshold for each of `ERRORS` that could be shown to hold, by that error as text."""
    found = {error: threshold_for(confidences, scores, max_error=error) for error in ERRORS}
    return {f"{error:g}": floor for error, floor in found.items() if floor is not None}
