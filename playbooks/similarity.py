"""Near-duplicates and contradictions, found with embeddings that are computed once per text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agentkit.embedding import Embedder, HashEmbedder, VectorCache, Vectors, unit
from agentkit.playbooks.bullets import Bullet
from agentkit.store import Store
from agentkit.store.playbooks import VectorRow
from agentkit.words import stems


class Index:
    """Unit vectors of bullets' texts by content hash; also kept in the store, if one is given.

    Adding and querying cost one matrix-vector product, so ten thousand bullets take about a millisecond.
    """

    def __init__(self, embedder: Embedder | None = None, store: Store | None = None) -> None:
        self.embedder, self.store = embedder or HashEmbedder(384, stems=True), store
        self._cache = VectorCache(store, self.embedder, table=VectorRow)
        self._rows: dict[str, int] = {}
        self._data: Vectors = np.zeros((0, 0), dtype=np.float32)
        self._asked: tuple[Sequence[Bullet], NDArray[np.intp]] = ((), np.zeros(0, dtype=np.intp))

    def __len__(self) -> int:
        return len(self._rows)

    def ensure(self, bullets: Iterable[Bullet]) -> None:
        """Embed what is not embedded yet."""
        missing = {bullet.text_hash: bullet.content for bullet in bullets if bullet.text_hash not in self._rows}
        if not missing:
            return
        hashes, vectors = list(missing), self._cache.vectors(list(missing.values()))
        for hash, vector in zip(hashes, vectors, strict=True):
            self._append(hash, vector)
        if self.store is not None:
            with self.store.write() as connection:
                self._cache.store_vectors(connection, hashes, vectors)

    def similarities(self, text: str, bullets: Sequence[Bullet]) -> Vectors:
        """The cosine similarity of a text with each bullet."""
        if not bullets:
            return np.zeros(0, dtype=np.float32)
        rows = self._rows_of(bullets)
        query = unit(np.asarray([self.embedder.embed_query(text)], dtype=np.float32), self.embedder.dimension)[0]
        scores: Vectors = (self._data[: len(self._rows)] @ query)[rows]
        return scores

    def _rows_of(self, bullets: Sequence[Bullet]) -> NDArray[np.intp]:
        """The row numbers of these bullets; cached for repeated calls with the same sequence."""
        if self._asked[0] is not bullets:
            self.ensure(bullets)
            rows = np.fromiter((self._rows[bullet.text_hash] for bullet in bullets), dtype=np.intp, count=len(bullets))
            self._asked = (bullets, rows)
        return self._asked[1]

    def _append(self, hash: str, vector: Vectors) -> None:
        row = len(self._rows)
        if row >= len(self._data):
            grown = np.zeros((max(64, 2 * len(self._data)), len(vector)), dtype=np.float32)
            grown[:row] = self._data[:row] if row else 0
            self._data = grown
        self._data[row] = vector
        self._rows[hash] = row


@dataclass(frozen=True, kw_only=True)
class Near:
    """A bullet that is similar to a text."""

    bullet: Bullet
    similarity: float
    duplicate: bool
    contradiction: str = ""


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """Finds near-duplicates and contradictions of a new lesson.

    A duplicate has the same scope (or the known bullet applies everywhere) and names the same things: a rule for one
    tool, currency or number does not absorb the same rule for another.

    Attributes:
        threshold: from this cosine on, two texts count as saying the same (0.90 in ACE's code).
        related: from this cosine on, they are about the same thing and might contradict each other.
    """

    index: Index
    threshold: float = 0.90
    related: float = 0.70

    def near(self, content: str, scope: str, bullets: Sequence[Bullet], *, limit: int = 5) -> list[Near]:
        """The most similar related bullets, most similar first."""
        scores = self.index.similarities(content, bullets)
        close = np.flatnonzero(scores >= self.related)
        best = close[np.argsort(-scores[close], kind="stable")][: 4 * limit]
        found = [self._compare(content, scope, bullets[i], float(scores[i])) for i in best]
        return [item for item in found if item is not None][:limit]

    def duplicate(self, content: str, scope: str, bullets: Sequence[Bullet]) -> Bullet | None:
        """The bullet that already says this, or None."""
        return next((near.bullet for near in self.near(content, scope, bullets) if near.duplicate), None)

    def _compare(self, content: str, scope: str, bullet: Bullet, score: float) -> Near | None:
        if bullet.scope not in (scope, ""):
            return None
        conflict = contradiction(content, bullet.content)
        same = score >= self.threshold and not conflict and named(content) == named(bullet.content)
        return Near(bullet=bullet, similarity=score, duplicate=same, contradiction=conflict)


def named(text: str) -> frozenset[str]:
    """The specific things that a text names: numbers, code, capitalised words within a sentence."""
    words = re.findall(r"`[^`]+`|\"[^\"]+\"|[^\W\d][\w.]*|\d[\d.,]*%?", text)
    found = set()
    for place, word in enumerate(words):
        plain = word.strip('`"').rstrip(".,")
        code = word[0] in '`"' or "_" in plain or "." in plain or re.search(r"[a-z][A-Z]|\d", plain)
        if code or (place and plain[:1].isupper() and len(plain) > 1):
            found.add(plain.lower())
    return frozenset(found)


_NEGATIVE = re.compile(
    r"\b(?:never|not|don't|doesn't|cannot|can't|avoid|without|no|stop|instead of|rather than)\b", re.I
)


def contradiction(one: str, other: str) -> str:
    """Why two related texts seem to contradict each other; empty if they don't."""
    if len(_NEGATIVE.findall(one)) % 2 != len(_NEGATIVE.findall(other)) % 2 and _core(one) & _core(other):
        return "one says to do what the other says not to do"
    numbers = [set(re.findall(r"\d+(?:\.\d+)?", text)) for text in (one, other)]
    if all(numbers) and numbers[0] != numbers[1] and _without_numbers(one) == _without_numbers(other):
        return "the same rule with different numbers"
    return ""


def _core(text: str) -> set[str]:
    return {word for word in stems(_NEGATIVE.sub(" ", text)) if len(word) > 3}


def _without_numbers(text: str) -> str:
    return re.sub(r"\d+(?:\.\d+)?", "#", " ".join(text.lower().split()))
