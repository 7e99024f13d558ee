"""How often similar cases have the same answer: above which similarity a neighbour's answer can be relied on."""

from __future__ import annotations

import numpy as np

from agentkit.embedding import Vectors
from agentkit.memory.case import Case, Filters
from agentkit.memory.forms.vote import threshold_of
from agentkit.memory.memory import CaseMemory
from agentkit.memory.neighbours import against_earlier

NEWEST = 200
"""How many of the newest cases are examined."""

Pair = tuple[float, int | None]
"""For a case: the similarity of its nearest earlier case, and the rank of the nearest one with the same answer."""


class Agreement:
    """Pairs of similar cases in one namespace; each case is examined once per process."""

    def __init__(self, memory: CaseMemory, namespace: str) -> None:
        self.memory, self.namespace = memory, namespace

    def threshold(self, kind: str) -> float | None:
        """The similarity above which the nearest case's answer has been right; see `threshold_of`.

        Args:
            kind: of task, from `kind_of`.
        """
        return threshold_of([(likeness, place == 0) for likeness, place in self._known(kind)])

    def covered(self, kind: str, k: int) -> float | None:
        """The similarity above which the right answer has been among those of the k nearest cases."""
        told = [(likeness, place is not None and place < k) for likeness, place in self._known(kind)]
        return threshold_of(told)

    def _known(self, kind: str) -> list[Pair]:
        with self.memory.mirror.lock:
            bank = self.memory.bank(Filters(namespace=self.namespace, trusted=True)).only(("success",))
            positions = bank.allowed[-NEWEST:]
            vectors = dict(zip(bank.seqs(positions), bank.vectors("state", positions), strict=True))
            cases = [case for case in bank.cases(positions) if case.right_answer and case.instructions == kind]
            return self._pairs(kind, cases, np.array([vectors[case.seq] for case in cases]))

    def _pairs(self, kind: str, cases: list[Case], vectors: Vectors) -> list[Pair]:
        """The pairs for these cases; those examined before are taken from a cache, unless the case has changed."""
        fits, key = self.memory.mirror.fits, ("pairs", self.namespace, kind)
        known: dict[tuple[int, str | None], Pair] = fits.setdefault(key, {})
        for place, case in enumerate(cases[1:], 1):
            name = (case.seq, case.right_answer)
            if name not in known:
                known[name] = against_earlier(cases[: place + 1], vectors[: place + 1])
        return [known[case.seq, case.right_answer] for case in cases[1:]]
