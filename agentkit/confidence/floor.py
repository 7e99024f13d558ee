"""The confidence a run needs to give its answer: the calibration in effect, and the floor below which it declines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentkit.confidence.calibration import Calibration
from agentkit.confidence.features import Features
from agentkit.confidence.likeness import Likeness
from agentkit.confidence.risk import threshold_for
from agentkit.confidence.store import CalibrationStore, StoredCalibration
from agentkit.errors import UserError

ERRORS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
"""The error rates for which a calibration looks for a threshold."""


@dataclass(frozen=True, kw_only=True)
class Assessor:
    """Estimates how likely an answer is right, and decides whether that is enough.

    Attributes:
        calibration: None if there is none for the model, so that confidence is unknown.
        floor: answers with a lower confidence are declined; None declines none.
        source: the calibration's target and version, for the records.
        likeness: compares inputs with the options of closed answers; None if the calibration knows nothing of it.
    """

    calibration: Calibration | None = None
    floor: float | None = None
    source: str = ""
    likeness: Likeness | None = None

    def confidence(self, features: Features | None) -> float | None:
        """A probability between 0 and 1; None if there is no calibration, or the model returned no
        log-probabilities."""
        return None if self.calibration is None or features is None else self.calibration.probability(features)

    def declines(self, confidence: float | None) -> bool:
        """Whether the confidence is known and too low."""
        return self.floor is not None and confidence is not None and confidence < self.floor


def check_share(name: str, value: float | None) -> None:
    """Raises UserError if a threshold is not between 0 and 1."""
    if value is not None and not 0 < value < 1:
        raise UserError(f"{name} must lie between 0 and 1, not at {value:g}")


def assessor_for(
    store: CalibrationStore,
    model: str,
    *,
    decline_below: float | None = None,
    max_error: float | None = None,
    likeness: Likeness | None = None,
) -> Assessor:
    """The assessor for a model's answers.

    Args:
        store: holds the calibrations under one name.
        decline_below: the lowest accepted confidence.
        max_error: the highest accepted share of wrong answers among those given; the higher of the two floors applies.
        likeness: used if the calibration was fitted with the same embedder.

    Raises:
        UserError: a floor was requested, but there is no calibration for this model, or none could be shown to keep the
            error rate.
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
    if not (fitted := stored.calibration.embedder) or (likeness is not None and likeness.name != fitted):
        likeness = None
    floor = max(floors, default=None)
    return Assessor(calibration=stored.calibration, floor=floor, source=source, likeness=likeness)


def _threshold(stored: StoredCalibration, max_error: float | None) -> float | None:
    """The threshold for the largest calibrated error rate that does not exceed the requested one."""
    if max_error is None:
        return None
    shown = {float(error): floor for error, floor in stored.thresholds.items()}
    known = [error for error in shown if error <= max_error + 1e-9]
    if not known:
        least = f"the lowest possible is {min(shown):g}" if shown else "none could be shown for any error rate"
        raise UserError(
            f"no threshold could be shown to keep errors under {max_error:g} ({least}): calibrate on more outcomes, or "
            "allow more errors"
        )
    return shown[max(known)]


def thresholds_of(confidences: Sequence[float], scores: Sequence[float]) -> dict[str, float]:
    """The threshold for each of `ERRORS` that could be shown to hold, keyed by the error as text."""
    found = {error: threshold_for(confidences, scores, max_error=error) for error in ERRORS}
    return {f"{error:g}": floor for error, floor in found.items() if floor is not None}
