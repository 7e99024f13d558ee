"""The loops: learn from tasks, offline in epochs or online as they arrive, and measure what was gained.

One batch consists of four steps: its tasks are run concurrently with everything frozen; the learners process each
episode, in order; the gate decides about their proposals; the accepted ones are applied. Learning is sequential and its
ids are derived from the evolution's own id, so no result depends on how many rollouts run at once. Every batch leaves
two rows in the store, "learned" and "settled". Everything between them is idempotent, so a killed evolution resumes
exactly.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Literal

from agentkit.errors import Conflict, UserError
from agentkit.evolution.batches import BatchRunner
from agentkit.evolution.config import EvolveConfig, Evolved
from agentkit.evolution.events import BatchDone, EvolutionEnded, OnEvolution, silent
from agentkit.evolution.gate import AskWhen, GateMode, StrictGate, disjoint_groups
from agentkit.evolution.holdout import Holdout, split
from agentkit.evolution.probation import ProbationGate, Watch
from agentkit.evolution.progress import EvolutionProgress
from agentkit.evolution.protocols import Cost, Evolvable, OpenGate
from agentkit.evolution.records import BatchRecord, LearnedHalf, SettledHalf, Watched
from agentkit.evolution.selection import VersionSelection
from agentkit.evolution.trials import Trials, hide
from agentkit.json_types import JsonObject
from agentkit.ledger import Change, Gate, Ledger, Verdict, digest
from agentkit.protocols import Learner
from agentkit.store import Store
from agentkit.tasks import Task

AfterBatch = Callable[[int, dict[str, int]], Awaitable[None]]
"""Called with the number of tasks seen so far and the current versions; must tolerate being called again after an
interruption."""


class Evolution:
    """One run of `evolve`.

    Args:
        trials: runs tasks and caches answers, through the harness of the agent that learns; also knows the labels
            setting.
        evolvables: what evolves, in the order of their blocks in the prompt.
        learners: take episodes and propose changes (or write cases).
        train: tasks to learn from.
        val: tasks for the gate and for choosing a version; none of them may be in `train`.
        probes: frozen tasks that no change may make worse.
        on_event: called with progress events.
        gate: decides about changes, instead of the gate named in the configuration.
        ask_when: selects changes that a person must release even though they passed the gate.
        after_batch: called at the start and after every batch.
    """

    def __init__(
        self,
        *,
        trials: Trials,
        evolvables: Sequence[Evolvable],
        learners: Sequence[Learner],
        train: Sequence[Task],
        val: Sequence[Task] = (),
        probes: Sequence[Task] = (),
        config: EvolveConfig | None = None,
        on_event: OnEvolution = silent,
        gate: Gate | None = None,
        ask_when: AskWhen = lambda change: None,
        after_batch: AfterBatch | None = None,
    ) -> None:
        self.trials, self.evolvables, self.config = trials, list(evolvables), config or EvolveConfig()
        self.train, self.val, self.probes = list(train), list(val), list(probes)
        self.on_event, self.after_batch = on_event, after_batch
        self.mode: GateMode | Literal["own"] = "own" if gate is not None else self.config.gate_mode
        self.store: Store = trials.store
        self.ledger = Ledger(self.store)
        self._check_tasks()
        described = _description(self, gate)
        self.id = "ev" + digest(described)[:10]
        self.progress = EvolutionProgress(self.store, self.id, described)
        chosen_on, held_out = split(self.val, self.config.selection, seed=self.config.seed)
        self.selection = VersionSelection(chosen_on, trials, self.evolvables, self.progress, on_event)
        self.holdout = Holdout(held_out)
        self.runner = BatchRunner(trials, self.evolvables, list(learners), self.config)
        self.watch = Watch(self.evolvables, trials, self.ledger, evolution=self.id, policy=self.config.probation)
        self.gate = gate or self._gate(ask_when)
        self.usage = Cost()
        self._by_target = {evolvable.target: evolvable for evolvable in self.evolvables}
        self._waiting: list[str] = []
        self._records: list[BatchRecord] = []
        self._verdicts: dict[str, Verdict] = {}
        self._started = time.monotonic()

    async def run(self) -> Evolved:
        """Learn, choose a version, and make it current.

        Raises:
            RunError: it stopped early; called again with the same configuration, it resumes.
        """
        start = self.progress.begin({item.target: item.version() for item in self.evolvables})
        versions = dict(start)
        # From here on, every step first looks for its own stored result (`self.progress`), in the same order each time.
        self._waiting = self._left_over()
        await self._validate(versions)
        await self._border(versions)
        status = "done"
        for epoch in range(1 if self.config.online else self.config.epochs):
            versions, ended = await self._epoch(epoch, versions)
            if ended:
                status = ended
                break
        candidates = self.selection.candidates
        if candidates and candidates[-1].versions != versions:
            await self._validate(versions)
        chosen = self.selection.choose(versions, evolution=self.id)
        evolved = Evolved(
            id=self.id,
            status=status,
            start=start,
            chosen=chosen,
            candidates=tuple(candidates),
            batches=tuple(self._records),
            verdicts=self._verdicts,
            usage=self.usage,
        )
        self.progress.finish(evolved.to_json())
        self.on_event(EvolutionEnded(status=status, chosen=chosen))
        return evolved

    def _left_over(self) -> list[str]:
        """The changes that earlier evolutions left in quarantine, oldest first, as of the start of this one."""
        if not self.config.retest:
            return []
        found = self.progress.recorded("left over")
        if found is None:
            ids = [
                change.id
                for item in self.evolvables
                for change in reversed(self.ledger.history(item.target, status="quarantined"))
            ]
            found = self.progress.record("left over", {"changes": ids})
        return list(found["changes"])

    async def _epoch(self, epoch: int, versions: dict[str, int]) -> tuple[dict[str, int], str | None]:
        """One pass over the training tasks; returns the versions after it and, if learning must end, the reason."""
        config, before = self.config, dict(versions)
        batches = self._batches(epoch)
        for index, tasks in enumerate(batches):
            limit = config.limits.reached(self.usage, time.monotonic() - self._started)
            if limit:
                return versions, f"budget: {limit}"
            versions = await self._batch(epoch, index, tasks, versions, last=index + 1 == len(batches))
            self._tell(epoch, index, len(batches))
            await self._border(versions)
            if config.validate_every and (index + 1) % config.validate_every == 0 and index + 1 < len(batches):
                await self._validate(versions)
        if not config.online:
            await self._validate(versions)
        stale = config.patience and epoch + 1 >= config.patience and before == versions
        return versions, "converged" if stale and epoch + 1 < config.epochs else None

    async def _border(self, versions: dict[str, int]) -> None:
        if self.after_batch is not None:
            await self.after_batch(sum(len(record.learned.tasks) for record in self._records), dict(versions))

    async def _batch(
        self, epoch: int, index: int, tasks: Sequence[Task], versions: dict[str, int], *, last: bool
    ) -> dict[str, int]:
        name = f"{self.id}-e{epoch}-b{index}"
        # Each half is read back from the stored row even right after it was written, so that a resumed evolution and an
        # uninterrupted one work with exactly the same values.
        row = self.progress.recorded("learned")
        if row is None:
            row = self.progress.record("learned", (await self.runner.learn(name, tasks, versions)).to_json())
        learned = LearnedHalf.from_json(row)
        row = self.progress.recorded("settled")
        if row is None:
            settling = await self._settle(name, tasks, learned.proposals, last=last)
            row = self.progress.record("settled", settling.to_json())
        settled = SettledHalf.from_json(row)
        self.usage += learned.usage + settled.usage
        self._verdicts |= settled.verdicts
        self._waiting = list(settled.waiting)
        self._records.append(BatchRecord(epoch=epoch, batch=index, learned=learned, settled=settled, usage=self.usage))
        return dict(settled.versions)

    async def _settle(self, name: str, tasks: Sequence[Task], proposals: Sequence[str], *, last: bool) -> SettledHalf:
        """Send proposals through the gate and apply those that pass."""
        before = self.trials.made
        watched = await self._look_after(tasks, name, last=last)
        # A change put on probation in the last batch would never be watched, so that batch gets a gate without room,
        # which leaves changes in quarantine.
        gate = ProbationGate(lambda: 0, 0) if last and self.mode == "probation" else self.gate
        changes = [self.ledger.get(id) for id in dict.fromkeys([*self._waiting, *proposals])]
        verdicts: dict[str, Verdict] = {}
        for number, group in enumerate(disjoint_groups(changes, self.evolvables)):
            decided = await gate.decide(group, key=f"{name}/{number}")
            for change in group:
                verdicts[change.id] = self._carry_out(change, decided[change.id])
        waits = self.mode == "probation" and not last
        return SettledHalf(
            verdicts=verdicts,
            watched=tuple(watched),
            waiting=tuple(id for id, verdict in verdicts.items() if waits and verdict.decision == "quarantine"),
            versions={item.target: item.version() for item in self.evolvables},
            usage=self.trials.made - before,
        )

    def _carry_out(self, change: Change, verdict: Verdict) -> Verdict:
        if verdict.decision == "accept":
            try:
                self._by_target[change.target].apply(change, verdict)
                return verdict
            except Conflict as error:
                verdict = Verdict(decision="reject", reason=f"conflict: {error}", evidence=verdict.evidence)
        self.ledger.decide(change.id, verdict)
        return verdict

    async def _look_after(self, tasks: Sequence[Task], name: str, *, last: bool) -> list[Watched]:
        """Watch the changes on probation before new ones may join them; after the last batch, conclude their
        probation."""
        if self.mode != "probation":
            return []
        watched = await self.watch.watch(tasks, self._accepted(), key=name)
        return watched + (await self.watch.end(tasks, self._accepted(), key=f"{name}:end") if last else [])

    def _accepted(self) -> list[str]:
        return [id for id, verdict in self._verdicts.items() if verdict.decision == "accept"]

    async def _validate(self, versions: dict[str, int]) -> None:
        if not self.config.online and self.selection.tasks:
            self.usage += await self.selection.validate(versions, step=len(self._records))

    def _tell(self, epoch: int, index: int, batches: int) -> None:
        scores = [score for record in self._records for score in record.learned.scores if score is not None]
        decisions = [verdict.decision for verdict in self._verdicts.values()]
        done = len(self._records)
        total = batches * (1 if self.config.online else self.config.epochs)
        elapsed = time.monotonic() - self._started
        event = BatchDone(
            epoch=epoch,
            batch=index,
            done=done,
            total=total,
            accuracy=sum(scores) / len(scores) if scores else None,
            accepted=decisions.count("accept"),
            rejected=decisions.count("reject"),
            quarantined=decisions.count("quarantine"),
            tokens=self.usage.tokens,
            seconds_left=elapsed / done * (total - done),
        )
        self.on_event(event)

    def _batches(self, epoch: int) -> list[list[Task]]:
        tasks = list(self.train)
        if not self.config.online:  # online tasks keep their own order
            random.Random(f"{self.config.seed}/{epoch}").shuffle(tasks)
        return [tasks[begin : begin + self.config.batch] for begin in range(0, len(tasks), self.config.batch)]

    def _check_tasks(self) -> None:
        if self.config.hints and self.config.labels != "gold":
            raise UserError(f"hints reveal the right answer, which labels {self.config.labels!r} hide from learning")
        if self.mode == "strict" and not self.val:
            raise UserError("the strict gate needs held-out tasks: give --val FILE, or choose another gate mode")
        seen = {task.input for task in self.train}
        both = sum(task.input in seen for task in [*self.val, *self.probes])
        if both:
            raise UserError(f"{both} of the held-out tasks are among the training tasks too: keep them apart")

    def _gate(self, ask_when: AskWhen) -> Gate:
        if self.mode == "off":
            return OpenGate()
        if self.mode == "probation":
            return ProbationGate(lambda: len(self.watch.active(self._accepted())), self.config.probation.at_once)
        return StrictGate(
            self.evolvables,
            self.trials,
            self.holdout,
            probes=self.probes,
            policy=self.config.gate,
            evolution=self.id,
            ask_when=ask_when,
        )


def _description(evolution: Evolution, gate: Gate | None) -> JsonObject:
    """Everything that defines an evolution. The hash is its id, so the same evolution is resumed and any other is
    new."""
    files = {"train": evolution.train, "val": evolution.val, "probes": evolution.probes}
    hashes = {
        name: digest([hide(task, evolution.config.labels).model_dump() for task in tasks])[:16]
        for name, tasks in files.items()
    }
    targets = [item.target for item in evolution.evolvables]
    own = {} if gate is None else {"own_gate": type(gate).__qualname__}
    agent = evolution.trials.harness.fingerprint
    return {**asdict(evolution.config), **own, "tasks": hashes, "targets": targets, "agent": agent}
