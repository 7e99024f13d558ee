"""What holds a model to what it could: replay, a KL term, a moving average; and which examples are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import UserError
from agentkit.training import LoraSettings
from agentkit.training.examples import REPLAYED, Example
from agentkit.training.filters import Keep, kept, known_keep
from agentkit.training.lora import answer_tokens, load_base, logits_of, losses_of, train
from agentkit.training.losses import divergence
from agentkit.training.packing import pack
from agentkit.training.probes import KINDS, general_probes
from tests.training.small import LORA, example

LEARNED = [example(n) for n in range(16)]
OLD = [
    replace(
        example(n, answer="red"),
        chat=(("system", "The beginning that all share."), ("user", f"tell {n}")),
        trust=REPLAYED,
    )
    for n in range(4)
]


def far(tiny: Path, folder: Path, settings: LoraSettings, examples: list[Example]) -> tuple[float, float]:
    """How far a trained model is from the bare one on the replayed prompts, and its loss on what it learned."""
    import torch

    folder.mkdir()
    done = train(tiny, examples, settings, folder)
    rows = pack([answer_tokens(item.chat, item.answer, done.tokenizer) for item in OLD])
    with torch.no_grad():
        now = logits_of(done.model, rows)
        with done.model.disable_adapter():
            bare = logits_of(done.model, rows)
    loss = losses_of(done.model, done.tokenizer, [(item.chat, item.answer) for item in LEARNED], settings)
    return float(divergence(bare, now)), sum(loss) / len(loss)


def test_replay_with_a_kl_term_keeps_the_model_near_the_bare_one_where_nothing_is_to_change(
    tiny: Path, tmp_path: Path
) -> None:
    plain, learned = far(tiny, tmp_path / "plain", LORA, LEARNED)
    held, still = far(tiny, tmp_path / "kl", replace(LORA, kl=5.0), [*LEARNED, *OLD])
    alone, _ = far(tiny, tmp_path / "alone", LORA, [*LEARNED, *OLD])
    assert held < plain / 2 and held < alone, (held, alone, plain)
    assert still < 1.0 and learned < 0.5, "what was to be learned is learned with it too"


def test_a_kl_term_without_anything_to_hold_on_to_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there are none: add  --replay FILE"):
        train(tiny, LEARNED, replace(LORA, kl=1.0), tmp_path)


def test_the_moving_average_is_that_of_the_weights_after_each_step_and_survives_a_stop(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from agentkit.training import lora

    settings = replace(LORA, epochs=3, average=0.6)
    seen: list[list[Any]] = []

    def watch(step: Any) -> None:
        saved = torch.load(tmp_path / "one" / "checkpoint.pt", weights_only=True) if step.step > 1 else None
        seen.append([] if saved is None else list(saved["adapter"].values()))

    class Stop(Exception):
        pass

    def stop(step: Any) -> None:
        if step.step == 4:
            raise Stop

    monkeypatch.setattr(lora, "SAVE_EVERY", 0.0)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    whole = _weights(train(tiny, LEARNED, settings, tmp_path / "one", on_step=watch).model)
    last = torch.load(tmp_path / "one" / "checkpoint.pt", weights_only=True)
    assert any(not torch.equal(mean, weight) for mean, weight in zip(last["average"], _plain(last), strict=True))
    assert all(torch.equal(mean, weight) for mean, weight in zip(last["average"], whole, strict=True))
    with pytest.raises(Stop):
        train(tiny, LEARNED, settings, tmp_path / "two", on_step=stop)
    again = _weights(train(tiny, LEARNED, settings, tmp_path / "two").model)
    assert all(torch.equal(one, other) for one, other in zip(whole, again, strict=True))
    plain = _weights(train(tiny, LEARNED, replace(settings, average=0.0), tmp_path / "one").model)
    assert not all(torch.equal(one, other) for one, other in zip(whole, plain, strict=True))


def _weights(model: Any) -> list[Any]:
    return [weight.detach().clone() for weight in model.parameters() if weight.requires_grad]


def _plain(saved: Any) -> list[Any]:
    return list(saved["adapter"].values())


def test_the_hardest_the_unlike_and_the_dependent_are_kept_in_their_order() -> None:
    given = [replace(example(n), bare=(("user", "bare"),)) for n in range(6)]

    def losses(pairs: Sequence[tuple[Example, bool]]) -> list[float]:
        return [float(item.run_id[1:]) if not bare else 10.0 - (item.run_id == "r2") * 9 for item, bare in pairs]

    def names(by: Any, examples: Sequence[Example] = given) -> list[str]:
        return [item.run_id for item in kept(examples, Keep(count=2, by=by), losses=losses, seed=0)]

    assert names("difficulty") == ["r4", "r5"]
    assert names("context") == ["r0", "r1"], "what is lost without the context is largest there"
    told = [("fish swim in the sea", 0), ("fish swim in the deep sea", 1), ("interest on a loan", 2)]
    asked = [replace(example(n), chat=(("user", text),)) for text, n in told]
    assert names("diversity", asked) == ["r0", "r2"]
    assert len(names("random")) == 2 and names("random") == names("random")
    assert kept(given[:2], Keep(count=5), losses=losses, seed=0) == given[:2]
    with pytest.raises(UserError, match="nothing was recalled for any example"):
        names("context", [example(n) for n in range(6)])
    with pytest.raises(UserError, match="there are difficulty, diversity, context, random"):
        known_keep(3, "taste")


def test_losses_of_several_are_those_of_each(tiny: Path) -> None:
    model, tokenizer = load_base(tiny)
    said = [(item.chat, item.answer) for item in LEARNED[:3]]
    together = losses_of(model, tokenizer, said, LORA)
    alone = [losses_of(model, tokenizer, [one], LORA)[0] for one in said]
    assert together == pytest.approx(alone, abs=1e-4) and together[0] > 1
    assert losses_of(model, tokenizer, said[:1], replace(LORA, longest=5)) == [float("inf")]


def test_there_are_eight_probes_of_each_kind_of_what_is_easily_lost() -> None:
    kinds = [str(task.metadata["category"]) for task in general_probes()]
    assert {kind: kinds.count(f"{kind} (probe)") for kind in KINDS} == dict.fromkeys(KINDS, 8)
    assert len({task.input for task in general_probes()}) == 40
    assert all(task.target is not None or task.checker != "exact" for task in general_probes())
