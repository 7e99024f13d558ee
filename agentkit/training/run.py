"""`agentkit train`: attempts, examples, an adapter, and the gate, round by round."""

from __future__ import annotations

import asyncio
import json
import platform
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack, cast

from agentkit import faults
from agentkit.adapters import Adapter, AdapterRecaller, AdapterStore, hash_of
from agentkit.aio import run_sync
from agentkit.errors import UserError
from agentkit.evolution.gate import GatePolicy, StrictGate
from agentkit.evolution.harness import fingerprint, trials_for
from agentkit.evolution.holdout import Holdout
from agentkit.evolution.protocols import Evolvable
from agentkit.evolution.run import parts_of
from agentkit.json_types import JsonObject, digest
from agentkit.ledger import Change, Decision, Verdict
from agentkit.tasks import Task
from agentkit.training.collecting import Collected, Collector, of_daily_runs
from agentkit.training.evolvable import AdapterEvolvable
from agentkit.training.examples import Example, read_examples, told, without_tasks, write_examples
from agentkit.training.export import agreement, export_adapter
from agentkit.training.lora import LoraSettings, StepDone, check_enough, train
from agentkit.training.recipes import Control, Own, Recipe, control_of
from agentkit.training.report import write_report

if TYPE_CHECKING:
    from agentkit.agent import Agent
    from agentkit.models.llamacpp import LlamaCppChat

CHECKED = 4
"""Prompts on which the adapter's answers in llama.cpp are compared with those in training."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How an adapter is trained.

    Attributes:
        recipe: what of the attempts it is trained on.
        rounds: of attempts and training; each round adds its examples to those before and trains the bare model anew.
        lora: rank, rate, epochs, loss, seed.
        control: train on as many examples without a lesson instead, to compare with.
        gate: how much evidence an adapter needs.
    """

    recipe: Recipe = field(default_factory=Own)
    rounds: int = 1
    lora: LoraSettings = field(default_factory=LoraSettings)
    control: Control | None = None
    gate: GatePolicy = field(default_factory=GatePolicy)


@dataclass(frozen=True, kw_only=True)
class TrainEvent:
    """Progress, for people: a line, or a step of the training."""

    text: str = ""
    step: StepDone | None = None


OnTraining = Callable[[TrainEvent], None]


def silent(event: TrainEvent) -> None:
    """Nobody watches."""


@dataclass(frozen=True, kw_only=True)
class TrainRound:
    """One round.

    Attributes:
        collected: what its attempts came to, in words.
        examples: that it was trained on, those of earlier rounds included.
        losses: of each step.
        speed: tokens a second of the training; 0 where it was finished before.
        agreement: how often transformers and llama.cpp say the same.
        change: the ledger's change that the adapter is, and what was decided about it.
    """

    number: int
    training: str
    collected: str
    skipped: str
    examples: int
    losses: tuple[float, ...]
    speed: float
    agreement: str
    change: Change
    verdict: Verdict

    def to_json(self) -> JsonObject:
        change = {name: getattr(self.change, name) for name in ("id", "target", "version", "status")}
        shown = {name: value for name, value in vars(self).items() if name not in ("change", "verdict")}
        return shown | {"losses": list(self.losses), "change": change, "verdict": self.verdict.to_json()}


@dataclass(frozen=True, kw_only=True)
class TrainingReport:
    """What a training came to.

    Attributes:
        version: of the adapter that is in force now; 0 is the bare model.
        folder: of the last round: examples, losses, the report.
    """

    name: str
    rounds: tuple[TrainRound, ...]
    version: int
    folder: Path

    def to_json(self) -> JsonObject:
        rounds = [item.to_json() for item in self.rounds]
        return {"adapter": self.name, "version": self.version, "rounds": rounds, "folder": str(self.folder)}


class TrainArguments(TypedDict, total=False):
    """The arguments of `atrain_adapter` beyond the agent, its tasks and the adapter's name."""

    val: Sequence[Task]
    probes: Sequence[Task]
    config: TrainConfig
    playbook: str | None
    memory: str | None
    on_event: OnTraining


def train_adapter(agent: Agent, tasks: Sequence[Task], name: str, **options: Unpack[TrainArguments]) -> TrainingReport:
    """The synchronous twin of `atrain_adapter`, whose arguments and errors it shares."""
    return run_sync(atrain_adapter(agent, tasks, name, **options))


