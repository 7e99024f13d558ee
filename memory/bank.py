"""Bank: the cases that one search may choose from, as policies see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from agentkit.embedding import Vectors
from agentkit.memory.case import Case, Filters, Hit
from agentkit.memory.flat import Mask, Positions
from agentkit.memory.rows import CaseRows
from agentkit.store import Store

if TYPE_CHECKING:
    from agentkit.memory.mirror import Mirror

Scores = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Positions of cases, best first, with their scores."""

    positions: Positions
    scores: Scores

    def __len__(self) -> int:
        return len(self.positions)

    def head(self, k: int) -> Ranking:
        return Ranking(positions=self.positions[:k], scores=self.scores[:k])


class Bank:
    """Allowed positions with their vectors and rewards. Valid until the next refresh of the mirror."""

    def __init__(self, store: Store, rows: CaseRows, mirror: Mirror, filters: Filters, mask: Mask) -> None:
        self.store, self.rows, self.mirror, self.filters, self.mask = store, rows, mirror, filters, mask
        self.size = int(np.count_nonzero(mask))

    @property
    def allowed(self) -> Positions:
        return np.flatnonzero(self.mask)

    @property
    def key(self) -> tuple[str, int, str]:
        """Changes whenever anything derived from a namespace's cases must be recomputed."""
        return (self.mirror.epoch, self.mirror.changed, self.filters.namespace)

    def nearest(self, view: str, query: Vectors, k: int) -> Ranking:
        """The k cases nearest to a vector; filters apply before the search."""
        positions, scores = self.mirror.view(view).search(
            query, k, None if self.size == self.mirror.size else self.mask
        )
        return Ranking(positions=positions, scores=scores)

    def vectors(self, view: str, positions: Positions) -> Vectors:
        """The vectors at these positions, shape (n, d)."""
        found: Vectors = self.mirror.view(view).matrix[positions]
        return found

    def rewards(self, positions: Positions) -> NDArray[np.float32]:
        """The rewards at these positions; NaN where unknown."""
        found: NDArray[np.float32] = self.mirror.column("reward")[positions]
        return found

    def only(self, outcomes: tuple[str, ...]) -> Bank:
        """The subset of this bank with these outcomes."""
        from dataclasses import replace

        part = self.mask & self.mirror.mask(replace(self.filters, outcomes=outcomes))
        return Bank(self.store, self.rows, self.mirror, self.filters, part)

    def seqs(self, positions: Positions) -> list[int]:
        return [int(seq) for seq in self.mirror.column("seq")[positions]]

    def ids(self, positions: Positions) -> list[str]:
        """The ids at these positions; empty for a case that has just been removed."""
        seqs = self.seqs(positions)
        with self.store.read() as connection:
            known = self.rows.ids(connection, seqs, self.filters.namespace)
        return [known.get(seq, "") for seq in seqs]

    def cases(self, positions: Positions) -> list[Case]:
        """The rows at these positions, read from SQL with the namespace checked again; cases removed meanwhile are left
        out."""
        with self.store.read() as connection:
            return self.rows.by_seq(connection, self.seqs(positions), self.filters.namespace)

    def hits(self, ranking: Ranking, connection: Connection) -> list[Hit]:
        """The cases of a ranking with their scores; cases removed meanwhile are left out."""
        seqs = self.seqs(ranking.positions)
        scores = dict(zip(seqs, ranking.scores, strict=True))
        cases = self.rows.by_seq(connection, seqs, self.filters.namespace)
        return [Hit(case=case, score=float(scores[case.seq])) for case in cases]
