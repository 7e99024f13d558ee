"""Exporting an adapter as a GGUF file, and checking that llama.cpp gives the same answers with it as transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentkit.errors import UserError
from agentkit.models.llamacpp import LlamaCppChat
from agentkit.models.lora_files import names_of, place_rows, write_adapter
from agentkit.training.examples import Chat
from agentkit.training.lora import prompt_tokens

if TYPE_CHECKING:
    import numpy as np


def export_adapter(model: Any, base: Path, file: Path) -> None:
    """Write the adapter of a peft model as GGUF.

    Args:
        base: the GGUF file of the model that it was trained on.

    Raises:
        UserError: the base's file lacks one of the matrices, or the disk is full.
    """
    from gguf import GGUFReader
    from peft import get_peft_model_state_dict

    kind = str(GGUFReader(base).fields["general.architecture"].contents())
    config = model.base_model.model.config
    names = names_of(kind, int(config.num_hidden_layers))
    found: dict[str, dict[str, np.ndarray]] = {}
    for key, value in get_peft_model_state_dict(model, save_embedding_layers=False).items():
        matrix, _, which = key.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".")
        name = names.get_name(f"{matrix}.weight", try_suffixes=(".weight",))
        if name is None:
            raise UserError(f"llama.cpp knows no {matrix} in a model of kind {kind}")
        rows = value.detach().float().cpu().numpy()
        found.setdefault(name, {})[which] = place_rows(rows, kind, matrix, config) if which == "lora_B" else rows
    pairs = {name: (halves["lora_A"], halves["lora_B"]) for name, halves in found.items()}
    write_adapter(file, kind, float(model.peft_config["default"].lora_alpha), pairs)


@dataclass(frozen=True, kw_only=True)
class SameReplies:
    """How often transformers and llama.cpp give the same greedy answer, with the adapter and without."""

    prompts: int
    adapted: int
    bare: int

    def __str__(self) -> str:
        return f"same greedy answer on {self.adapted} of {self.prompts} prompts (without adapter: {self.bare})"


def agreement(
    model: Any, tokenizer: Any, served: LlamaCppChat, file: Path, prompts: Sequence[Chat], *, most: int = 16
) -> SameReplies:
    """Answer prompts in transformers and in llama.cpp, with the adapter and without.

    llama.cpp rounds the activations of quantised weights, so near-ties may be decided differently. The agreement of the
    bare model shows how often, and is the standard for the adapter's.

    Args:
        model: in transformers, with its adapter.
        served: the same model in llama.cpp.
        file: the exported adapter.
        most: the maximum number of tokens per answer.
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
