"""A plot of risk by coverage: the share of the likeliest claims that a person would reject."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentkit.errors import DataError


def draw_risk(picture: Mapping[str, Any], path: Path) -> None:
    """Draw the points of a risk–coverage table, as `RiskCoverage.to_json` gives it.

    Raises:
        DataError: the file can't be written, or pictures of its type can't be drawn.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    points = picture["points"]
    axes.plot([p["coverage"] for p in points], [1 - p["accuracy"] for p in points], marker="o")
    axes.set(xlabel="share of claims, the likeliest first", ylabel="share a person would reject", ylim=(0, None))
    axes.grid(visible=True, alpha=0.3)
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise DataError(f"can't be drawn: {error}", path=path) from error
