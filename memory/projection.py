"""Vectors on a plane: what a map of cases is drawn from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def principal_plane(vectors: NDArray[np.floating]) -> tuple[NDArray[np.floating], tuple[float, float]]:
    """Vectors on their first two principal axes.

    Args:
        vectors: shape (n, d), n and d at least 2.

    Returns:
        points, shape (n, 2), and the shares of the variance that lie along the axes. An axis points to where its
        farthest vector lies, so that the same vectors always give the same map.
    """
    centred = vectors - vectors.mean(axis=0)
    _, spread, basis = np.linalg.svd(centred, full_matrices=False)
    points = centred @ basis[:2].T
    farthest = np.abs(points).argmax(axis=0)
    points = points * np.where(points[farthest, [0, 1]] < 0, -1, 1)
    shares = spread[:2] ** 2 / max(float((spread**2).sum()), 1e-12)
    return points, (float(shares[0]), float(shares[1]))
