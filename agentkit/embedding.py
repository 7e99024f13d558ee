"""Embeddings: text to unit vectors, computed once per embedder version and text."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from agentkit.errors import UserError
from agentkit.store import Store
from agentkit.store.cases import CaseVectorRow
from agentkit.store.playbooks import VectorRow
from agentkit.words import stems, words

Vectors = NDArray[np.float32]
VectorTable = type[CaseVectorRow] | type[VectorRow]
_RECENT = 4096
"""How many recently used vectors are cached in the process."""
_HASH_VERSION = 2
"""Version of the vectors that `HashEmbedder` computes; version 2 handles words in every script."""


@runtime_checkable
class Embedder(Protocol):
    """LangChain's `Embeddings`, plus a name that changes whenever the vectors would."""

    @property
    def name(self) -> str: ...
    @property
    def dimension(self) -> int: ...
    def embed_documents(self, texts: list[str]) -> list[list[float]]: ...
    def embed_query(self, text: str) -> list[float]: ...


def text_hash(text: str) -> str:
    """128 bits of BLAKE2b as hex: the key of an embedding."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class HashEmbedder:
    """Hashed words and word pairs: needs no model, gives the same vectors everywhere, and suits tests and exact
    wording.

    Args:
        dimension: of the vectors.
        stems: strip word endings, drop stop words, and give word pairs half the weight; this finds a lesson that is
            worded a little differently.
    """

    def __init__(self, dimension: int = 256, *, stems: bool = False) -> None:
        self.dimension, self._stems = dimension, stems
        self.name = f"hash-{'stems-' if stems else ''}{dimension}@{_HASH_VERSION}"

    def embed_query(self, text: str) -> list[float]:
        tokens = (stems(text) if self._stems else words(text)) or [text]  # a text without words resembles only itself
        pairs = [f"{a} {b}" for a, b in pairwise(tokens)]
        vector = np.zeros(self.dimension)
        for token, weight in [
            *((word, 1.0) for word in tokens),
            *((pair, 0.5 if self._stems else 1.0) for pair in pairs),
        ]:
            bits = int.from_bytes(hashlib.blake2b(token.encode(), digest_size=8).digest(), "little")
            vector[bits % self.dimension] += weight if bits >> 63 else -weight
        if not vector.any():
            vector[0] = 1.0
        return [float(x) for x in vector / np.linalg.norm(vector)]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


class VectorCache:
    """Embeddings cached in SQL by embedder version and text hash, with the most recent ones in memory.

    Args:
        store: where the vectors are kept; None keeps them in memory only.
        embedder: called only for texts that are not cached.
        table: of the vectors. Cases and bullets have a table each, so that forgetting a case also forgets its vector.
    """

    def __init__(self, store: Store | None, embedder: Embedder, *, table: VectorTable = CaseVectorRow) -> None:
        self.store, self.embedder, self.table = store, embedder, table
        self._recent: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def vector(self, text: str) -> Vectors:
        """The unit vector of one text, shape (d,)."""
        known: Vectors = self.vectors([text])[0]
        return known

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (n, d); all texts that are not cached are embedded in one call."""
        if not texts:
            return np.zeros((0, self.embedder.dimension), dtype=np.float32)
        hashes = [text_hash(text) for text in texts]
        known = self._look_up(hashes)
        missing = {key: text for key, text in zip(hashes, texts, strict=True) if key not in known}
        if missing:
            known |= dict(zip(missing, self._embed(list(missing.values())), strict=True))
        self._remember(known)
        rows = [known[key] for key in hashes]
        return rows[0][np.newaxis].copy() if len(rows) == 1 else np.stack(rows)

    def store_vectors(self, connection: Connection, hashes: Sequence[str], vectors: Vectors) -> None:
        """Write vectors in the caller's transaction; existing ones are kept."""
        rows = [(self.embedder.name, key, row.tobytes()) for key, row in zip(hashes, vectors, strict=True)]
        insert_vectors(connection, rows, table=self.table)

    def forget_recent(self) -> None:
        """Drop the vectors cached in memory."""
        with self._lock:
            self._recent.clear()

    def _look_up(self, hashes: Sequence[str]) -> dict[str, Vectors]:
        with self._lock:
            found = {key: self._recent[key] for key in hashes if key in self._recent}
        missing = sorted(set(hashes) - found.keys())
        if missing and self.store is not None:
            with self.store.read() as connection:
                for start in range(0, len(missing), 500):
                    query = select(self.table.hash, self.table.vector)
                    query = query.where(self.table.embedder == self.embedder.name)
                    part = connection.execute(query.where(self.table.hash.in_(missing[start : start + 500])))
                    found |= {key: np.frombuffer(blob, dtype="<f4") for key, blob in part}
        return found

    def _embed(self, texts: list[str]) -> Vectors:
        raw = [self.embedder.embed_query(texts[0])] if len(texts) == 1 else self.embedder.embed_documents(texts)
        return unit(np.asarray(raw, dtype=np.float32), self.embedder.dimension)

    def _remember(self, known: dict[str, Vectors]) -> None:
        with self._lock:
            self._recent |= known
            while len(self._recent) > _RECENT:
                self._recent.popitem(last=False)


def insert_vectors(
    connection: Connection, rows: list[tuple[str, str, bytes]], *, table: VectorTable = CaseVectorRow
) -> None:
    """Insert those (embedder, hash, blob) rows that don't exist yet."""
    if not rows:
        return
    mark = "?, ?, ?" if connection.dialect.name == "sqlite" else "%s, %s, %s"
    names = f"{table.__tablename__} (embedder, hash, vector)"
    connection.exec_driver_sql(f"INSERT INTO {names} VALUES ({mark}) ON CONFLICT DO NOTHING", rows)


def unit(vectors: Vectors, dimension: int) -> Vectors:
    """Scale to unit length.

    Raises:
        UserError: the dimension differs from the embedder's, or numbers are not finite.
    """
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        got = vectors.shape[-1] if vectors.ndim else 0
        raise UserError(f"the embedder gave vectors of {got} dimensions, not {dimension}: name the right embedder")
    if not np.isfinite(vectors).all():
        raise UserError("the embedder gave numbers that are not finite")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.where(norms == 0, 1, norms)).astype("<f4")
    return scaled
