"""A picture of a memory: its cases on a map, coloured by reward, and how its policy learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from agentkit.errors import UserError
from agentkit.memory.case import Case, Filters
from agentkit.memory.memory import CaseMemory
from agentkit.memory.policy_store import PolicyStore

_COLOURS = {"success": "#1b7837", "failure": "#b2182b", "unknown": "#999999"}


def draw(memory: CaseMemory, path: str | Path, *, namespace: str = "default") -> Path:
    """Write a PNG: left the cases on the first two principal axes of their states, right the runs' mean reward.

    Raises:
        UserError: fewer than three cases.
    """
    with memory.mirror.lock:
        bank = memory.bank(Filters(namespace=namespace, statuses=("active", "quarantined", "superseded")))
        positions = bank.allowed
        cases, vectors = bank.cases(positions), np.array(bank.vectors("state", positions))
    if len(cases) < 3 or len(cases) != len(vectors):
        raise UserError(f"{len(cases)} cases are too few for a map; 3 are the least")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    _map(left, cases, vectors)
    _curve(right, memory)
    figure.savefig(path, dpi=120)
    return Path(path)


def _map(axes: Any, cases: list[Case], vectors: Any) -> None:
    centred = vectors - vectors.mean(axis=0)
    _, spread, basis = np.linalg.svd(centred, full_matrices=False)
    points, share = centred @ basis[:2].T, spread[:2] ** 2 / (spread**2).sum()
    for kind, colour in _COLOURS.items():
        mine = np.array([case.outcome == kind for case in cases])
        if mine.any():
            label = f"{kind} ({mine.sum()})"
            axes.scatter(*points[mine].T, s=16, c=colour, alpha=0.7, linewidths=0, label=label)
    axes.set_title(f"{len(cases)} cases by state", loc="left")
    axes.set_xlabel(f"first principal axis ({share[0]:.0%} of variance)")
    axes.set_ylabel(f"second ({share[1]:.0%})")
    axes.legend(frameon=False)


def _curve(axes: Any, memory: CaseMemory) -> None:
    log = PolicyStore(memory.store, memory.name).log
    with memory.store.read() as connection:
        recalls = list(log.learnt(connection))
    axes.set_title("Reward of runs, by whether cases were shown", loc="left")
    axes.set_xlabel("run")
    axes.set_ylabel("mean reward so far")
    axes.set_ylim(0, 1)
    for name, wanted, colour in (("with cases", True, "#2166ac"), ("without", False, "#999999")):
        found = [(i, r.outcome) for i, r in enumerate(recalls) if any(o.shown for o in r.offers) == wanted]
        if found:
            x, y = np.array(found, dtype=float).T
            axes.plot(x, np.cumsum(y) / np.arange(1, len(y) + 1), c=colour, label=f"{name} ({len(y)})")
    if recalls:
        axes.legend(frameon=False)
    else:
        axes.text(0.5, 0.5, "no outcomes yet", ha="center", va="center", transform=axes.transAxes, color="#777777")
