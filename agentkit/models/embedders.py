"""Embedders: what turns text into vectors."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from langchain_core.embeddings import Embeddings

from agentkit.aio import run_sync
from agentkit.embedding import Embedder
from agentkit.errors import MissingExtra, ModelNotFound
from agentkit.models.catalog import Entry, find, require


def load_embedder(name: str | Embedder, **options: Any) -> Embedder:
    """An embedder by its name; one that is given is returned as it is.

    Args:
        name: `local/bge-small-en-v1.5` (or another embedder of the catalog) or `provider/model` for LiteLLM.

    Raises:
        ModelNotFound: no such embedder.
        ModelFileError: a local one whose files are not there.
    """
    if not isinstance(name, str):
        return name
    kind, _, rest = name.partition("/")
    if kind == "local":
        return _local(rest, **options)
    if not rest:
        raise ModelNotFound(f"unknown embedder {name!r}: use local/NAME or provider/model")
    return HostedEmbedder(name, **options)


def _local(name: str, **options: Any) -> Embedder:
    entry = find(name)
    if entry.kind != "embedding":
        raise ModelNotFound(f"{name!r} is a chat model, not an embedder")
    require(entry)
    if not entry.files[0].name.endswith(".onnx"):
        return TorchEmbedder(entry, **options)
    from agentkit.models.onnx import OnnxEmbedder

    return OnnxEmbedder(entry, **options)


class TorchEmbedder(Embeddings):
    """A sentence-transformers model of the catalog, on one CPU thread.

    One thread is measured to be as fast as two on a quiet machine and thirty times faster beside another process.
    """

    def __init__(self, entry: Entry, *, batch_size: int = 64) -> None:
        self._entry = entry
        self.name = f"local/{entry.name}@{entry.files[0].sha256[:12]}"
        self.dimension = 384
        self._batch_size, self._model, self._lock = batch_size, None, threading.Lock()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of texts, in their order."""
        if not texts:
            return []
        with self._lock:
            vectors = self._loaded().encode(
                texts, batch_size=self._batch_size, normalize_embeddings=True, show_progress_bar=False
            )
        return [list(map(float, vector)) for vector in vectors]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self.embed_documents, texts)

    def _loaded(self) -> Any:
        if self._model is None:
            try:
                import torch
                from sentence_transformers import SentenceTransformer
            except ModuleNotFoundError:
                raise MissingExtra("hf", "sentence-transformers") from None
            torch.set_num_threads(1)
            self._model = SentenceTransformer(str(self._entry.folder), device="cpu", local_files_only=True)
        return self._model


class HostedEmbedder(Embeddings):
    """An embedding model behind LiteLLM.

    Args:
        name: `provider/model`.
        dimension: of its vectors; None asks the model once.
    """

    def __init__(self, name: str, *, dimension: int | None = None, batch_size: int = 128, api_base: str | None = None,
                 api_key: str | None = None) -> None:  # fmt: skip
        self.name, self._batch_size = name, batch_size
        self._options = {"api_base": api_base, "api_key": api_key}
        self.dimension = dimension or len(self.embed_query("dimension"))

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return run_sync(self.aembed_documents(texts))

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of texts, in their order, a batch a request."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), self._batch_size):
            vectors += await self._request(texts[start : start + self._batch_size])
        return vectors

    async def _request(self, texts: Sequence[str]) -> list[list[float]]:
        from agentkit.models.litellm import as_model_error, load_litellm

        try:
            response = await load_litellm().aembedding(self.name, input=list(texts), num_retries=0, **self._options)
        except Exception as error:
            raise as_model_error(error, self.name) from error
        return [_normalised(row["embedding"]) for row in response.data]


def _normalised(vector: Sequence[float]) -> list[float]:
    length = sum(value * value for value in vector) ** 0.5 or 1.0
    return [value / length for value in vector]