async def atrain_adapter(
    agent: Agent,
    tasks: Sequence[Task],
    name: str,
    *,
    val: Sequence[Task] = (),
    probes: Sequence[Task] = (),
    config: TrainConfig | None = None,
    playbook: str | None = None,
    memory: str | None = None,
    on_event: OnTraining = silent,
) -> TrainingReport:
    """Train an adapter for an agent's local model on what its own attempts teach, and put it in force if it is better.

    Args:
        tasks: to attempt, with targets or checkers; empty takes the daily runs that somebody judged instead.
        name: of the adapter.
        val: held-out tasks that decide whether it is put in force; without them it stays a candidate.
        probes: frozen tasks that it must not make worse.
        config: recipe, rounds, settings.
        playbook, memory: names of what runs are given beside the adapter, in attempts and on held-out tasks alike.
        on_event: sees progress.

    Returns:
        the rounds, each with its change in the ledger. Called again with the same arguments it repeats nothing.

    Raises:
        UserError: another model than a local one, nothing to learn, or too few examples.
        MissingExtra: torch, transformers or peft are not installed.
    """
    run = _Run(agent, tasks, name, val, probes, config or TrainConfig(), on_event)
    run.beside = parts_of(agent, playbook=playbook, memory=memory)[0]
    return await run.go()


