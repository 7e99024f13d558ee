"""Logistic regression with weights pulled towards a starting point; works for a few dozen outcomes as well as for
thousands."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentkit.statistics.odds import EDGE

Array = NDArray[np.float64]


def ridge_logistic(data: Any, target: Any, start: Any, *, ridge: float = 1.0, free: float = 1e-3) -> Array:
    """The weights that best explain the outcomes, intercept first, by Newton's method.

    Args:
        data: one row of signals per outcome.
        target: 1 or 0 for each; a value in between counts partly as each.
        start: the initial weights, intercept first; the weights are pulled towards them.
        ridge: the strength of that pull.
        free: its strength for the intercept.
    """
    pull = np.full(len(start), ridge)
    pull[0] = free
    origin = np.asarray(start, dtype=float)
    design, weights = np.column_stack([np.ones(len(data)), data]), origin.copy()

    def cost(tried: Array) -> float:
        odds = design @ tried
        return float(np.sum(np.logaddexp(0, odds) - target * odds) + 0.5 * np.sum(pull * (tried - origin) ** 2))

    for _ in range(50):
        share = chance(design @ weights)
        slope = design.T @ (target - share) - pull * (weights - origin)
        curve = design.T @ (design * (share * (1 - share))[:, None]) + np.diag(pull)
        step, before = np.linalg.solve(curve, slope), cost(weights)
        while np.abs(step).max() > 1e-8 and cost(weights + step) > before:
            step = step / 2  # a full step from far away may overshoot
        weights = weights + step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def chance(odds: Any) -> Array:
    """Convert log-odds to probabilities."""
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -EDGE, EDGE))), dtype=float)
