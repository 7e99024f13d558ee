"""FlatView: exact inner-product search over unit vectors, and IVF with exact re-scoring above 10⁵ of them."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentkit.embedding import Vectors

Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]

IVF_FROM = 150_000
"""Above this many vectors an inverted file is worth building; below, a flat scan takes about 10 ms."""
GATHER_BELOW = 0.03
"""If the share of allowed vectors is lower, copying them out is faster than scanning with a bitmap."""
KEEP = 1 << 28
"""Up to this many bytes of vectors are copied out for a filter that is used repeatedly; scanning the copy reads nothing
else."""
RESCORE = 8
"""How many candidates of an inverted file are re-scored exactly for each result."""


@cache
def _faiss() -> Any:
    import faiss

    faiss.omp_set_num_threads(1)  # two threads make a single query slower, several times so on a busy machine
    return faiss


class FlatView:
    """Vectors in the order of their cases; only ever appended to. Writing is not thread-safe; see `Mirror`."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        faiss = _faiss()
        # The default runs batches of up to 333 queries (at 384 dimensions) as single scans, which is 6 times slower.
        faiss.cvar.distance_compute_blas_threshold = 8 * dimension
        self.index = faiss.IndexFlatIP(dimension)
        self.ivf: Any = None
        self._last: tuple[Mask, tuple[Positions, FlatView] | None] | None = None
        self._building: threading.Thread | None = None

    def __len__(self) -> int:
        return int(self.index.ntotal)

    @property
    def matrix(self) -> Vectors:
        """All vectors, shape (n, d), without copying; invalid after the next `add`."""
        if not len(self):
            return np.zeros((0, self.dimension), dtype=np.float32)
        flat: Vectors = _faiss().rev_swig_ptr(self.index.get_xb(), len(self) * self.dimension)
        return flat.reshape(len(self), self.dimension)

    def add(self, vectors: Vectors) -> None:
        """Append unit vectors, shape (n, d)."""
        if len(vectors):
            rows = np.ascontiguousarray(vectors, dtype=np.float32)
            self.index.add(rows)
            if self.ivf is not None:
                self.ivf.add(rows)

    def search(self, query: Vectors, k: int, mask: Mask | None = None) -> tuple[Positions, Vectors]:
        """The k nearest vectors by inner product.

        Args:
            query: one vector, shape (d,).
            mask: which positions may be returned, shape (n,); None allows all.

        Returns:
            positions and scores, best first; fewer than k if the mask allows fewer. With a mask, always exact.
        """
        allowed = len(self) if mask is None else int(np.count_nonzero(mask))
        k = min(k, allowed)
        if k <= 0:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        if mask is None or allowed == len(self):
            return self._scan(query, k) if self.ivf is None else self._inverted(query, k)
        if allowed < GATHER_BELOW * len(self):
            return self._gathered(query, k, mask)
        part = self._again(mask, allowed)
        if part is None:
            return self._scan(query, k, self._bitmap(mask))
        positions, scores = part[1]._scan(query, k)
        return part[0][positions], scores

    def _again(self, mask: Mask, allowed: int) -> tuple[Positions, FlatView] | None:
        """The positions and vectors that a mask allows, copied out when the same mask comes twice in a row: searches by
        one tenant, or for successes only, have the same mask until a case is added or changed."""
        last = self._last  # read once, so that a search in another thread can't separate a mask from its vectors
        if last is None or not np.array_equal(mask, last[0]):
            self._last = mask.copy(), None
            return None
        if last[1] is None and 4 * self.dimension * allowed <= KEEP:
            positions, view = np.flatnonzero(mask), FlatView(self.dimension)
            view.add(self.matrix[positions])
            self._last = last = last[0], (positions, view)
        return last[1]

    def search_batch(self, queries: Vectors, k: int) -> tuple[NDArray[np.int64], Vectors]:
        """The k nearest for each query, shape (m, k), unfiltered and exact."""
        scores, positions = self.index.search(np.ascontiguousarray(queries, dtype=np.float32), k)
        return positions, scores

    def _scan(self, query: Vectors, k: int, params: Any = None) -> tuple[Positions, Vectors]:
        rows = np.ascontiguousarray(query[None], dtype=np.float32)
        scores, positions = self.index.search(rows, k, params=params)
        found = positions[0] >= 0
        return positions[0][found], scores[0][found]

    def _bitmap(self, mask: Mask) -> Any:
        faiss = _faiss()
        bits = np.packbits(mask, bitorder="little")
        params = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        params.keep = bits
        return params

    def _gathered(self, query: Vectors, k: int, mask: Mask) -> tuple[Positions, Vectors]:
        positions = np.flatnonzero(mask)
        return top(positions, self.matrix[positions] @ query, k)

    def _inverted(self, query: Vectors, k: int) -> tuple[Positions, Vectors]:
        rows = np.ascontiguousarray(query[None], dtype=np.float32)
        _, found = self.ivf.search(rows, max(32, RESCORE * k))
        positions = found[0][found[0] >= 0]
        if len(positions) < k:
            return self._scan(query, k)
        return top(positions, self.matrix[positions] @ query, k)

    def wants_ivf(self) -> bool:
        return self.ivf is None and self._building is None and len(self) >= IVF_FROM

    def build_ivf(self, *, recall: float = 0.97, k: int = 8) -> None:
        """Train and fill an inverted file, and set it to probe as many lists as it takes to reach this recall."""
        faiss = _faiss()
        matrix = np.array(self.matrix)
        lists = int(4 * np.sqrt(len(matrix)))
        quantizer = faiss.IndexFlatIP(self.dimension)
        kind = faiss.ScalarQuantizer.QT_8bit
        ivf = faiss.IndexIVFScalarQuantizer(quantizer, self.dimension, lists, kind, faiss.METRIC_INNER_PRODUCT)
        ivf.cp.max_points_per_centroid, ivf.cp.niter = 48, 8
        rng = np.random.default_rng(0)
        sample = matrix[rng.choice(len(matrix), min(len(matrix), 48 * lists), replace=False)]
        ivf.train(sample)
        ivf.add(matrix)
        _calibrate(ivf, self.index, matrix, rng, recall, k)
        self.ivf = ivf

    def build_in_background(self, lock: Any) -> threading.Thread:
        """Build the inverted file in a thread; searches stay exact until it is ready."""

        def work() -> None:
            with lock:
                clone = FlatView(self.dimension)
                clone.add(self.matrix)
            clone.build_ivf()
            with lock:
                clone.ivf.add(np.array(self.matrix[len(clone) :])) if len(self) > len(clone) else None
                self.ivf, self._building = clone.ivf, None

        self._building = threading.Thread(target=work, name="agentkit-ivf", daemon=True)
        self._building.start()
        return self._building


def top(positions: Positions, scores: Vectors, k: int) -> tuple[Positions, Vectors]:
    """The k best of scored positions, best first; ties by position."""
    if k < len(scores):
        best = np.argpartition(-scores, k - 1)[:k]
        positions, scores = positions[best], scores[best]
    order = np.lexsort((positions, -scores))
    return positions[order], scores[order]


def _calibrate(ivf: Any, exact: Any, matrix: Vectors, rng: np.random.Generator, recall: float, k: int) -> None:
    """Set `nprobe` to the smallest power of two that reaches the recall on perturbed vectors from the data."""
    queries = matrix[rng.choice(len(matrix), min(len(matrix), 128), replace=False)]
    noise = rng.standard_normal(queries.shape).astype(np.float32)
    queries = queries + 0.5 * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    _, wanted = exact.search(queries, k)
    probes = 1
    while True:
        ivf.nprobe = probes
        _, found = ivf.search(queries, max(32, RESCORE * k))
        hits = np.mean([len(np.intersect1d(a, b)) for a, b in zip(wanted, found, strict=True)]) / k
        if hits >= recall or probes >= ivf.nlist:
            return
        probes *= 2
