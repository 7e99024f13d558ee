"""An adapter as a GGUF file, as llama.cpp loads it, and the check that it says there what it said in training.

The format is that of llama.cpp's `convert_lora_to_gguf.py`: a file of type "adapter" with the base's architecture and,
for each matrix of the base, `NAME.lora_a` and `NAME.lora_b`. llama.cpp keeps the rows of queries and keys of the Llama
family in another order than transformers, so that the rows of their `lora_b` are put in that order too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentkit.errors import UserError
from agentkit.models.llamacpp import LlamaCppChat
from agentkit.training.examples import Chat
from agentkit.training.lora import prompt_tokens

if TYPE_CHECKING:
    import numpy as np

REORDERED = ("llama",)
"""Architectures whose query and key rows llama.cpp reorders."""


def export_adapter(model: Any, base: Path, file: Path) -> None:
    """Write the adapter of a peft model as GGUF.

    Args:
        base: the GGUF file that it was trained on.

    Raises:
        UserError: a matrix that the base's file does not have.
    """
    from gguf import GGUFReader, GGUFWriter
    from peft import get_peft_model_state_dict

    kind = str(GGUFReader(base).fields["general.architecture"].contents())
    config = model.base_model.model.config
    names = _names(kind, int(config.num_hidden_layers))
    part = file.with_suffix(".part")
    writer = GGUFWriter(part, kind)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(model.peft_config["default"].lora_alpha))
    for key, value in sorted(get_peft_model_state_dict(model, save_embedding_layers=False).items()):
        matrix, _, which = key.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".")
        name = names.get_name(f"{matrix}.weight", try_suffixes=(".weight",))
        if name is None:
            raise UserError(f"llama.cpp knows no {matrix} in a model of kind {kind}")
        rows = value.detach().float().cpu().numpy()
        if which == "lora_B" and kind in REORDERED and matrix.endswith(("q_proj", "k_proj")):
            heads = config.num_attention_heads if matrix.endswith("q_proj") else config.num_key_value_heads
            rows = _reordered(rows, int(heads))
        writer.add_tensor(f"{name}.{which.lower()}", rows)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(part, file)


def _names(kind: str, layers: int) -> Any:
    from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, get_tensor_name_map

    found = next((arch for arch in MODEL_ARCH if MODEL_ARCH_NAMES[arch] == kind), None)
    if found is None:
        raise UserError(f"models of kind {kind!r} take no adapters yet")
    return get_tensor_name_map(found, layers)


def _reordered(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows in llama.cpp's order: within each head the two halves interleave."""
    import numpy as np

    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows.shape))


@dataclass(frozen=True, kw_only=True)
class SameReplies:
    """How often the two engines give the same greedy answer, with the adapter and without."""

    prompts: int
    adapted: int
    bare: int

    def __str__(self) -> str:
        return f"same greedy answer on {self.adapted} of {self.prompts} prompts (without adapter: {self.bare})"


def agreement(
    model: Any, tokenizer: Any, served: LlamaCppChat, file: Path, prompts: Sequence[Chat], *, most: int = 16
) -> SameReplies:
    """Answer prompts in transformers and in llama.cpp, with the adapter and without.

    llama.cpp rounds the activations of quantised weights, so that near-ties may fall the other way: what the bare model
    shows of that is the measure for the adapter.

    Args:
        model: in transformers, with its adapter.
        served: the same model in llama.cpp.
        file: the adapter as it was exported.
        most: tokens of an answer.
    """
    import torch

    there = served.model_copy(update={"temperature": 0.0, "max_tokens": most, "adapter": file})
    counts = [0, 0]
    for chat in prompts:
        ids = torch.tensor([prompt_tokens(chat, tokenizer)], device=model.device)
        for place, scale in enumerate((1.0, 0.0)):
            said = there.model_copy(update={"scale": scale}).invoke(list(chat)).text
            if scale:
                made = _greedy(model, ids, most, tokenizer)
            else:
                with model.disable_adapter():
                    made = _greedy(model, ids, most, tokenizer)
            counts[place] += made == said
    return SameReplies(prompts=len(prompts), adapted=counts[0], bare=counts[1])


def _greedy(model: Any, ids: Any, most: int, tokenizer: Any) -> str:
    import torch

    with torch.inference_mode():
        made = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=most,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
        )
    return str(tokenizer.decode(made[0][ids.shape[1] :], skip_special_tokens=True))
