"""LiteLLM, imported when it is first needed, and what it knows of prices."""

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
    """Import LiteLLM, which takes seconds, without its fetching a price list from the network.

    What its import has made lives as long as the process. It is taken out of the garbage collector's sight, whose full
    collections would otherwise walk it again and again: a quarter of the processor time of a busy run.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    warnings.filterwarnings("ignore", r"Item '\w+' on TypedDict class", UserWarning)  # built at its first call
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    gc.collect()
    gc.freeze()
    return cast("ModuleType", litellm)


def price(name: str, usage: Mapping[str, Any] | None) -> float:
    """Dollars for an answer with this usage, in OpenAI's form; 0 for a model without a known price."""
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
    """A price as a number that can be added up; 0 for what is none."""
    number = float(value) if isinstance(value, int | float) else 0.0
    return number if math.isfinite(number) and number > 0 else 0.0


@lru_cache(maxsize=256)
def _rates(name: str) -> tuple[float, ...] | None:
    """Dollars a token read, read from the cache and written. Empty where a price is not that simple and LiteLLM, which
    takes a tenth of a call's time for it, has to be asked; None where it is not known."""
    litellm = load_litellm()
    if not {name, name.partition("/")[2]} & litellm.model_cost.keys():
        return None
    known = {key: value for key, value in litellm.get_model_info(name).items() if value}
    if any("_above_" in key or key == "tiered_pricing" for key in known) or "input_cost_per_token" not in known:
        return ()
    read = known["input_cost_per_token"]
    return read, known.get("cache_read_input_token_cost", read), known.get("output_cost_per_token", 0.0)
