"""Options for opening a model, by kind; any others are rejected by the model's class."""

from __future__ import annotations

from typing import TypedDict


class ModelOptions(TypedDict, total=False):
    """Options of chat models.

    All kinds: temperature, max_tokens, seed, stop. Hosted models: api_base, api_key, request_timeout (seconds). Local
    models: n_ctx, n_threads, n_gpu_layers, adapter (a GGUF file), scale (its strength). `hf/` models: device, dtype,
    max_batch, window (seconds to wait for more calls). Recordings: model (the model to record), log.
    """

    temperature: float | None
    max_tokens: int | None
    seed: int | None
    stop: list[str] | None
    api_base: str | None
    api_key: str | None
    request_timeout: float
    n_ctx: int
    n_threads: int | None
    n_gpu_layers: int
    adapter: str | None
    scale: float
    device: str | None
    dtype: str | None
    max_batch: int
    window: float
    model: object
    log: str | None


class EmbedderOptions(TypedDict, total=False):
    """Options of embedders. Local torch and hosted ones: batch_size. Hosted ones: dimension, api_base, api_key."""

    batch_size: int
    dimension: int
    api_base: str | None
    api_key: str | None
