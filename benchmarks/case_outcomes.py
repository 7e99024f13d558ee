"""Outcome prediction on real runs, always split by query: the rows of one query share one label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentkit.embedding import unit
from agentkit.memory.foresight import calibrated, chance
from benchmarks._results import Results, mean

Array = NDArray[np.float64]
FOLDS = 20


def outcomes(path: Path, embedder: Any, results: Results) -> None:
    """Predict each query's outcome from the queries of the other folds only."""
    from benchmarks.case_retrieval import read_rows

    labels = {row["query"]: float(row["truth_label"]) for row in read_rows(path)}
    y = np.array(list(labels.values()))
    vectors = unit(np.asarray(embedder.embed_documents(list(labels)), dtype=np.float32), embedder.dimension)
    predicted, constant = np.zeros(len(y)), np.zeros(len(y))
    fold = np.random.default_rng(0).permutation(len(y)) % FOLDS
    for f in range(FOLDS):
        train, test = np.flatnonzero(fold != f), np.flatnonzero(fold == f)
        raw = chance(vectors[test], vectors[train], y[train])
        predicted[test] = calibrated(raw, _without_own(vectors[train], y[train]), y[train])
        constant[test] = y[train].mean()
    results.add(arm="kernel", metric="AUC", **_interval(predicted, y, auc), target="≥ 0.64")
    results.add(arm="kernel", metric="ECE", **_interval(predicted, y, ece), target="≤ 0.05")
    results.add(arm="kernel", metric="Brier", **mean(list((predicted - y) ** 2)))
    results.add(arm="constant", metric="AUC", value=0.5, n=len(y))
    results.add(arm="constant", metric="Brier", **mean(list((constant - y) ** 2)))
    results.note(f"{FOLDS} folds by query, {len(y)} queries; a split by row would leak the label and is not offered")


def _without_own(vectors: Any, y: Array) -> Array:
    """Predicted probabilities for the training queries, each computed without its own outcome."""
    everyone = np.arange(len(y))
    return np.concatenate([chance(vectors[i : i + 1], vectors[everyone != i], y[everyone != i]) for i in everyone])


def auc(p: Array, y: Array) -> float:
    """Probability that a success is rated above a failure; ties count half."""
    from scipy.stats import rankdata

    ranks, good = rankdata(p), y.sum()
    return float((ranks[y == 1].sum() - good * (good + 1) / 2) / (good * (len(y) - good)))


def ece(p: Array, y: Array, bins: int = 10) -> float:
    """Expected calibration error over equally filled bins."""
    parts = np.array_split(np.argsort(p, kind="stable"), bins)
    return float(sum(abs(p[part].mean() - y[part].mean()) * len(part) for part in parts) / len(y))


def _interval(p: Array, y: Array, figure: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(y), len(y)) for _ in range(1000)]
    low, high = np.quantile([figure(p[draw], y[draw]) for draw in draws], [0.025, 0.975])
    return {"value": figure(p, y), "low": float(low), "high": float(high), "n": len(y)}
