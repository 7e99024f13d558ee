"""What declining achieves: the error rate among the answers given, for each share of tasks answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from agentkit.json_types import JsonObject

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
_DOUBT = 0.1


@dataclass(frozen=True, kw_only=True)
class CoveragePoint:
    """The most confident answers, and how many of them are right.

    Attributes:
        coverage: the share of tasks that are answered.
        threshold: the lowest confidence among these answers.
        accuracy: their mean score.
        n: how many there are.
    """

    coverage: float
    threshold: float
    accuracy: float
    n: int


@dataclass(frozen=True, kw_only=True)
class RiskCoverage:
    """How well confidence tells right answers from wrong ones.

    Attributes:
        points: from all tasks down to the most confident tenth.
        auroc: the probability that a right answer has a higher confidence than a wrong one; None if all are right or
            all wrong.
        half: the accuracy if the more confident half is answered.
        brier: the mean squared difference between confidence and outcome.
    """

    points: tuple[CoveragePoint, ...]
    auroc: float | None
    half: float
    brier: float

    def to_json(self) -> JsonObject:
        return asdict(self)


def risk_coverage(confidences: Sequence[float], scores: Sequence[float]) -> RiskCoverage:
    """The risk–coverage table (El-Yaniv & Wiener, JMLR 2010) of at least one answer."""
    ranked = sorted(zip(confidences, scores, strict=True), key=lambda item: -item[0])
    points = tuple(_point(ranked, coverage) for coverage in COVERAGES)
    brier = sum((confidence - score) ** 2 for confidence, score in ranked) / len(ranked)
    half = next(point.accuracy for point in points if point.coverage == 0.5)
    return RiskCoverage(points=points, auroc=auroc(confidences, scores), half=half, brier=brier)


def auroc(confidences: Sequence[float], scores: Sequence[float]) -> float | None:
    """The area under the ROC curve, by ranks (Mann & Whitney 1947); ties count half."""
    pairs = sorted((c, score >= 0.5) for c, score in zip(confidences, scores, strict=True))
    right = sum(hit for _, hit in pairs)
    wrong = len(pairs) - right
    if not right or not wrong:
        return None
    won = below = 0.0
    for _, group in groupby(pairs, key=lambda pair: pair[0]):
        tied = [hit for _, hit in group]
        won += sum(tied) * (below + (len(tied) - sum(tied)) / 2)
        below += len(tied) - sum(tied)
    return won / (right * wrong)


def threshold_for(confidences: Sequence[float], scores: Sequence[float], *, max_error: float) -> float | None:
    """The lowest confidence from which the error rate is at most `max_error`, with 90 % certainty.

    Thresholds are tested from the highest down, each with the exact binomial bound, until one fails. Because the order
    of the tests is fixed, all of them together keep the level (Angelopoulos et al., "Learn then Test", arXiv
    2110.01052, §4).

    Args:
        confidences: from a calibration that did not see these outcomes (`cross_fitted`).
        scores: 1 right, 0 wrong.
        max_error: the highest share of wrong answers among those given, in (0, 1).

    Returns:
        None if no threshold can be shown to hold, because there are too few outcomes or too many errors.
    """
    from scipy.stats import beta

    ranked = sorted(zip(confidences, scores, strict=True), key=lambda item: -item[0])
    wrong, found = 0.0, None
    least = _least(max_error)
    for n, (confidence, score) in enumerate(ranked, 1):
        wrong += 1 - score
        if n < least or (n < len(ranked) and ranked[n][0] == confidence):
            continue
        errors = int(wrong + 0.999)
        bound = 1.0 if errors >= n else float(beta.ppf(1 - _DOUBT, errors + 1, n - errors))
        if bound > max_error:
            break
        found = confidence
    return found


def _least(max_error: float) -> int:
    """The number of flawless answers needed to show such an error rate at all."""
    n = 1
    while (1 - max_error) ** n > _DOUBT:
        n += 1
    return n


def _point(ranked: Sequence[tuple[float, float]], coverage: float) -> CoveragePoint:
    n = max(1, round(coverage * len(ranked)))
    kept = ranked[:n]
    return CoveragePoint(coverage=coverage, threshold=kept[-1][0], accuracy=sum(score for _, score in kept) / n, n=n)
