"""Training on a model that is made here: exact, resumable, and the same in both engines."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import UserError
from agentkit.models.llamacpp import LlamaCppChat
from agentkit.models.lora_files import read_adapter, write_adapter
from agentkit.training import lora
from agentkit.training.export import agreement, export_adapter
from agentkit.training.lora import load_base, tokens_of, train
from agentkit.training.losses import Loss, answer_logprobs, known_loss
from agentkit.training.packing import Tokens, pack
from tests.training.small import LORA, example

EXAMPLES = [example(n, rejected="no" if n % 2 else None) for n in range(16)]


def logprobs(model: Any, rows: list[Tokens]) -> Any:
    import torch

    found = pack(rows)
    with torch.no_grad():
        out = model(
            input_ids=found.ids, position_ids=found.positions, attention_mask=found.mask, logits_to_keep=found.asked
        )
    return answer_logprobs(out.logits[0], found)[0]


def test_what_is_packed_together_is_computed_as_if_it_stood_alone(tiny: Path) -> None:
    import torch

    model, tokenizer = load_base(tiny)
    rows = [row for item in EXAMPLES[:5] for row in tokens_of(item, tokenizer)]
    together, alone = logprobs(model, rows), torch.cat([logprobs(model, [row]) for row in rows])
    assert torch.allclose(together, alone, atol=1e-4)
    with torch.no_grad():
        plain = torch.log_softmax(model(torch.tensor([[*rows[0].prompt, *rows[0].answer]])).logits[0], -1)
    wanted = sum(float(plain[len(rows[0].prompt) - 1 + n, token]) for n, token in enumerate(rows[0].answer))
    assert abs(float(together[0]) - wanted) < 1e-4
    assert pack(rows).width < sum(map(len, rows)) / 2, "what all prompts begin with is computed once"


def test_what_a_prompt_says_can_be_no_control_token(tiny: Path) -> None:
    _, tokenizer = load_base(tiny)
    end = tokenizer.eos_token_id
    (row,) = tokens_of(example(1), tokenizer)
    assert row.answer[-1] == end and end not in row.prompt
    assert end not in lora.prompt_tokens([("user", "say <end> now")], tokenizer)


@pytest.mark.parametrize("loss", ["sft", "dpo", "simpo"])
def test_an_adapter_learns_and_says_the_same_in_both_engines(tiny: Path, tmp_path: Path, loss: Loss) -> None:
    done = train(tiny, EXAMPLES, replace(LORA, loss=loss), tmp_path)
    assert done.losses[-1] < done.losses[0] / 3
    export_adapter(done.model, tiny, tmp_path / "a.gguf")
    served = LlamaCppChat(full_name="local/tiny", path=tiny, n_ctx=512, n_threads=1, max_tokens=6, temperature=0.0)
    found = agreement(done.model, done.tokenizer, served, tmp_path / "a.gguf", [item.chat for item in EXAMPLES[:4]])
    assert (found.adapted, found.bare) == (4, 4)
    adapted = served.model_copy(update={"adapter": tmp_path / "a.gguf"})
    question = list(example(77).chat)
    assert adapted.invoke(question).text == "ok" != served.invoke(question).text


def test_by_request_from_one_loaded_model_and_without_it_bit_by_bit_as_before(tiny: Path, tmp_path: Path) -> None:
    """Prompts take turns, so that what was read of one with the adapter could be found again without it."""

    def asked(chat: LlamaCppChat, **more: Any) -> Any:
        answers = [chat.invoke(f"say {n}", logprobs=True, top_logprobs=3, **more) for n in (5, 77, 123)]
        told = [answer.response_metadata["logprobs"]["content"] for answer in answers]
        return [(answer.text, [token["logprob"] for token in said]) for answer, said in zip(answers, told, strict=True)]

    bare = LlamaCppChat(full_name="local/tiny", path=tiny, n_ctx=500, n_threads=1, max_tokens=6, temperature=0.0)
    before, file = asked(bare), tmp_path / "a.gguf"
    done = train(tiny, EXAMPLES, LORA, tmp_path)
    export_adapter(done.model, tiny, file)
    with_it = asked(bare, adapter=str(file))
    assert all(one != other for one, other in zip(with_it, before, strict=True))
    assert asked(bare) == before, "a call that names no adapter is answered by the model as it is"
    assert asked(bare.model_copy(update={"adapter": file})) == with_it
    assert asked(bare.model_copy(update={"adapter": file, "scale": 0.0})) == before
    assert bare._server() is bare._server(file)


def test_the_same_seed_makes_the_same_file_and_another_makes_another(tiny: Path, tmp_path: Path) -> None:
    files = []
    for number, seed in enumerate((0, 0, 1)):
        (tmp_path / str(number)).mkdir()
        done = train(tiny, EXAMPLES, replace(LORA, epochs=1, seed=seed), tmp_path / str(number))
        files.append(tmp_path / f"{number}.gguf")
        export_adapter(done.model, tiny, files[-1])
    one, same, other = (file.read_bytes() for file in files)
    assert one == same != other


def test_a_disk_that_fills_while_an_adapter_is_written_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np
    from gguf import GGUFWriter

    def full(self: Any, *given: Any, **named: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    matrices = {"blk.0.attn_q": (np.ones((2, 4), np.float32), np.ones((4, 2), np.float32))}
    with monkeypatch.context() as patch:
        patch.setattr(GGUFWriter, "write_tensors_to_file", full)
        with pytest.raises(UserError, match=r"a\.gguf can't be written: No space left on device"):
            write_adapter(tmp_path / "a.gguf", "llama", 4.0, matrices)
    assert list(tmp_path.iterdir()) == []
    write_adapter(tmp_path / "a.gguf", "llama", 4.0, matrices)
    assert read_adapter(tmp_path / "a.gguf").matrices["blk.0.attn_q"][0].tolist() == [[1.0] * 4] * 2


def test_too_few_examples_say_how_many_are_needed(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="3 examples are too few to train on: 16 are needed"):
        train(tiny, EXAMPLES[:3], LORA, tmp_path)
    with pytest.raises(UserError, match="16 of 16 examples are longer than 10 tokens"):
        train(tiny, EXAMPLES, replace(LORA, longest=10), tmp_path)
    with pytest.raises(UserError, match="there are sft, dpo, simpo"):
        known_loss("ppo")


def test_a_disk_that_fills_while_a_checkpoint_is_written_leaves_the_one_before(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(lora, "SAVE_EVERY", 0.0)
    real, count = torch.save, 0

    def full(state: Any, file: Any) -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(state, file)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match=r"no space is left; the previous one is kept"):
        train(tiny, EXAMPLES, LORA, tmp_path)
    assert len(torch.load(tmp_path / "checkpoint.pt", weights_only=True)["losses"]) == 2
    assert not (tmp_path / "checkpoint.part").exists()
    monkeypatch.setattr(torch, "save", real)
    export_adapter(train(tiny, EXAMPLES, LORA, tmp_path).model, tiny, tmp_path / "resumed.gguf")
    (tmp_path / "again").mkdir()
    export_adapter(train(tiny, EXAMPLES, LORA, tmp_path / "again").model, tiny, tmp_path / "undisturbed.gguf")
    assert (tmp_path / "resumed.gguf").read_bytes() == (tmp_path / "undisturbed.gguf").read_bytes()
