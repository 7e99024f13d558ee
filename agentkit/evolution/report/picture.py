"""The picture of a report, rendered without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agentkit.pictures import save_png

INK, BLUE, GREEN, RED, GREY, PALE = "#1f2933", "#2563a8", "#2e8b57", "#b3443c", "#8a949e", "#d9dee3"


def draw(report: Mapping[str, Any], path: Path) -> None:
    """Four panels: the learning curve, the arms, the categories, and what the gate decided."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8.2), dpi=110, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    _curve(axes[0][0], report)
    _arms(axes[0][1], report)
    _categories(axes[1][0], report["categories"])
    _gate(axes[1][1], report)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(colors=INK, labelsize=9)
        axis.title.set(color=INK, fontsize=11, fontweight="bold")
    save_png(figure, path)


def _curve(axis: Any, report: Mapping[str, Any]) -> None:
    points = [point for point in report["curve"] if "value" in point]
    axis.set_title("Accuracy while learning", loc="left")
    if points:
        x = [point["tasks"] for point in points]
        axis.fill_between(x, _all(points, "low"), _all(points, "high"), color=BLUE, alpha=0.15, linewidth=0)
        axis.plot(x, _all(points, "value"), color=BLUE, label="training tasks, before learning (last 40)")
    checked = [point for point in report["validation"] if "value" in point]
    if checked:
        _points(axis, _all(checked, "tasks"), checked, color=GREEN, label="validation tasks")
        best = next((point for point in checked if point["chosen"]), None)
        if best:
            axis.plot([best["tasks"]], [best["value"]], "o", ms=13, mfc="none", mec=GREEN, label="chosen version")
    axis.set_ylim(-0.02, 1.02)
    axis.set_xlabel("training tasks seen")
    axis.legend(fontsize=8, frameon=False, loc="lower right")
    axis.grid(axis="y", color=PALE, linewidth=0.6)


def _arms(axis: Any, report: Mapping[str, Any]) -> None:
    arms = list(reversed(report["arms"]))
    axis.set_title(f"Arms on the {report['scored_on']} tasks (95 % intervals)", loc="left")
    for row, arm in enumerate(arms):
        found = arm["accuracy"]
        color = GREEN if arm["name"] == "learned" else INK if arm["name"] == "start" else GREY
        error = [[max(0.0, found["value"] - found["low"])], [max(0.0, found["high"] - found["value"])]]
        axis.barh(row, found["value"], height=0.55, color=color, alpha=0.25)
        axis.errorbar(found["value"], row, xerr=error, fmt="o", color=color, capsize=3)
        axis.text(1.02, row, f"{found['value']:.3f}  n={found['n']}", va="center", fontsize=9, color=INK)
    axis.set_yticks(range(len(arms)), [arm["label"] for arm in arms])
    axis.set_xlim(0, 1)
    axis.set_ylim(-0.6, max(len(arms), 3) - 0.4)


def _categories(axis: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    shown = list(reversed(rows[:14]))
    axis.set_title("Before → after, by category", loc="left")
    for row, item in enumerate(shown):
        color = GREEN if item["after"] > item["before"] else RED if item["after"] < item["before"] else GREY
        axis.plot([item["before"], item["after"]], [row, row], color=color, linewidth=2.5, alpha=0.6)
        axis.plot(item["before"], row, "o", color="white", mec=INK, ms=7)
        axis.plot(item["after"], row, "o", color=color, ms=7)
    axis.set_yticks(range(len(shown)), [f"{item['category'][:28]} ({item['n']})" for item in shown])
    axis.set_xlim(-0.03, 1.03)
    axis.set_xlabel("accuracy (white: before, filled: after)")


def _gate(axis: Any, report: Mapping[str, Any]) -> None:
    points = [point for point in report["curve"] if "batch" in point]
    axis.set_title("Changes and tokens", loc="left")
    x = _all(points, "tasks")
    axis.step(x, _all(points, "accepted"), where="post", color=GREEN, label="accepted")
    axis.step(x, _all(points, "rejected"), where="post", color=RED, label="rejected")
    axis.set_xlabel("training tasks seen")
    axis.set_ylabel("changes")
    axis.yaxis.get_major_locator().set_params(integer=True)
    right = axis.twinx()
    right.plot(x, [value / 1000 for value in _all(points, "tokens")], color=GREY, linestyle=":", label="tokens")
    right.set_ylabel("thousand tokens", color=GREY)
    right.spines["top"].set_visible(False)
    lines = [*axis.get_lines(), *right.get_lines()]
    axis.legend(lines, [line.get_label() for line in lines], fontsize=8, frameon=False, loc="upper left")


def _points(axis: Any, x: Sequence[float], points: Sequence[Mapping[str, Any]], *, color: str, label: str) -> None:
    below = [max(0.0, point["value"] - point["low"]) for point in points]
    above = [max(0.0, point["high"] - point["value"]) for point in points]
    axis.errorbar(x, _all(points, "value"), yerr=[below, above], fmt="o", color=color, capsize=3, label=label)


def _all(points: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    return [point[name] for point in points]
