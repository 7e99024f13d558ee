"""Foresight: the probability that a state ends well, estimated from how similar states ended."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agentkit.embedding import Vectors
from agentkit.memory.case import SUCCESS, Filters
from agentkit.memory.memory import CaseMemory

Array = NDArray[np.floating]


LEAST = 20
"""With fewer known outcomes, nothing is predicted."""


def foresee(memory: CaseMemory, state: str, *, namespace: str = "default") -> float | None:
    """The probability that a task ends well, from cases with similar states; None while too few outcomes are known."""
    query = memory.vectors.vector(state)
    with memory.mirror.lock:
        bank = memory.bank(Filters(namespace=namespace, outcomes=("success", "failure"), exclude_state=state))
        if bank.size < LEAST:
            return None
        states, rewards = bank.vectors("state", bank.allowed), bank.rewards(bank.allowed)
        return float(chance(query[None], states, (rewards >= SUCCESS).astype(float))[0])


def chance(
    query: Vectors, states: Vectors, outcomes: Array, *, k: int = 32, bandwidth: float = 0.1, shrink: float = 1.0
) -> Array:
    """Kernel-weighted mean outcome of the k nearest states, shrunk towards the base rate.

    Args:
        query: unit vectors, shape (m, d).
        states, outcomes: of earlier runs, shapes (n, d) and (n,); never those of the queries themselves.
        shrink: weight of the base rate; the nearest state has weight 1.

    Returns:
        probabilities of success, shape (m,).
    """
    base = float(np.mean(outcomes))
    cosine = query @ states.T
    k = min(k, len(states))
    near = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
    close = np.take_along_axis(cosine, near, axis=1)
    weights = np.exp((close - close.max(axis=1, keepdims=True)) / bandwidth)
    result: Array = ((weights * outcomes[near]).sum(axis=1) + shrink * base) / (weights.sum(axis=1) + shrink)
    return result


def calibrated(raw: Array, fitted_on: Array, outcomes: Array) -> Array:
    """Platt scaling: calibrate raw probabilities with earlier ones that were predicted without knowing their own
    outcomes."""
    x, y = _logit(fitted_on), outcomes
    slope, offset = 1.0, 0.0
    for _ in range(50):
        p = 1 / (1 + np.exp(-(slope * x + offset)))
        w = p * (1 - p) + 1e-9
        gradient = np.array([((y - p) * x).sum() - slope, (y - p).sum()])
        hessian = np.array([[(w * x * x).sum() + 1, (w * x).sum()], [(w * x).sum(), w.sum()]])
        slope, offset = np.array([slope, offset]) + np.linalg.solve(hessian, gradient)
    result: Array = 1 / (1 + np.exp(-(slope * _logit(raw) + offset)))
    return result


def _logit(p: Array) -> Array:
    clipped = np.clip(p, 1e-4, 1 - 1e-4)
    result: Array = np.log(clipped / (1 - clipped))
    return result
