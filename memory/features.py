"""Hashed words and word pairs of masked states and plan skeletons, stored with the mirror and extended with it."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from agentkit.memory.text import plan_steps, skeleton
from agentkit.store.cases import CaseRow
from agentkit.words import words

if TYPE_CHECKING:
    from agentkit.memory.bank import Bank
    from agentkit.memory.mirror import Mirror

WIDTH = 1 << 15
"""Number of hash buckets for words and word pairs."""
MAX_STEPS = 8


def terms(text: str) -> dict[int, float]:
    """Counts of hashed words and adjacent pairs, including the beginning and end of the text."""
    tokens = words(text)
    pairs = zip(["^", *tokens], [*tokens, "$"], strict=True)
    counts: dict[int, float] = {}
    for term in [*tokens, *(f"{a} {b}" for a, b in pairs)]:
        bucket = zlib.crc32(term.encode()) % WIDTH
        counts[bucket] = counts.get(bucket, 0.0) + 1.0
    return counts


def sparse(rows: list[dict[int, float]]) -> Any:
    """A CSR matrix, shape (n, WIDTH), from bucket counts."""
    from scipy.sparse import csr_matrix

    starts = np.cumsum([0, *(len(row) for row in rows)])
    columns = np.fromiter((c for row in rows for c in row), dtype=np.int32, count=starts[-1])
    values = np.fromiter((v for row in rows for v in row.values()), dtype=np.float32, count=starts[-1])
    return csr_matrix((values, columns, starts), shape=(len(rows), WIDTH))


class TextFeatures:
    """For every position of a mirror: terms of the masked state, terms of the plan's skeleton, number of steps."""

    def __init__(self) -> None:
        self.epoch, self.last = "", 0
        self.state, self.plan = sparse([]), sparse([])
        self.steps: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def follow(self, mirror: Mirror) -> TextFeatures:
        """Extend to the mirror's positions, in place."""
        from scipy.sparse import vstack

        if mirror.epoch != self.epoch or self.state.shape[0] > mirror.size:
            self.__init__()  # type: ignore[misc]
            self.epoch = mirror.epoch
        done = self.state.shape[0]
        if done == mirror.size:
            return self
        seqs = mirror.column("seq")[done:]
        query = select(CaseRow.seq, CaseRow.masked, CaseRow.plan).where(CaseRow.memory == mirror.rows.memory)
        with mirror.store.read() as connection:
            found = {row[0]: row for row in connection.execute(query.where(CaseRow.seq >= int(seqs[0])))}
        texts = [(found[s][1], found[s][2]) if s in found else ("", "") for s in seqs.tolist()]
        self.state = vstack([self.state, sparse([terms(masked) for masked, _ in texts])], format="csr")
        self.plan = vstack([self.plan, sparse([terms(skeleton(plan)) for _, plan in texts])], format="csr")
        steps = [min(len(plan_steps(plan)), MAX_STEPS) for _, plan in texts]
        self.steps = np.concatenate([self.steps, np.asarray(steps, dtype=np.int64)])
        return self


def text_features(bank: Bank) -> TextFeatures:
    """The features of the bank's mirror, up to date."""
    mirror = bank.mirror
    if mirror.features is None:
        mirror.features = TextFeatures()
    found: TextFeatures = mirror.features.follow(mirror)
    return found


def weigh(matrix: Any, inverse: NDArray[np.float32]) -> Any:
    """TF-IDF rows scaled to unit length."""
    from scipy.sparse import diags

    weighted = matrix.multiply(inverse).tocsr()
    norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1))).ravel()
    return (diags(1 / np.where(norms == 0, 1, norms)) @ weighted).tocsr().astype(np.float32)


def inverse_frequency(matrix: Any) -> NDArray[np.float32]:
    """Smoothed inverse document frequency of each bucket, shape (WIDTH,)."""
    counts = matrix.getnnz(axis=0)
    inverse: NDArray[np.float32] = (np.log((1 + matrix.shape[0]) / (1 + counts)) + 1).astype(np.float32)
    return inverse
