"""How likely an answer is right: signals of the model's own uncertainty, calibrated on recorded outcomes."""

from agentkit.confidence.calibration import Calibration, Confidence, cross_fitted, fit
from agentkit.confidence.features import Features, agreement_of, features_of, features_of_calls
from agentkit.confidence.floor import Assessor, assessor_for, check_share, thresholds_of
from agentkit.confidence.likeness import Likeness, OptionFit
from agentkit.confidence.risk import RiskCoverage, auroc, risk_coverage, threshold_for
from agentkit.confidence.store import CalibrationStore, StoredCalibration

__all__ = [
    "Assessor",
    "Calibration",
    "CalibrationStore",
    "Confidence",
    "Features",
    "Likeness",
    "OptionFit",
    "RiskCoverage",
    "StoredCalibration",
    "agreement_of",
    "assessor_for",
    "auroc",
    "check_share",
    "cross_fitted",
    "features_of",
    "features_of_calls",
    "fit",
    "risk_coverage",
    "threshold_for",
    "thresholds_of",
]
