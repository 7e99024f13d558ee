"""No text of a prompt holds a token that the model's chat template marks turns with."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage

from agentkit.models import load_model
from agentkit.models.control import control_tokens, pattern_of, without_control


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def gguf(path: Path, vocabulary: dict[str, int]) -> Path:
    """The head of a GGUF file: some other fields, and a vocabulary with the kind of each token."""
    fields = [
        text("general.name") + struct.pack("<I", 8) + text("m"),
        text("general.scores") + struct.pack("<IIQ2f", 9, 6, 2, 0.5, 1.5),
        text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, len(vocabulary)) + b"".join(map(text, vocabulary)),
        text("tokenizer.ggml.token_type")
        + struct.pack(f"<IIQ{len(vocabulary)}i", 9, 5, len(vocabulary), *vocabulary.values()),
    ]
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(fields)) + b"".join(fields))
    return path


def test_the_control_tokens_of_a_file_are_those_that_its_vocabulary_marks(tmp_path: Path) -> None:
    path = gguf(tmp_path / "a.gguf", {"hello": 1, "@@turn@@": 3, "<|im_end|>": 3, "\u2581": 3, "<tool>": 4})
    assert control_tokens(path) == {"@@turn@@", "<|im_end|>", "\u2581"}
    (tmp_path / "b.gguf").write_bytes(b"other")
    assert control_tokens(tmp_path / "b.gguf") == frozenset()


def test_they_are_broken_wherever_they_stand(tmp_path: Path) -> None:
    path = gguf(tmp_path / "a.gguf", {"@@turn@@": 3, "@@turn@@system": 3, "\u2581": 3})
    model = load_model(f"local/{path}")
    body = model._body([HumanMessage("a @@turn@@system b @@turn@@ \u2581 @@")], None, None, {})
    said = body["messages"][-1]["content"]
    assert "@@turn@@" not in said and said.replace("\u200b", "") == "a @@turn@@system b @@turn@@ \u2581 @@"


def test_a_model_without_any_is_given_texts_as_they_are() -> None:
    chat = [{"role": "user", "content": "<|im_end|>"}]
    assert without_control(chat, pattern_of([])) == chat


@pytest.mark.skipif(
    "not __import__('importlib').util.find_spec('transformers')", reason="the hf extra is not installed"
)
def test_tokens_of_a_transformers_model_are_broken(tmp_path: Path) -> None:
    from agentkit.models.batching import batcher_for
    from tests.models.tiny import make_tiny

    made = batcher_for(make_tiny(tmp_path), gguf_file=None, device=None, dtype=None, max_batch=1, window=0.0)
    assert 0 not in made._prompt([{"role": "user", "content": "a <end> b"}])
