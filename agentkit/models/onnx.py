"""Embedders in ONNX format, which need onnxruntime and a tokenizer but not torch."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

if TYPE_CHECKING:
    from agentkit.models.catalog import Entry

MAX_TOKENS = 512
"""Texts are cut after this many tokens, the model's own limit."""


class OnnxEmbedder(Embeddings):
    """A BERT embedder from the catalog, on one CPU thread; the vector is that of the first token, normalised.

    This is the pooling that the BGE models are trained with (C-Pack, arXiv 2309.07597, and the model card). Texts are
    only compared with texts of the same kind, for which the card asks for no instruction prefix.

    Args:
        entry: must have a `.onnx` file and `tokenizer.json`.
    """

    dimension = 384

    def __init__(self, entry: Entry) -> None:
        self.name = f"local/{entry.name}@{entry.files[0].sha256[:12]}"
        self._entry, self._lock = entry, threading.Lock()
        self._loaded: tuple[Any, Any] | None = None

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """The vectors of texts, in order.

        Texts are embedded one by one: an int8 model scales its activations over the whole batch, so a text's vector
        would depend on the other texts in it; and on one thread a batch is no faster.
        """
        with self._lock:
            return [[float(value) for value in self._vector(text)] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self.embed_documents, texts)

    def _vector(self, text: str) -> NDArray[np.float32]:
        tokenizer, session = self._parts()
        read = tokenizer.encode(text)
        columns = {"input_ids": read.ids, "attention_mask": read.attention_mask, "token_type_ids": read.type_ids}
        inputs = {name: np.array([values], dtype=np.int64) for name, values in columns.items()}
        first: NDArray[np.float32] = session.run(None, inputs)[0][0, 0]
        unit: NDArray[np.float32] = first / np.linalg.norm(first)
        return unit

    def _parts(self) -> tuple[Any, Any]:
        if self._loaded is None:
            import onnxruntime
            from tokenizers import Tokenizer

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            options.log_severity_level = 3
            folder = self._entry.folder
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            tokenizer.enable_truncation(MAX_TOKENS)
            model = str(folder / self._entry.files[0].name)
            session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            self._loaded = tokenizer, session
        return self._loaded
