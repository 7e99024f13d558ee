"""`agentkit train`: attempts, examples, an adapter and the gate, round by round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from agentkit.adapters import AdapterRecaller, AdapterStore, hash_of
from agentkit.aio import run_sync
from agentkit.errors import UserError
from agentkit.evolution.gate import GatePolicy, StrictGate
from agentkit.evolution.harness import fingerprint, trials_for
from agentkit.evolution.holdout import Holdout
from agentkit.evolution.protocols import Evolvable
from agentkit.evolution.run import parts_of
from agentkit.json_types import JsonObject, digest
from agentkit.ledger import Change, Decision, Verdict
from agentkit.protocols import Recaller
from agentkit.tasks import Task
from agentkit.training.collecting import Collected, Collector, of_daily_runs
from agentkit.training.evolvable import AdapterEvolvable
from agentkit.training.examples import REPLAYED, Example, told, without_tasks
from agentkit.training.filters import Keep
from agentkit.training.lora import LoraSettings, check_enough
from agentkit.training.making import Maker, OnTraining, TrainEvent, make_folder, silent
from agentkit.training.probes import general_probes
from agentkit.training.recipes import Control, Own, Recipe, control_of
from agentkit.training.report import write_report
from agentkit.whole import written_whole

if TYPE_CHECKING:
    from agentkit.agent import Agent

REPLAY_SHARE = 0.25
"""The largest share of replayed examples among all examples."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How an adapter is trained and tested.

    Attributes:
        recipe: turns attempts into examples.
        rounds: of attempts and training; each adds its examples to the earlier ones and trains from the bare model.
        lora: rank, rate, epochs, loss, seed.
        control: train on as many examples without a lesson instead, for comparison.
        keep: train on a subset of the examples; None keeps all.
        gate: how much evidence an adapter needs; if probes fall by more than two points, a person is asked.
    """

    recipe: Recipe = field(default_factory=Own)
    rounds: int = 1
    lora: LoraSettings = field(default_factory=LoraSettings)
    control: Control | None = None
    keep: Keep | None = None
    gate: GatePolicy = field(default_factory=lambda: GatePolicy(probe_margin=0.02))


@dataclass(frozen=True, kw_only=True)
class TrainRound:
    """One round.

    Attributes:
        collected: a summary of its attempts, in words.
        examples: the number trained on, including those of earlier rounds.
        losses: one per step.
        speed: tokens per second during training; 0 if the training was already finished.
        agreement: how often transformers and llama.cpp give the same answer.
        kinds: pairs won and lost with the adapter, for each kind of held-out task and probe.
        change: the adapter's change in the ledger, and the decision about it.
    """

    number: int
    training: str
    collected: str
    skipped: str
    examples: int
    losses: tuple[float, ...]
    speed: float
    agreement: str
    kinds: dict[str, JsonObject]
    change: Change
    verdict: Verdict

    def to_json(self) -> JsonObject:
        change = {name: getattr(self.change, name) for name in ("id", "target", "version", "status")}
        shown = {name: value for name, value in vars(self).items() if name not in ("change", "verdict")}
        return shown | {"losses": list(self.losses), "change": change, "verdict": self.verdict.to_json()}


@dataclass(frozen=True, kw_only=True)
class TrainingReport:
    """The outcome of `train_adapter`.

    Attributes:
        version: the version of the adapter in force now; 0 is the bare model.
        folder: the last round's folder, with examples, losses and the report.
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
    probes: Sequence[Task] | None
    replay: Sequence[Task]
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
    probes: Sequence[Task] | None = None,
    replay: Sequence[Task] = (),
    config: TrainConfig | None = None,
    playbook: str | None = None,
    memory: str | None = None,
    on_event: OnTraining = silent,
) -> TrainingReport:
    """Train an adapter for an agent's local model on the agent's own attempts, and put it in force if it is better.

    Args:
        tasks: tasks to attempt, with targets or checkers; if empty, daily runs that somebody judged are used instead.
        name: the adapter's name.
        val: held-out tasks that decide whether it is put in force; without them it stays a candidate.
        probes: frozen tasks that it must not make worse; None takes AgentKit's own, of abilities that are easily lost.
        replay: tasks on which nothing should change: the bare model's answers to them are trained on too, as at most a
            quarter of all examples.
        config: recipe, rounds, settings.
        playbook, memory: names of further context for the runs, in attempts and on held-out tasks alike.
        on_event: receives progress.

    Returns:
        The rounds, each with its change in the ledger. Called again with the same arguments, it repeats no work.

    Raises:
        UserError: the model is not a local one, there is nothing to learn, or there are too few examples.
        MissingExtra: torch, transformers or peft are not installed.
    """
    frozen = general_probes() if probes is None else probes
    run = _Run(agent, tasks, name, val, frozen, config or TrainConfig(), on_event)
    run.replay = list(replay)
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
        self.adapters = AdapterStore.open(agent.store, name, settings=agent.settings)
        self.maker = Maker(agent, self.adapters, config.lora, on_event)
        self.tell = on_event
        self.beside: list[Evolvable] = []
        self.before: list[Example] = []
        self.replay: list[Task] = []

    async def go(self) -> TrainingReport:
        rounds: list[TrainRound] = []
        for number in range(1, self.config.rounds + 1):
            rounds.append(await self._round(number))
            write_report(rounds[-1].to_json(), self.maker.folder(rounds[-1].training))
        folder = self.maker.folder(rounds[-1].training)
        return TrainingReport(
            name=self.adapters.name, rounds=tuple(rounds), version=self.adapters.version(), folder=folder
        )

    async def _round(self, number: int) -> TrainRound:
        start = self._start(number)
        collected = await self._collect(start)
        examples = await self._examples(collected)
        self.tell(TrainEvent(text=f"round {number}: {collected}; {len(examples)} examples"))
        change, trained = await self.maker.make(examples, recipe=self._recipe)
        change, verdict = await self._decide(change)
        self.tell(TrainEvent(text=f"round {number}: {verdict.decision}: {verdict.reason}"))
        self.before = [example for example in examples if example.trust != REPLAYED]
        return TrainRound(
            number=number,
            training=self.maker.training_of(examples),
            collected=str(collected),
            skipped=told(collected.skipped),
            examples=len(examples),
            losses=tuple(trained["losses"]),
            speed=trained["speed"],
            agreement=trained["agreement"],
            kinds=by_kind(verdict.evidence, [*self.val, *self.probes]),
            change=change,
            verdict=verdict,
        )

    @property
    def _recipe(self) -> str:
        config = self.config
        control = f", control: {config.control}" if config.control else ""
        keep = f", {config.keep.count} by {config.keep.by}" if config.keep else ""
        return f"{config.recipe.name}{keep}{control}"

    def _start(self, number: int) -> int:
        """The version whose attempts a round learns from: the one in force when the round first began, however often
        it was stopped since. A file of the training remembers it."""
        key = digest([self._key, number])[:16]
        path = self.adapters.folder / self.adapters.name / f"round-{key}.txt"
        if not path.exists():
            make_folder(path.parent)
            with written_whole(path) as part:
                part.write_text(str(self.adapters.version()), encoding="ascii")
        return int(path.read_text(encoding="ascii"))

    @property
    def _key(self) -> str:
        """Identifies the training: the same key resumes it, or returns its result."""
        config = {name: value for name, value in vars(self.config).items() if name not in ("gate", "rounds")}
        told = {**config, "recipe": repr(self.config.recipe), "lora": self.config.lora.to_json()}
        told |= {"keep": repr(self.config.keep)}
        asked = [[task.model_dump() for task in part] for part in (self.tasks, self.val, self.probes, self.replay)]
        return digest([fingerprint(self.agent), hash_of(self.maker.base), told, asked, self.adapters.name])

    async def _collect(self, start: int) -> Collected:
        if not self.tasks:
            return of_daily_runs(self.agent, self.agent.model_name)
        adapter = self.adapters.at(start)
        known = "" if adapter is None else adapter.sha256
        recallers = [AdapterRecaller(self.adapters, version=start)]
        beside = [item.at(item.version()) for item in self.beside]
        key = [fingerprint(self.agent), known, [[item.target, item.version()] for item in self.beside]]
        collector = self._collector([*recallers, *beside], digest(key))
        return await collector.collect(self.tasks, self.config.recipe)

    def _collector(self, recallers: Sequence[Recaller], key: str) -> Collector:
        return Collector(self.agent, recallers, key=key, seed=self.config.lora.seed)

    async def _replayed(self, count: int) -> list[Example]:
        """The bare model's answers to tasks on which nothing should change, as a share of all examples."""
        room = round(count * REPLAY_SHARE / (1 - REPLAY_SHARE))
        collector = self._collector([], digest([fingerprint(self.agent), "replay"]))
        collected = await collector.collect(self.replay[:room], Own(attempts=1))
        said = [tries[0].own() for tries in collected.attempts if tries[0].said]
        return [replace(example, trust=REPLAYED) for example in said]

    async def _examples(self, collected: Collected) -> list[Example]:
        """The examples of this round and all earlier ones; raise UserError if there are none, or too few."""
        recipe, held_out = self.config.recipe, [*self.val, *self.probes]
        found = recipe.examples(collected.attempts, collected.second)
        if self.config.control is not None:
            found = control_of(self.config.control, found, collected.attempts, seed=self.config.lora.seed)
        found = without_tasks([*self.before, *found], held_out)
        left = f"; left out: {told(collected.skipped)}" if collected.skipped else ""
        if not found:
            raise UserError(f"recipe {recipe.name!r} finds nothing to learn: {collected}{left}")
        check_enough(len(found), left)
        if self.config.keep is not None:
            found = await self.maker.keep(found, self.config.keep)
            check_enough(len(found), "; keep more")
        return [*found, *without_tasks(await self._replayed(len(found)), held_out)]

    async def _decide(self, change: Change) -> tuple[Change, Verdict]:
        """The gate's verdict; a change that is already in force or rejected keeps the verdict it has."""
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


def by_kind(evidence: JsonObject, tasks: Sequence[Task]) -> dict[str, JsonObject]:
    """Pairs won and lost by the adapter in the gate's evidence, for each kind of held-out task and probe."""
    kind, found = {task.id: str(task.metadata.get("category", "all")) for task in tasks}, dict[str, JsonObject]()
    for test in (evidence, evidence.get("probes") or {}):
        for name, side in (("won", "better"), ("lost", "worse")):
            for task_id in test.get(side, ()):
                row = found.setdefault(kind.get(task_id, "all"), {"won": 0, "lost": 0})
                row[name] += 1
    return found
