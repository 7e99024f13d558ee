"""LiteLLM, imported on first use, and its price data."""

from __future__ import annotations

import gc
import math
import os
import warnings
from collections.abc import Mapping
from functools import cache, lru_cache
from types import ModuleType
from typing import Any, cast

from agentkit.models.wire import clean_usage


@cache
def load_litellm() -> ModuleType:
    """Import LiteLLM (which takes seconds) without letting it fetch a price list from the network.

    The objects created by the import live as long as the process. They are hidden from the garbage collector, whose
    full collections would otherwise scan them again and again: a quarter of the CPU time of a busy run.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    warnings.filterwarnings("ignore", r"Item '\w+' on TypedDict class", UserWarning)  # built on its first call
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    gc.collect()
    gc.freeze()
    return cast("ModuleType", litellm)


def price(name: str, usage: Mapping[str, Any] | None) -> float:
    """The price in dollars of an answer with this usage (in OpenAI's format); 0 for a model without a known price."""
    rates = _rates(name) if usage else None
    if usage is None or rates is None:
        return 0.0
    clean = clean_usage(usage)
    details = clean["prompt_tokens_details"]
    if not rates or details["audio_tokens"] or clean["completion_tokens_details"]["audio_tokens"]:
        litellm = load_litellm()
        return dollars(sum(litellm.cost_per_token(model=name, usage_object=litellm.Usage(**clean))))
    read, cached, written = rates
    again = details["cached_tokens"]
    return float((clean["prompt_tokens"] - again) * read + again * cached + clean["completion_tokens"] * written)


def dollars(value: object) -> float:
    """A price as a valid number; 0 if it is not one."""
    number = float(value) if isinstance(value, int | float) else 0.0
    return number if math.isfinite(number) and number > 0 else 0.0


@lru_cache(maxsize=256)
def _rates(name: str) -> tuple[float, ...] | None:
    """Dollars per token read, read from the cache, and written. Empty if the price is not that simple, so that LiteLLM
    has to compute it (which takes a tenth of a call's time); None if it is unknown."""
    litellm = load_litellm()
    if not {name, name.partition("/")[2]} & litellm.model_cost.keys():
        return None
    known = {key: value for key, value in litellm.get_model_info(name).items() if value}
    if any("_above_" in key or key == "tiered_pricing" for key in known) or "input_cost_per_token" not in known:
        return ()
    read = known["input_cost_per_token"]
    return read, known.get("cache_read_input_token_cost", read), known.get("output_cost_per_token", 0.0)
