"""The picture of a stream: how each arm improved along it, and where it ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentkit.evolution.report.picture import BLUE, GREEN, GREY, INK, PALE, RED
from agentkit.pictures import save_png

COLOURS = {"stateless": INK, "random": GREY, "self-streamicl": RED, "neighbours": BLUE, "ours": GREEN}


def draw_stream(report: Mapping[str, Any], path: Path) -> None:
    """Two panels: the running success rate of each arm; and last quarter, hold-out and tokens per task next to each
    other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.6), dpi=110, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for arm in report["arms"]:
        values = arm["curve"]
        left.plot(range(1, len(values) + 1), values, color=COLOURS[arm["name"]], label=arm["label"])
    left.set(xlabel="tasks seen", ylim=(-0.02, 1.02))
    left.set_title("Success over the last 30 tasks", loc="left", color=INK, fontsize=11, fontweight="bold")
    left.legend(fontsize=8, frameon=False)
    left.grid(axis="y", color=PALE, linewidth=0.6)
    _ends(right, report)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(colors=INK, labelsize=9)
    save_png(figure, path)


def _ends(axis: Any, report: Mapping[str, Any]) -> None:
    """The last quarter (a dot with its interval), the hold-out (a ring), and the tokens per task."""
    arms = list(reversed(report["arms"]))
    axis.set_title(
        "Last quarter ●, hold-out ○ (95 %), tokens a task", loc="left", color=INK, fontsize=11, fontweight="bold"
    )
    for row, arm in enumerate(arms):
        colour, last = COLOURS[arm["name"]], arm["quarters"][-1]
        axis.plot([last["low"], last["high"]], [row, row], color=colour, linewidth=2)
        axis.plot(last["value"], row, "o", color=colour)
        if arm["holdout"]:
            axis.plot(arm["holdout"]["value"], row + 0.18, "o", mfc="none", mec=colour)
        axis.text(1.03, row, f"{arm['tokens']:,.0f}", va="center", fontsize=9, color=INK)
    axis.set_yticks(range(len(arms)), [arm["name"] for arm in arms])
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.6, len(arms) - 0.4))
