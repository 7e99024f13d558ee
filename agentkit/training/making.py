"""From examples to an adapter in the ledger: train, export, compare transformers with llama.cpp, propose."""

from __future__ import annotations

import asyncio
import json
import platform
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agentkit import faults
from agentkit.adapters import Adapter, AdapterStore, hash_of
from agentkit.errors import UserError
from agentkit.json_types import JsonObject, digest
from agentkit.ledger import Change
from agentkit.models.llamacpp import LlamaCppChat
from agentkit.training.examples import Example, read_examples, write_examples
from agentkit.training.export import agreement, export_adapter
from agentkit.training.filters import Keep, kept
from agentkit.training.lora import LoraSettings, StepDone, load_base, losses_of, train
from agentkit.whole import written_whole

if TYPE_CHECKING:
    from agentkit.agent import Agent

CHECKED = 4
"""The number of prompts on which the adapter's answers in llama.cpp are compared with those in transformers."""


@dataclass(frozen=True, kw_only=True)
class TrainEvent:
    """Progress to show to people: a line of text, or a step of the training."""

    text: str = ""
    step: StepDone | None = None


OnTraining = Callable[[TrainEvent], None]


def silent(event: TrainEvent) -> None:
    """Nobody watches."""


class Maker:
    """Trains adapters for an agent's local model; a finished training is not repeated.

    Args:
        lora: rank, rate, epochs, loss, seed, retention.

    Raises:
        UserError: the agent's model is not a local one.
    """

    def __init__(self, agent: Agent, adapters: AdapterStore, lora: LoraSettings, tell: OnTraining = silent) -> None:
        self.agent, self.adapters, self.lora, self.tell = agent, adapters, lora, tell
        self.served = served_by(agent)
        self.base = self.served.path

    def training_of(self, examples: Sequence[Example]) -> str:
        """The id of a training on these examples."""
        machine = [platform.machine(), hash_of(self.base)]
        return digest([[example.hash for example in examples], self.lora.to_json(), machine])[:16]

    def folder(self, training: str) -> Path:
        return self.adapters.folder / self.adapters.name / training

    async def make(self, examples: Sequence[Example], *, recipe: str) -> tuple[Change, JsonObject]:
        """Train on examples and propose the adapter; returns the change, and losses, speed and the engines' agreement.

        Raises:
            UserError: too few examples, or the disk is full.
        """
        training = self.training_of(examples)
        folder = self.folder(training)
        _write(list(examples), folder)
        faults.point("after:train.collect")
        trained = await self._train(examples, folder)
        adapter = Adapter(
            sha256=self.adapters.keep(folder / "adapter.gguf"),
            base=hash_of(self.base),
            model=self.agent.model_name,
            recipe=recipe,
            training=training,
            examples=tuple(example.hash for example in examples),
            settings=self.lora.to_json(),
        )
        change = self.adapters.propose(adapter, run_id=examples[0].run_id)
        faults.point("after:train.export")
        return change, trained

    async def keep(self, examples: list[Example], wanted: Keep) -> list[Example]:
        """Choose as many examples as are wanted; losses computed for that are cached beside the examples."""

        def losses(pairs: Sequence[tuple[Example, bool]]) -> list[float]:
            path = self.adapters.folder / self.adapters.name / f"losses-{hash_of(self.base)[:16]}.json"
            known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
            names = [f"{example.hash}{'-bare' * bare}" for example, bare in pairs]
            asked = [place for place, name in enumerate(names) if name not in known]
            if asked:
                model, tokenizer = load_base(self.base)
                said = [(self._prompt(*pairs[place]), pairs[place][0].answer) for place in asked]
                found = losses_of(model, tokenizer, said, self.lora)
                known |= {names[place]: loss for place, loss in zip(asked, found, strict=True)}
                make_folder(path.parent)
                with written_whole(path) as part:
                    part.write_text(json.dumps(known), encoding="utf-8")
            return [known[name] for name in names]

        return await asyncio.to_thread(kept, examples, wanted, losses=losses, seed=self.lora.seed)

    @staticmethod
    def _prompt(example: Example, bare: bool) -> tuple[tuple[str, str], ...]:
        return example.bare if bare and example.bare is not None else example.chat

    async def _train(self, examples: Sequence[Example], folder: Path) -> JsonObject:
        """Train and export in a thread that ends with this call; a finished training is not repeated."""
        stopped, done = threading.Event(), folder / "done.json"
        if done.is_file() and (folder / "adapter.gguf").is_file():
            return dict(json.loads(done.read_text(encoding="utf-8")))

        def on_step(step: StepDone) -> None:
            if stopped.is_set():
                raise _Stopped
            self.tell(TrainEvent(step=step))

        def work() -> JsonObject:
            made = train(self.base, examples, self.lora, folder, on_step=on_step)
            file = folder / "adapter.gguf"
            export_adapter(made.model, self.base, file)
            faults.point("after:train.gguf")
            chats = [example.chat for example in examples[:CHECKED]]
            agreed = agreement(made.model, made.tokenizer, self.served, file, chats)
            speed = made.tokens / made.seconds if made.tokens else 0.0
            found = {"losses": list(made.losses), "speed": speed, "agreement": str(agreed), "too_long": made.too_long}
            done.write_text(json.dumps(found), encoding="utf-8")
            return found

        try:
            return await asyncio.to_thread(work)
        except asyncio.CancelledError:
            stopped.set()
            raise


class _Stopped(BaseException):
    """Ends the training, since nobody is waiting for it any more."""


def served_by(agent: Agent) -> LlamaCppChat:
    """The agent's model, which an adapter can be trained for.

    Raises:
        UserError: it is not a local one.
    """
    if not isinstance(agent.explorer, LlamaCppChat):
        raise UserError(f"{agent.model_name} can't be trained here: adapters are for local/ models")
    return agent.explorer


def _write(examples: list[Example], folder: Path) -> None:
    path = folder / "examples.jsonl"
    make_folder(folder)
    if not path.exists() or [item.hash for item in read_examples(path)] != [item.hash for item in examples]:
        write_examples(examples, path)


def make_folder(folder: Path) -> None:
    """Create a folder; raise UserError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: can't be created: {error.strerror}") from None


def delete_training(adapters: AdapterStore, adapter: Adapter) -> None:
    """Delete an adapter's file and everything that belongs to its training: examples, checkpoint, report."""
    (adapters.folder / "files" / adapter.file_name).unlink(missing_ok=True)
    shutil.rmtree(adapters.folder / adapters.name / adapter.training, ignore_errors=True)
