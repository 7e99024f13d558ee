"""Adapters (LoRA) as GGUF files, as llama.cpp loads them, and the same in transformers.

The format is that of llama.cpp's `convert_lora_to_gguf.py`: a file of type "adapter" with the base's architecture and,
for each matrix of the base, `NAME.lora_a` and `NAME.lora_b`. llama.cpp keeps the rows of queries and keys of the Llama
family in another order than transformers, so that the rows of their `lora_b` are put in that order too.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentkit.errors import MissingExtra, UserError
from agentkit.whole import written_whole

if TYPE_CHECKING:
    import numpy as np

_ALPHA = "adapter.lora.alpha"
REORDERED = ("llama",)
"""Architectures whose query and key rows llama.cpp reorders."""


def write_adapter(file: Path, kind: str, alpha: float, matrices: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Write an adapter: of each matrix of the base what is added, down and up. The file is there whole or not at all.

    Raises:
        UserError: it can't be written.
    """
    from gguf import GGUFWriter

    try:
        with written_whole(file) as part, closing(GGUFWriter(part, kind)) as writer:
            writer.add_type("adapter")
            writer.add_string("adapter.type", "lora")
            writer.add_float32(_ALPHA, alpha)
            for name, (down, up) in sorted(matrices.items()):
                writer.add_tensor(f"{name}.lora_a", down)
                writer.add_tensor(f"{name}.lora_b", up)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
    except OSError as error:
        raise UserError(f"{file} can't be written: {error.strerror}") from None


def place_rows(rows: np.ndarray, kind: str, matrix: str, config: Any, *, back: bool = False) -> np.ndarray:
    """The rows of what goes up into a matrix in llama.cpp's order, or back in transformers'."""
    if kind not in REORDERED or not matrix.endswith(("q_proj", "k_proj")):
        return rows
    heads = config.num_attention_heads if matrix.endswith("q_proj") else config.num_key_value_heads
    return (_in_torch_order if back else _reordered)(rows, int(heads))


def names_of(kind: str, layers: int) -> Any:
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


def _in_torch_order(rows: np.ndarray, heads: int) -> np.ndarray:
    """The other way round."""
    import numpy as np

    halves = rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows.shape))


@dataclass(frozen=True, kw_only=True)
class Matrices:
    """An adapter's file, read.

    Attributes:
        kind: the architecture of its base.
        matrices: of each matrix of the base, by llama.cpp's name, what is added: down (rank rows), up (rank columns).
    """

    kind: str
    alpha: float
    matrices: dict[str, tuple[np.ndarray, np.ndarray]]


def read_adapter(file: Path) -> Matrices:
    """Read an adapter's GGUF file.

    Raises:
        UserError: it is none.
        MissingExtra: gguf is not installed.
    """
    try:
        from gguf import GGUFReader
    except ModuleNotFoundError:
        raise MissingExtra("training", "gguf") from None
    try:
        reader = GGUFReader(file)
        kind, alpha = (str(reader.fields[name].contents()) for name in ("general.architecture", _ALPHA))
    except (OSError, ValueError, KeyError):
        raise UserError(f"{file} is no adapter in GGUF") from None
    halves = {tensor.name: tensor.data for tensor in reader.tensors}
    names = {name.rpartition(".")[0] for name in halves}
    return Matrices(
        kind=kind,
        alpha=float(alpha),
        matrices={name: (halves[f"{name}.lora_a"], halves[f"{name}.lora_b"]) for name in names},
    )


def load_into(model: Any, file: Path, name: str, *, scale: float = 1.0) -> Any:
    """Give a transformers model an adapter's file under a name; returns the model as peft has it.

    Args:
        model: bare, or as an earlier call returned it.
        scale: how much of it is added.

    Raises:
        UserError: an adapter of another kind of model.
        MissingExtra: gguf or peft are not installed.
    """
    read = read_adapter(file)
    try:
        from peft import LoraConfig, PeftModel, set_peft_model_state_dict
    except ModuleNotFoundError:
        raise MissingExtra("training", "peft") from None
    config = model.config
    known = {gguf: torch for torch, gguf in _matrices_of(model, read.kind, int(config.num_hidden_layers)).items()}
    if unknown := sorted(read.matrices.keys() - known.keys()):
        raise UserError(f"{file} is an adapter of another model: this one has no {unknown[0]}")
    ranks = {known[gguf]: down.shape[0] for gguf, (down, _) in read.matrices.items()}
    alpha = read.alpha * scale
    wanted = LoraConfig(r=max(ranks.values()), lora_alpha=alpha, rank_pattern=ranks, target_modules=list(ranks))
    if isinstance(model, PeftModel):
        model.add_adapter(name, wanted)
    else:
        model = PeftModel(model, wanted, adapter_name=name)
    set_peft_model_state_dict(model, _weights_of(read, known, config), adapter_name=name)
    return model.eval()


def _matrices_of(model: Any, kind: str, layers: int) -> dict[str, str]:
    """The matrices of a transformers model by its own names, with llama.cpp's."""
    import torch

    names, found = names_of(kind, layers), dict[str, str]()
    for name, module in model.named_modules():
        plain = name.removeprefix("base_model.model.").removesuffix(".base_layer")
        if isinstance(module, torch.nn.Linear) and ".lora_" not in name:
            gguf = names.get_name(f"{plain}.weight", try_suffixes=(".weight",))
            found |= {} if gguf is None else {plain: gguf}
    return found


def _weights_of(read: Matrices, known: dict[str, str], config: Any) -> dict[str, object]:
    """An adapter's weights as peft names them, the rows of queries and keys in transformers' order."""
    import torch

    weights: dict[str, object] = {}
    for gguf, (down, up) in read.matrices.items():
        matrix = known[gguf]
        placed = place_rows(up, read.kind, matrix, config, back=True)
        weights[f"base_model.model.{matrix}.lora_A.weight"] = torch.tensor(down)
        weights[f"base_model.model.{matrix}.lora_B.weight"] = torch.tensor(placed)
    return weights
