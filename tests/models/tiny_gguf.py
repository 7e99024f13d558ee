"""A llama.cpp model small enough to make: random weights, bytes for tokens. It reads slowly enough to be stopped."""

from __future__ import annotations

from pathlib import Path

TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}<assistant>"
WIDTH, LAYERS, HEADS = 256, 6, 4


def make_tiny_gguf(path: Path, *, context: int = 16_384) -> str:
    """Write the model; returns its name for `load_model`. What it says is noise."""
    import numpy as np
    from gguf import GGUFWriter
    from tokenizers import pre_tokenizers

    symbols = ["<end>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "qq"]
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(context)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(2 * WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(symbols))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(symbols)
    writer.add_token_types([3, *[1] * (len(symbols) - 1)])  # a control token, and normal ones
    writer.add_token_merges(["q q"])  # llama.cpp wants one
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    rng = np.random.default_rng(0)

    def add(name: str, *shape: int) -> None:
        value = np.ones(shape) if len(shape) == 1 else rng.normal(scale=0.05, size=shape)
        writer.add_tensor(name, value.astype(np.float32))

    add("token_embd.weight", len(symbols), WIDTH)
    add("output_norm.weight", WIDTH)
    add("output.weight", len(symbols), WIDTH)
    for layer in range(LAYERS):
        for part in ("attn_norm", "ffn_norm"):
            add(f"blk.{layer}.{part}.weight", WIDTH)
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{part}.weight", WIDTH, WIDTH)
        add(f"blk.{layer}.ffn_gate.weight", 2 * WIDTH, WIDTH)
        add(f"blk.{layer}.ffn_up.weight", 2 * WIDTH, WIDTH)
        add(f"blk.{layer}.ffn_down.weight", WIDTH, 2 * WIDTH)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return f"local/{path}"
