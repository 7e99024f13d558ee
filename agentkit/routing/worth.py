"""What the evaluator is worth: how often it leaves right answers right, and how often it corrects wrong ones.

After "Confidence v. Critique" (arXiv 2412.19513): with p and q the scores before and after, the confidence level is
Σ p q / Σ p, the critique level Σ (1 − p) q / Σ (1 − p), and the relative score (acc₂ − acc₁²) / (2 acc₁ (1 − acc₁)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from agentkit.json_types import JsonObject
from agentkit.routing.record import EffortOutcome

LEAST_ASKED = 10
"""The evaluator is asked automatically only after it has been measured on this many answers."""
_DOUBT = 0.05


@dataclass(frozen=True, kw_only=True)
class Levels:
    """The evaluator's effect on one model's answers to one kind of task.

    Attributes:
        n: how many answers it was asked about.
        before, after: their mean scores.
        confidence: the share of right answers that stayed right; None if none was right.
        critique: the share of wrong answers that were corrected; None if none was wrong.
        relative: the relative score; None if all were right or all wrong.
        effect: `after` minus `before`.
        bound: the lower bound of the effect at 95 % confidence.
        limit: below this confidence, asking the evaluator corrects more answers than it spoils.
    """

    n: int
    before: float
    after: float
    confidence: float | None
    critique: float | None
    relative: float | None
    effect: float
    bound: float
    limit: float

    def to_json(self) -> JsonObject:
        return asdict(self)


def levels_of(outcomes: Sequence[EffortOutcome]) -> Levels | None:
    """The levels of the outcomes for which the evaluator was asked and both scores are known; None if there are
    none."""
    pairs = [(item.first, item.second) for item in outcomes if item.first is not None and item.second is not None]
    if not pairs:
        return None
    n = len(pairs)
    right, wrong = sum(p for p, _ in pairs), sum(1 - p for p, _ in pairs)
    kept, mended = sum(p * q for p, q in pairs), sum((1 - p) * q for p, q in pairs)
    before, after = right / n, sum(q for _, q in pairs) / n
    spread = 2 * before * (1 - before)
    keeps, mends = (kept + 1) / (right + 2), (mended + 1) / (wrong + 2)  # Laplace's rule: few pairs say little
    return Levels(
        n=n,
        before=before,
        after=after,
        confidence=kept / right if right else None,
        critique=mended / wrong if wrong else None,
        relative=(after - before * before) / spread if spread else None,
        effect=after - before,
        bound=_bound(sum(q > p for p, q in pairs), sum(q < p for p, q in pairs), n),
        limit=mends / (mends + 1 - keeps),
    )


def _bound(won: int, lost: int, n: int) -> float:
    """The lower bound of the net effect: the exact one-sided bound for the share of improvements among the changed
    answers."""
    from scipy.stats import beta

    changed = won + lost
    if not changed:
        return 0.0
    least = float(beta.ppf(_DOUBT, won, lost + 1)) if won else 0.0
    return (2 * least - 1) * changed / n