class _Run:
    """One training through its rounds."""

    def __init__(
        self,
        agent: Agent,
        tasks: Sequence[Task],
        name: str,
        val: Sequence[Task],
        probes: Sequence[Task],
        config: TrainConfig,
        on_event: OnTraining,
    ) -> None:
        self.agent, self.tasks, self.val, self.probes, self.config = agent, tasks, val, probes, config
        self.base = base_of(agent)
        self.adapters = AdapterStore(agent.store, name, folder=agent.settings.home / "adapters")
        self.tell = on_event
        self.beside: list[Evolvable] = []
        self.before: list[Example] = []

    async def go(self) -> TrainingReport:
        rounds: list[TrainRound] = []
        for number in range(1, self.config.rounds + 1):
            rounds.append(await self._round(number))
            write_report(rounds[-1].to_json(), self._folder(rounds[-1].training))
        folder = self._folder(rounds[-1].training)
        return TrainingReport(
            name=self.adapters.name, rounds=tuple(rounds), version=self.adapters.version(), folder=folder
        )

    async def _round(self, number: int) -> TrainRound:
        start = self._start(number)
        collected = await self._collect(start)
        examples = self._examples(collected)
        training = self._training(examples)
        folder = self._folder(training)
        _write(examples, folder)
        self.tell(TrainEvent(text=f"round {number}: {collected}; {len(examples)} examples"))
        faults.point("after:train.collect")
        trained = await self._train(examples, folder)
        change = self._propose(examples, folder, training)
        faults.point("after:train.export")
        change, verdict = await self._decide(change)
        self.tell(TrainEvent(text=f"round {number}: {verdict.decision}: {verdict.reason}"))
        self.before = examples
        return TrainRound(
            number=number,
            training=training,
            collected=str(collected),
            skipped=told(collected.skipped),
            examples=len(examples),
            losses=tuple(trained["losses"]),
            speed=trained["speed"],
            agreement=trained["agreement"],
            change=change,
            verdict=verdict,
        )

    def _start(self, number: int) -> int:
        """The version whose attempts a round learns from: that of the round's first beginning, however often it was
        stopped since, which a file of the training remembers."""
        key = digest([self._key, number])[:16]
        path = self.adapters.folder / self.adapters.name / f"round-{key}.txt"
        if not path.exists():
            _make(path.parent)
            part = path.with_suffix(".part")
            part.write_text(str(self.adapters.version()), encoding="ascii")
            part.replace(path)
        return int(path.read_text(encoding="ascii"))

    @property
    def _key(self) -> str:
        """Names the training: the same again resumes it, or repeats its result."""
        config = {name: value for name, value in vars(self.config).items() if name not in ("gate", "rounds")}
        told = {**config, "recipe": repr(self.config.recipe), "lora": self.config.lora.to_json()}
        asked = [[task.model_dump() for task in part] for part in (self.tasks, self.val, self.probes)]
        return digest([fingerprint(self.agent), hash_of(self.base), told, asked, self.adapters.name])

    async def _collect(self, start: int) -> Collected:
        if not self.tasks:
            return of_daily_runs(self.agent, self.agent.model_name)
        adapter = self.adapters.at(start)
        known = "" if adapter is None else adapter.sha256
        recallers = [AdapterRecaller(self.adapters, version=start)]
        collector = Collector(
            self.agent,
            [*recallers, *(item.at(item.version()) for item in self.beside)],
            key=digest([fingerprint(self.agent), known, [[item.target, item.version()] for item in self.beside]]),
            seed=self.config.lora.seed,
        )
        return await collector.collect(self.tasks, self.config.recipe)

    def _examples(self, collected: Collected) -> list[Example]:
        """Raises UserError: nothing to learn, or too little."""
        recipe, held_out = self.config.recipe, [*self.val, *self.probes]
        found = recipe.examples(collected.attempts, collected.hinted)
        if self.config.control is not None:
            found = control_of(self.config.control, found, collected.attempts, seed=self.config.lora.seed)
        found = without_tasks([*self.before, *found], held_out)
        left = f"; left out: {told(collected.skipped)}" if collected.skipped else ""
        if not found:
            raise UserError(f"recipe {recipe.name!r} finds nothing to learn: {collected}{left}")
        check_enough(len(found), left)
        return found

    def _training(self, examples: Sequence[Example]) -> str:
        machine = [platform.machine(), hash_of(self.base)]
        return digest([[example.hash for example in examples], self.config.lora.to_json(), machine])[:16]

    def _folder(self, training: str) -> Path:
        return self.adapters.folder / self.adapters.name / training

    async def _train(self, examples: Sequence[Example], folder: Path) -> JsonObject:
        """Train and export, in a thread that ends with this call; a training that is finished is not repeated."""
        stopped, done = threading.Event(), folder / "done.json"
        if done.is_file() and (folder / "adapter.gguf").is_file():
            return dict(json.loads(done.read_text(encoding="utf-8")))

        def on_step(step: StepDone) -> None:
            if stopped.is_set():
                raise _Stopped
            self.tell(TrainEvent(step=step))

        def work() -> JsonObject:
            made = train(self.base, examples, self.config.lora, folder, on_step=on_step)
            file, served = folder / "adapter.gguf", cast("LlamaCppChat", self.agent.explorer)
            export_adapter(made.model, self.base, file)
            chats = [example.chat for example in examples[:CHECKED]]
            agreed = agreement(made.model, made.tokenizer, served, file, chats)
            speed = made.tokens / made.seconds if made.tokens else 0.0
            found = {"losses": list(made.losses), "speed": speed, "agreement": str(agreed), "too_long": made.too_long}
            done.write_text(json.dumps(found), encoding="utf-8")
            return found

        try:
            return await asyncio.to_thread(work)
        except asyncio.CancelledError:
            stopped.set()
            raise

    def _propose(self, examples: Sequence[Example], folder: Path, training: str) -> Change:
        control = f", control: {self.config.control}" if self.config.control else ""
        adapter = Adapter(
            sha256=self.adapters.keep(folder / "adapter.gguf"),
            base=hash_of(self.base),
            model=self.agent.model_name,
            recipe=f"{self.config.recipe.name}{control}",
            training=training,
            examples=tuple(example.hash for example in examples),
            settings=self.config.lora.to_json(),
        )
        return self.adapters.propose(adapter, run_id=examples[0].run_id)

    async def _decide(self, change: Change) -> tuple[Change, Verdict]:
        """The gate's verdict; a change that is in force or rejected already keeps its own."""
        ledger = self.adapters.ledger
        open_still = change.status == "proposed" or (change.status == "quarantined" and self.val)
        if not open_still:
            said = next((event.verdict for event in reversed(ledger.events(change.id)) if event.verdict), {})
            reason = str(said.get("reason") or f"it is {change.status}")
            return change, Verdict(decision=_DECIDED[change.status], reason=reason, evidence=said.get("evidence", {}))
        if not self.val:
            verdict = Verdict(decision="quarantine", reason="a candidate: no held-out tasks were given to test it on")
            return ledger.decide(change.id, verdict), verdict
        evolvable = AdapterEvolvable(self.adapters)
        gate = StrictGate(
            [evolvable, *self.beside],
            trials_for(self.agent, labels="gold", seed=self.config.lora.seed),
            Holdout(self.val),
            probes=self.probes,
            policy=self.config.gate,
            evolution=f"{self.adapters.target}:{self._key[:16]}"[:64],
        )
        verdict = (await gate.decide([change], key=f"{change.key}:{gate.holdout.name[:8]}"))[change.id]
        if verdict.decision == "accept":
            return evolvable.apply(change, verdict), verdict
        return ledger.decide(change.id, verdict), verdict


_DECIDED: dict[str, Decision] = {
    "applied": "accept",
    "withdrawn": "reject",
    "rejected": "reject",
    "quarantined": "quarantine",
    "waiting": "ask",
}


class _Stopped(BaseException):
    """Whoever waited for the training is gone."""


def base_of(agent: Agent) -> Path:
    """The model file of an agent that can be trained.

    Raises:
        UserError: its model is no local one.
    """
    path = getattr(agent.explorer, "path", None)
    if not getattr(agent.explorer, "takes_adapters", False) or not isinstance(path, Path):
        raise UserError(f"{agent.model_name} can't be trained here: adapters are for local/ models")
    return path


def _write(examples: list[Example], folder: Path) -> None:
    path = folder / "examples.jsonl"
    _make(folder)
    if not path.exists() or [item.hash for item in read_examples(path)] != [item.hash for item in examples]:
        write_examples(examples, path)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: can't be made: {error.strerror}") from None
