"""Shared by the curation benchmarks: counts of relations, intervals, and a run over documents in its own store."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agentkit.curation.curate import Curation, CurationOptions, Report
from agentkit.curation.documents import Document, Failure, read_documents
from agentkit.curation.extraction.duo import Naming
from agentkit.curation.extraction.plan import make_plan
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.ontology.schema import Ontology
from agentkit.models import Retry
from agentkit.protocols import Recaller
from agentkit.store import Store

Pair = tuple[str, str]


def documents(path: Path, limit: int | None = None) -> list[Document]:
    """The papers of a corpus file, in the order of the file."""
    found = [item for item in read_documents(path) if not isinstance(item, Failure)]
    return found if limit is None else found[:limit]


def without_gold(items: Iterable[Document]) -> list[Document]:
    """The same papers without their annotations, as a model may see them."""
    return [Document.from_json({**d.to_json(), "mentions": [], "relations": []}) for d in items]


def scored(found: Sequence[set[Pair]], gold: Sequence[set[Pair]]) -> dict[str, dict[str, Any]]:
    """Micro precision, recall and F1 over distinct pairs per document, with bootstrap intervals over documents."""
    counts = np.array([[len(f & g), len(f), len(g)] for f, g in zip(found, gold, strict=True)], dtype=float)
    picks = np.random.default_rng(0).integers(0, len(counts), size=(2000, len(counts)))
    draws = _prf(counts[picks].sum(axis=1))
    point = _prf(counts.sum(axis=0)[None, :])
    low, high = np.nanquantile(draws, [0.025, 0.975], axis=0)
    names = ("precision", "recall", "F1")
    return {
        name: {"value": float(point[0, i]), "low": float(low[i]), "high": float(high[i]), "n": len(counts)}
        for i, name in enumerate(names)
    }


def _prf(counts: Any) -> Any:
    hits, found, gold = counts[:, 0], counts[:, 1], counts[:, 2]
    precision = hits / np.maximum(found, 1)
    recall = hits / np.maximum(gold, 1)
    f1 = 2 * hits / np.maximum(found + gold, 1)
    return np.stack([precision, recall, f1], axis=1)


def curated(
    papers: Iterable[Document | Failure],
    ontology: Ontology,
    *,
    explorer: Any,
    evaluator: Any,
    naming: Naming,
    options: CurationOptions,
    recallers: Sequence[Recaller] = (),
    store: Store | None = None,
    kb: str = "benchmark",
) -> tuple[KnowledgeBase, Report]:
    """Run a curation to its end, in a temporary store unless one is given."""
    opened = store or Store.open(Path(tempfile.mkdtemp()) / "benchmark.db")
    base = KnowledgeBase(opened, kb)
    run = Curation(
        base,
        make_plan(ontology),
        explorer=explorer,
        evaluator=evaluator,
        naming=naming,
        options=options,
        recallers=recallers,
        retry=Retry(invalid=2),
    )
    return base, asyncio.run(run.run(papers))
