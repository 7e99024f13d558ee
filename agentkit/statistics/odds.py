"""Probabilities as log-odds, and back."""

from __future__ import annotations

import math

EDGE = 30.0
"""Log-odds beyond this are as good as certainty, and their exponential would overflow."""


def log_odds(share: float, *, least: float) -> float:
    """The log-odds of a probability, which is first moved to at least `least` away from 0 and from 1."""
    share = min(max(share, least), 1 - least)
    return math.log(share / (1 - share))


def probability_of(odds: float) -> float:
    """The probability with these log-odds."""
    return 1 / (1 + math.exp(-max(-EDGE, min(EDGE, odds))))
