"""Query: a state to find cases for; its vectors are computed on first use."""

from __future__ import annotations

from functools import cached_property

from agentkit.embedding import VectorCache, Vectors
from agentkit.memory.text import mask


class Query:
    """A state with its views."""

    def __init__(self, text: str, vectors: VectorCache, *, seed: str = "") -> None:
        self.text, self.seed, self._vectors = text, seed or text, vectors

    @cached_property
    def masked(self) -> str:
        return mask(self.text)

    @cached_property
    def state(self) -> Vectors:
        """The vector of the state, shape (d,)."""
        return self._vectors.vector(self.text)

    @cached_property
    def structure(self) -> Vectors:
        """The vector of the state with its entities masked, shape (d,)."""
        return self._vectors.vector(self.masked)
