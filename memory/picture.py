"""A picture of a memory: its cases on a map, coloured by reward, and the progress of its policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from agentkit.errors import UserError
from agentkit.memory.case import Case, Filters
from agentkit.memory.memory import CaseMemory
from agentkit.memory.policy_store import PolicyStore, take_in
from agentkit.memory.projection import principal_plane
from agentkit.memory.value import FEATURES, EffectModel
from agentkit.pictures import save_png

_LOOKS = {"success": ("#1b7837", "o"), "failure": ("#b2182b", "X"), "unknown": ("#999999", "s")}
_WINDOW = 25
"""The reward curve is averaged over this many runs."""


def draw(memory: CaseMemory, path: str | Path, *, namespace: str = "default") -> Path:
    """Write a PNG. Left: the cases on the first two principal axes of their states. Right, run by run: the rewards, and
    the estimated gain from showing one similar case about which nothing else is known.

    Raises:
        UserError: fewer than three cases, or a path that can't be written.
    """
    with memory.mirror.lock:
        bank = memory.bank(Filters(namespace=namespace, statuses=("active", "quarantined", "superseded")))
        positions = bank.allowed
        cases, vectors = bank.cases(positions), np.array(bank.vectors("state", positions))
    if len(cases) < 3 or len(cases) != len(vectors):
        raise UserError(f"{len(cases)} cases are too few for a map; 3 are the least")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.2), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    _map(left, cases, vectors)
    _curve(right, memory)
    return save_png(figure, path)


def _map(axes: Any, cases: list[Case], vectors: Any) -> None:
    points, share = principal_plane(vectors)
    for kind, (colour, marker) in _LOOKS.items():
        mine = np.array([case.outcome == kind for case in cases])
        if mine.any():
            label = f"{kind} ({mine.sum()})"
            axes.scatter(*points[mine].T, s=22, c=colour, marker=marker, alpha=0.7, linewidths=0, label=label)
    axes.set_title(f"{len(cases)} cases by state", loc="left")
    axes.set_xlabel(f"first principal axis ({share[0]:.0%} of variance)")
    axes.set_ylabel(f"second ({share[1]:.0%})")
    axes.legend(frameon=False)


def _curve(axes: Any, memory: CaseMemory) -> None:
    log, value, belief = PolicyStore(memory.store, memory.name).log, EffectModel(), []
    with memory.store.read() as connection:
        recalls = list(log.learnt(connection))
    axes.set_title("What the policy has learnt", loc="left")
    axes.axhline(0, c="#cccccc", lw=0.8)
    if not recalls:
        axes.text(0.5, 0.5, "no outcomes yet", ha="center", va="center", transform=axes.transAxes, color="#777777")
        return
    rewards = np.array([recall.outcome for recall in recalls], dtype=float)
    for recall, reward in zip(recalls, rewards, strict=True):
        take_in(value, recall, float(reward))
        mean, deviation = value.judge([""], np.ones((1, FEATURES)))
        belief.append((mean[0], deviation[0]))
    x, (middle, spread) = np.arange(1, len(recalls) + 1), np.array(belief).T
    totals = np.concatenate([[0.0], np.cumsum(rewards)])
    start = np.maximum(x - _WINDOW, 0)
    axes.plot(x, (totals[x] - totals[start]) / (x - start), c="#888888", label=f"reward, mean of {_WINDOW} runs")
    axes.plot(x, middle, c="#2166ac", label="believed gain of one close case")
    axes.fill_between(x, middle - 1.96 * spread, middle + 1.96 * spread, color="#2166ac", alpha=0.18, linewidth=0)
    axes.set_xlabel("run")
    axes.set_ylabel("reward")
    axes.set_ylim(min(-0.4, float((middle - 1.96 * spread).min())), 1.02)
    axes.legend(frameon=False, loc="upper right")
