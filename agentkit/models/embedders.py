"""Embedders: they turn text into vectors."""

from __future__ import annotations

import asyncio
import base64
import logging
import math
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Unpack

import numpy as np
from langchain_core.embeddings import Embeddings

from agentkit.aio import run_sync
from agentkit.embedding import Embedder, text_hash
from agentkit.errors import ContextOverflow, MissingExtra, ModelError, ModelNotFound
from agentkit.json_types import JsonObject
from agentkit.models.catalog import Entry, find, require
from agentkit.models.options import EmbedderOptions

log = logging.getLogger("agentkit.models")

_SHORTEST = 500
"""Every embedding model accepts a text of this many characters, so texts are not shortened further."""


def load_embedder(name: str | Embedder | Embeddings, **options: Unpack[EmbedderOptions]) -> Embedder:
    """An embedder by name; an object is returned as it is, with LangChain's `Embeddings` wrapped to have a name.

    Args:
        name: `local/bge-small-en-v1.5` (or another embedder from the catalog), or `provider/model` for LiteLLM.

    Raises:
        ModelNotFound: no such embedder.
        ModelFileError: a local embedder whose files are missing.
    """
    if not isinstance(name, str):
        return name if isinstance(name, Embedder) else LangChainEmbedder(name)
    kind, _, rest = name.partition("/")
    given: JsonObject = {**options}
    if kind == "local":
        return _local(rest, given)
    if not rest:
        raise ModelNotFound(f"unknown embedder {name!r}: use local/NAME or provider/model")
    return HostedEmbedder(name, **given)


def _local(name: str, options: JsonObject) -> Embedder:
    entry = find(name)
    if entry.kind != "embedding":
        raise ModelNotFound(f"{name!r} is a chat model, not an embedder")
    require(entry)
    if not entry.files[0].name.endswith(".onnx"):
        return TorchEmbedder(entry, **options)
    from agentkit.models.onnx import OnnxEmbedder

    return OnnxEmbedder(entry, **options)


class LangChainEmbedder(Embeddings):
    """LangChain's `Embeddings` plus what they lack: a dimension, and a name that changes whenever the vectors would.

    Both come from the vector of one fixed text, which is computed when they are first needed.
    """

    def __init__(self, embeddings: Embeddings) -> None:
        self._embeddings = embeddings

    @cached_property
    def _probe(self) -> list[float]:
        return self._embeddings.embed_query("AgentKit")

    @property
    def name(self) -> str:
        said = getattr(self._embeddings, "model", None) or getattr(self._embeddings, "model_name", None)
        shape = ",".join(f"{value:.3f}" for value in self._probe)
        parts = [type(self._embeddings).__name__, *([said] if isinstance(said, str) else [])]
        return f"langchain/{':'.join(parts)}@{text_hash(shape)[:12]}"

    @property
    def dimension(self) -> int:
        return len(self._probe)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """The vectors of texts, in order."""
        return self._embeddings.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        """The vector of a query."""
        return self._embeddings.embed_query(text)


class TorchEmbedder(Embeddings):
    """A sentence-transformers model from the catalog, on one CPU thread.

    One thread was measured to be as fast as two on an idle machine, and thirty times faster next to another process.
    """

    def __init__(self, entry: Entry, *, batch_size: int = 64) -> None:
        self._entry = entry
        self.name = f"local/{entry.name}@{entry.files[0].sha256[:12]}"
        self.dimension = 384
        self._batch_size, self._model, self._lock = batch_size, None, threading.Lock()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """The vectors of texts, in order."""
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
        dimension: of its vectors; None finds out with one request.
    """

    def __init__(
        self,
        name: str,
        *,
        dimension: int | None = None,
        batch_size: int = 128,
        api_base: str | None = None,
        api_key: str | None = None,
    ) -> None:
        self.name, self._batch_size = name, batch_size
        self._options = {"api_base": api_base, "api_key": api_key}
        self._most: int | None = None
        self.dimension = dimension or 0
        self.dimension = self.dimension or len(self.embed_query("dimension"))

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return run_sync(self.aembed_documents(texts))

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """The vectors of texts, in order, one request per batch."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), self._batch_size):
            vectors += await self._request(texts[start : start + self._batch_size])
        return vectors

    async def _request(self, texts: Sequence[str]) -> list[list[float]]:
        from agentkit.models.litellm import as_model_error
        from agentkit.models.pricing import load_litellm

        given = [text[: self._most] or " " for text in texts]  # providers reject empty texts
        try:
            response = await load_litellm().aembedding(self.name, input=given, num_retries=0, **self._options)
        except Exception as error:
            problem = as_model_error(error, self.name)
            if not isinstance(problem, ContextOverflow):
                raise problem from error
            if (half := len(texts) // 2) > 0:  # the limit may be for the whole request
                return [*await self._request(texts[:half]), *await self._request(texts[half:])]
            if len(given[0]) <= _SHORTEST:
                raise problem from error
            self._shorten(len(given[0]))
            return await self._request(texts)
        return read_vectors(getattr(response, "data", None), len(texts), self.name, self.dimension)

    def _shorten(self, longest: int) -> None:
        """Use less of each text from now on. The model's limit is in tokens and can only be learnt from its
        refusals."""
        self._most = longest // 2
        log.warning("%s can't embed %d characters: only the first %d are used", self.name, longest, self._most)


def read_vectors(rows: object, count: int, name: str, dimension: int) -> list[list[float]]:
    """The unit vectors in an embedding server's response, put into the order of the texts by each row's index.

    Args:
        count: the number of texts.
        dimension: required of each vector; 0 if not known yet.

    Raises:
        ModelError: the wrong number of vectors, or an invalid one.
    """
    if not isinstance(rows, list) or len(rows) != count:
        got = len(rows) if isinstance(rows, list) else "no"
        raise ModelError(f"{name} gave {got} vectors for {count} texts", retryable=True)
    found = [row if isinstance(row, Mapping) else getattr(row, "__dict__", {}) for row in rows]
    places = [row.get("index") for row in found]
    if any(place is not None for place in places):
        if sorted(map(str, places)) != sorted(map(str, range(count))):
            raise ModelError(f"{name} gave vectors for other texts: indexes {str(places)[:80]}", retryable=True)
        found = sorted(found, key=lambda row: int(row["index"]))
    return [_normalised(_numbers(row.get("embedding"), name, dimension)) for row in found]


def _numbers(vector: object, name: str, dimension: int) -> list[float]:
    try:
        if isinstance(vector, str):  # base64 of little-endian 32-bit floats
            vector = np.frombuffer(base64.b64decode(vector, validate=True), dtype="<f4").tolist()
        values = [float(value) for value in vector]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise ModelError(f"{name} gave a vector that is not a list of numbers", retryable=True) from None
    if not values or not all(map(math.isfinite, values)):
        raise ModelError(f"{name} gave a vector with {'a number that is not finite' if values else 'no numbers'}")
    if dimension and len(values) != dimension:
        raise ModelError(f"{name} gave a vector of {len(values)} dimensions, not {dimension}: name the right embedder")
    return values


def _normalised(vector: Sequence[float]) -> list[float]:
    length = math.hypot(*vector) or 1.0
    return [value / length for value in vector]
