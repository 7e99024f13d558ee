"""What a model may be told when it is opened, by its kind; anything else is an error of the model's class."""

from __future__ import annotations

from typing import TypedDict


class ModelOptions(TypedDict, total=False):
    """Options of chat models.

    Of all: temperature, max_tokens, seed, stop. Of hosted ones: api_base, api_key, request_timeout (seconds). Of local
    ones: n_ctx, n_threads, n_gpu_layers, adapter (a GGUF file), scale (how much of it). Of `hf/` ones: device, dtype,
    max_batch, window (seconds to wait for company). Of recordings: model (what records), log.
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
    """Options of embedders: batch_size of local torch and hosted ones; dimension, api_base and api_key of hosted."""

    batch_size: int
    dimension: int
    api_base: str | None
    api_key: str | None
