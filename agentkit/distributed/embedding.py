"""Embedding texts on many processes: each worker has its own embedder, and only the driver writes vectors.

So a memory that is filled or re-embedded on a cluster equals that of one process: the same vectors in the same order.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from agentkit.aio import run_sync, together
from agentkit.distributed.cluster import Cluster
from agentkit.distributed.shared import Shared
from agentkit.distributed.workers import Crew, Workers, in_a_line
from agentkit.embedding import Embedder
from agentkit.errors import ModelFileError, UserError
from agentkit.memory.opening import named_embedder

PART = 64
"""Texts that a worker embeds at a time."""
_AHEAD = 2
"""Parts that each worker has at once: one being embedded, and one on its way."""


class TextWorker:
    """The actor that embeds texts.

    Args:
        plan: the requested name of the embedder, and its full name, which includes the version.
        purse: unused, since no limits are shared.
    """

    def __init__(self, plan: tuple[str, str], purse: Any = None) -> None:
        self._asked, self._name = plan
        self._embedder: Embedder | None = None

    async def embed(self, texts: list[str]) -> list[list[float]]:
        """The vectors of texts, in order.

        Raises:
            UserError: this machine lacks the embedder, or has another version of it.
        """
        with in_a_line():
            embedder = self._embedder = self._embedder or self._loaded()
        return await asyncio.to_thread(embedder.embed_documents, texts)

    def _loaded(self) -> Embedder:
        try:
            embedder = named_embedder(self._asked)
        except ModelFileError as error:
            raise UserError(f"{socket.gethostname()}: {error}") from None
        if embedder.name != self._name:
            raise UserError(f"{socket.gethostname()} has {embedder.name}, not {self._name}: install the same version")
        return embedder


class _Spread:
    """An embedder that gives documents to workers, and embeds queries itself."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster, self._asked, self._here = cluster, name, named_embedder(name)
        self.name, self.dimension = self._here.name, self._here.dimension
        self._workers: Workers | None = None
        self._at_once = 0

    def embed_query(self, text: str) -> list[float]:
        return self._here.embed_query(text)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        if not texts:
            return []
        return run_sync(self._embed([texts[start : start + PART] for start in range(0, len(texts), PART)]))

    async def _embed(self, parts: Sequence[list[str]]) -> list[list[float]]:
        workers = self._workers = self._workers or self._started(len(parts))
        gate = asyncio.Semaphore(self._at_once)

        async def one(part: list[str]) -> list[list[float]]:
            async with gate:
                number = workers.take()
                try:
                    found: list[list[float]] = await workers.ask(number, "the texts", "embed", part)
                finally:
                    workers.leave(number)
            return found

        return [vector for vectors in await together(map(one, parts)) for vector in vectors]

    def _started(self, parts: int) -> Workers:
        """Start the workers: an embedder uses one processor, so there is one worker per processor."""
        count = self._cluster.size(embedded=False, wanted=parts)
        crew = Crew(count=count, room=_AHEAD, slots=1, embedded=False)
        self._at_once = _AHEAD * count
        return Workers(self._cluster, TextWorker, [(self._asked, self.name)] * count, crew, Shared())


def embedder_on(cluster: Cluster, name: str) -> Embedder:
    """An embedder for `CaseMemory.open` and `reembed` whose documents are embedded on a cluster.

    Args:
        cluster: an open cluster; it must stay open for as long as the embedder is used.
        name: an embedder that every machine can load, as `agentkit.memory.opening.named_embedder` takes it.

    Raises:
        UserError: there is no such embedder; while embedding, also if a machine lacks it.
        ModelFileError: a local embedder is not downloaded.
        RunError: while embedding: it fails, or workers die again and again. What was written until then is kept.
    """
    return _Spread(cluster, name)
