"""Training an adapter (LoRA) on the dequantised weights of the same file that is served.

Training is reproducible: the same examples, settings and machine give the same adapter, bit for bit, however often the
process is killed on the way. The order of the examples and the initial weights follow from the seed, there is no
dropout, and a checkpoint holds the adapter, the optimiser's state and the losses so far.
"""

from __future__ import annotations

import errno
import os
import random
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentkit import faults
from agentkit.errors import MissingExtra, UserError
from agentkit.json_types import JsonObject, digest
from agentkit.models.batching import load_weights
from agentkit.models.control import pattern_of, without_control
from agentkit.training.examples import REPLAYED, Chat, Example
from agentkit.training.losses import Loss, answer_logprobs, divergence, dpo, sft, simpo
from agentkit.training.packing import Pack, Tokens, pack
from agentkit.whole import written_whole

if TYPE_CHECKING:
    import torch

LEAST = 16
"""The minimum number of examples: fewer are learned by heart."""


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """Hyperparameters of a training.

    Attributes:
        rank, alpha: the rank of the added matrices, and their scale (alpha / rank).
        rate: the peak learning rate: warmed up over the first tenth of the steps, then decayed linearly to zero.
        epochs: passes over the examples.
        batch: examples per step.
        loss: sft, dpo or simpo.
        kl: weight of a term that keeps the model close to the bare one on replayed examples (the mean Kullback-Leibler
            divergence per token); 0 for none.
        average: decay of a moving average of the weights over the steps, at most 1 - 1/(step + 1), which becomes the
            adapter, like the slow weights of I-LoRA (arXiv 2402.18865); 0 takes the weights of the last step.
        longest: the maximum length of an example, in tokens, and the maximum computed at once.
        threads: CPU threads. Another number rounds sums differently, so it counts as a setting of the training.
    """

    rank: int = 8
    alpha: int = 16
    rate: float = 3e-4
    epochs: int = 2
    batch: int = 8
    loss: Loss = "sft"
    kl: float = 0.0
    average: float = 0.0
    seed: int = 0
    longest: int = 2_048
    threads: int = field(default_factory=lambda: max(1, (os.cpu_count() or 2) // 2))

    def to_json(self) -> JsonObject:
        """The settings; newer ones are left out at their defaults, which keeps the ids derived from settings stable."""
        return {name: value for name, value in asdict(self).items() if value or name not in ("kl", "average")}


@dataclass(frozen=True, kw_only=True)
class StepDone:
    """Progress after a step.

    Attributes:
        tokens_per_second: the average speed in this process so far.
    """

    step: int
    steps: int
    loss: float
    tokens_per_second: float
    seconds_left: float


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The outcome of a training.

    Attributes:
        model: the peft model with its adapter.
        losses: one per step.
        tokens: the number computed in this process; 0 if the training was already finished.
    """

    model: Any
    tokenizer: Any
    losses: tuple[float, ...]
    tokens: int
    seconds: float
    too_long: int


OnStep = Callable[[StepDone], None]


def load_base(path: Path) -> tuple[Any, Any]:
    """The weights of a GGUF file and its tokenizer."""
    # Threads that spin while waiting for each other are ten times slower if other work needs the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    return load_weights(str(path.parent), path.name, None, None)


def with_adapter(model: Any, settings: LoraSettings) -> Any:
    """The model with a fresh adapter on all of its matrices except the last.

    Raises:
        MissingExtra: peft is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ModuleNotFoundError:
        raise MissingExtra("training", "peft") from None
    import torch

    torch.manual_seed(settings.seed)
    config = LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about names that transformers deprecates and peft still uses
        return get_peft_model(model, config)


def tokens_of(example: Example, tokenizer: Any) -> list[Tokens]:
    """The wanted answer to an example's prompt as tokens, then the rejected one if there is one."""
    said = [example.answer, *([] if example.rejected is None else [example.rejected])]
    return [answer_tokens(example.chat, text, tokenizer) for text in said]


def answer_tokens(chat: Sequence[tuple[str, str]], text: str, tokenizer: Any) -> Tokens:
    """A prompt and an answer to it as tokens."""
    answer = (*tokenizer(text, add_special_tokens=False).input_ids, tokenizer.eos_token_id)
    return Tokens(tuple(prompt_tokens(chat, tokenizer)), answer)


def prompt_tokens(chat: Sequence[tuple[str, str]], tokenizer: Any) -> list[int]:
    """A prompt as the model's chat template writes it; no text in it becomes a control token."""
    special = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    turns = [{"role": role, "content": text} for role, text in chat]
    clean = without_control(turns, pattern_of([*special, *tokenizer.all_special_tokens]))
    return list(tokenizer.apply_chat_template(clean, add_generation_prompt=True, return_dict=True)["input_ids"])


def train(
    base: Path,
    examples: Sequence[Example],
    settings: LoraSettings,
    folder: Path,
    *,
    on_step: OnStep = lambda step: None,
    loaded: tuple[Any, Any] | None = None,
) -> Trained:
    """Train an adapter; started again with the same folder, it continues from the last checkpoint.

    Args:
        base: the GGUF file that is served.
        folder: where checkpoints go.
        loaded: the base's weights and tokenizer if they are already loaded; the adapter is added to them.

    Raises:
        UserError: too few examples, too few short ones, or a full disk (the last checkpoint is kept).
        MissingExtra: torch, transformers or peft are not installed.
    """
    check_enough(len(examples))
    model, tokenizer = loaded or load_base(base)
    run = _Training(with_adapter(model, settings), tokenizer, examples, settings, folder)
    return run.go(on_step)


def logits_of(model: Any, packed: Pack) -> torch.Tensor:
    """A model's logits at the positions of a pack that predict the tokens of answers."""
    out = model(
        input_ids=packed.ids,
        position_ids=packed.positions,
        attention_mask=packed.mask,
        logits_to_keep=packed.asked,
        use_cache=False,
    )
    return out.logits[0]  # type: ignore[no-any-return]


def losses_of(
    model: Any, tokenizer: Any, said: Sequence[tuple[Chat, str]], settings: LoraSettings, *, at_once: int = 8
) -> list[float]:
    """A model's mean loss per token on each answer, given its prompt; infinite if the two are too long together."""
    import torch

    torch.set_num_threads(settings.threads)
    found = [float("inf")] * len(said)
    made = [answer_tokens(chat, text, tokenizer) for chat, text in said]
    places = [place for place, item in enumerate(made) if len(item) <= settings.longest]
    for begin in range(0, len(places), at_once):
        now = places[begin : begin + at_once]
        packed = pack([made[place] for place in now], device=str(model.device), dtype=model.dtype)
        with torch.inference_mode():
            sums, sizes = answer_logprobs(logits_of(model, packed), packed)
        for place, loss in zip(now, (-sums / sizes).tolist(), strict=True):
            found[place] = loss
    return found


def check_enough(count: int, why: str = "") -> None:
    """Raise UserError if there are too few examples; `why` is added to the message and says what was left out."""
    if count < LEAST:
        raise UserError(f"{count} examples are too few to train on: {LEAST} are needed; add tasks or corrections{why}")


class _Training:
    """One training, step by step."""

    def __init__(
        self, model: Any, tokenizer: Any, examples: Sequence[Example], settings: LoraSettings, folder: Path
    ) -> None:
        import torch

        self.model, self.tokenizer, self.settings, self.folder = model, tokenizer, settings, folder
        torch.set_num_threads(settings.threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        if settings.kl and not any(example.trust == REPLAYED for example in examples):
            raise UserError("a KL term needs replayed tasks, and there are none: add  --replay FILE")
        made = [(tokens_of(example, tokenizer), example.trust == REPLAYED) for example in examples]
        if settings.loss == "sft":
            made = [(pair[:1], replayed) for pair, replayed in made]
        fits = [(item, replayed) for item, replayed in made if max(map(len, item)) <= settings.longest]
        self.items, self.replayed = [item for item, _ in fits], [replayed for _, replayed in fits]
        self.too_long = len(made) - len(self.items)
        if len(self.items) < LEAST:
            raise UserError(f"{self.too_long} of {len(made)} examples are longer than {settings.longest} tokens")
        self.weights = [weight for weight in model.parameters() if weight.requires_grad]
        self.optimiser = torch.optim.AdamW(self.weights, lr=settings.rate, weight_decay=0.0)
        self.losses: list[float] = []
        self.average: list[Any] = [weight.detach().clone() for weight in self.weights] if settings.average else []
        self.bare: dict[int, Any] = {}
        self.plan = [batch for epoch in range(settings.epochs) for batch in self._batches(epoch)]
        self.mark = digest([settings.to_json(), [example.hash for example in examples]])

    def go(self, on_step: OnStep) -> Trained:
        """Do all the remaining steps."""
        self._restore()
        started, computed, saved = time.perf_counter(), 0, time.perf_counter()
        self.model.train()
        begin = len(self.losses)
        for step in range(begin, len(self.plan)):
            computed += self._step(step)
            spent = time.perf_counter() - started
            left = spent / (step + 1 - begin) * (len(self.plan) - step - 1)
            on_step(
                StepDone(
                    step=step + 1,
                    steps=len(self.plan),
                    loss=self.losses[-1],
                    tokens_per_second=computed / spent,
                    seconds_left=left,
                )
            )
            if time.perf_counter() - saved > SAVE_EVERY or step + 1 == len(self.plan):
                self._save()
                saved = time.perf_counter()
            faults.point("after:train.step")
        self._take_average()
        self.model.eval()
        return Trained(
            model=self.model,
            tokenizer=self.tokenizer,
            losses=tuple(self.losses),
            tokens=computed,
            seconds=time.perf_counter() - started,
            too_long=self.too_long,
        )

    def _batches(self, epoch: int) -> Iterator[list[int]]:
        order = list(range(len(self.items)))
        random.Random(digest([self.settings.seed, epoch])).shuffle(order)
        return (order[n : n + self.settings.batch] for n in range(0, len(order), self.settings.batch))

    def _step(self, step: int) -> int:
        """One step of the optimiser; returns the number of tokens computed."""
        import torch

        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate * schedule(step, len(self.plan))
        batch, computed, total = self.plan[step], 0, 0.0
        for part in self._parts(batch):
            loss, tokens = self._loss(part)
            torch.autograd.backward(loss * (len(part) / len(batch)))
            total += float(loss.detach()) * len(part) / len(batch)
            computed += tokens
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.losses.append(total)
        decay = min(self.settings.average, 1 - 1 / (step + 2))
        for mean, weight in zip(self.average, self.weights, strict=False):
            mean.lerp_(weight.detach(), 1 - decay)
        return computed

    def _take_average(self) -> None:
        """Replace the weights by their average, if one is kept; the last checkpoint has both."""
        for mean, weight in zip(self.average, self.weights, strict=False):
            weight.data.copy_(mean)

    def _parts(self, batch: list[int]) -> Iterator[list[int]]:
        """Split the batch into parts to compute at once, each with at most as many new tokens as `longest`."""
        part: list[int] = []
        room = self.settings.longest
        for number in sorted(batch, key=lambda number: (len(self.items[number]) == 1, number)):
            # the start of the prompt counts once, since most prompts of an agent share it
            size = sum(len(item.answer) for item in self.items[number]) + (0 if part else len(self.items[number][0]))
            if part and size > room:
                yield part
                part, room = [], self.settings.longest
                size = sum(map(len, self.items[number]))
            part.append(number)
            room -= size
        yield part

    def _loss(self, part: list[int]) -> tuple[torch.Tensor, int]:
        rows = [item for number in part for item in self.items[number]]
        packed = self._pack(rows)
        logits = self._logits(packed)
        sums, sizes = answer_logprobs(logits, packed)
        kept = self._kept(part, packed, logits)
        pairs = sum(len(self.items[number]) == 2 for number in part)
        if not pairs:
            return sft(sums, sizes) + kept, packed.width
        edge, single = 2 * pairs, len(part) - pairs
        if self.settings.loss == "dpo":
            preferred = dpo(sums[:edge], sizes[:edge], self._bare(part[:pairs]))
        else:
            preferred = simpo(sums[:edge], sizes[:edge])
        alone = sft(sums[edge:], sizes[edge:]) if single else 0.0
        return (preferred * pairs + alone * single) / len(part) + kept, packed.width

    def _kept(self, part: list[int], packed: Pack, logits: torch.Tensor) -> torch.Tensor | float:
        """The KL term: the model's divergence from the bare one on the replayed examples of a part."""
        import torch

        owners = [number for number in part for _ in self.items[number]]
        replayed = torch.tensor([self.replayed[number] for number in owners], device=packed.owner.device)[packed.owner]
        if not self.settings.kl or not bool(replayed.any()):
            return 0.0
        with torch.no_grad(), self.model.disable_adapter():
            bare = self._logits(packed)[replayed]
        share = sum(self.replayed[number] for number in part) / len(part)
        return self.settings.kl * share * divergence(bare, logits[replayed])

    def _bare(self, numbers: list[int]) -> torch.Tensor:
        """The bare model's log-probabilities of pairs, each computed once and by itself: the same after a kill."""
        import torch

        for number in numbers:
            if number not in self.bare:
                with torch.no_grad(), self.model.disable_adapter():
                    packed = self._pack(self.items[number])
                    self.bare[number] = answer_logprobs(self._logits(packed), packed)[0]
        return torch.cat([self.bare[number] for number in numbers])

    def _pack(self, rows: Sequence[Tokens]) -> Pack:
        return pack(rows, device=str(self.weights[0].device), dtype=self.model.dtype)

    def _logits(self, packed: Pack) -> torch.Tensor:
        return logits_of(self.model, packed)

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def _save(self) -> None:
        """Write a checkpoint; raise UserError if the disk is full, and keep the previous checkpoint."""
        import torch
        from peft import get_peft_model_state_dict

        state = {
            "mark": self.mark,
            "losses": self.losses,
            "adapter": get_peft_model_state_dict(self.model, save_embedding_layers=False),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average,
        }
        try:
            with written_whole(self._checkpoint, durable=True) as part, part.open("wb") as file:
                torch.save(state, file)
        except (OSError, RuntimeError) as error:  # torch wraps the errors of its own writer
            if not (isinstance(error, OSError) or "write" in str(error)):
                raise
            full = getattr(error, "errno", None) == errno.ENOSPC
            why = "no space is left" if full else str(error).splitlines()[0]
            kept = "the previous one is kept" if self._checkpoint.exists() else "there is none yet"
            raise UserError(f"{self._checkpoint}: the checkpoint can't be written: {why}; {kept}") from None
        faults.point("after:train.checkpoint")

    def _restore(self) -> None:
        """Restore the last checkpoint of this training; that of another training is ignored."""
        import torch
        from peft import set_peft_model_state_dict

        if not self._checkpoint.is_file():
            return
        state = torch.load(self._checkpoint, weights_only=True, map_location=self.weights[0].device)
        if state["mark"] == self.mark:
            set_peft_model_state_dict(self.model, state["adapter"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.losses, self.average = list(state["losses"]), list(state.get("average", ()))


SAVE_EVERY = 60.0
"""Seconds between checkpoints."""


def schedule(step: int, steps: int) -> float:
    """The share of the peak learning rate at a step: warm-up over a tenth of the steps, then linear decay to zero."""
    rise = max(1, steps // 10)
    return (step + 1) / rise if step < rise else (steps - step) / max(1, steps - rise + 1)
