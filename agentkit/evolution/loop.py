"""The loops: learn from tasks offline in epochs, or online as they come, and prove what was gained.

One batch: its tasks are run concurrently with everything frozen; then each episode is learned from, in order; then the
proposals go through the gate; then the accepted ones are applied. Learning is sequential and its ids are derived from
the evolution's own, so no result depends on how many rollouts run at once. Every batch leaves two rows in the store,
"learned" and "settled", and everything between them is idempotent, so that a killed evolution goes on exactly.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any, Literal, Protocol, runtime_checkable

from agentkit.aio import together
from agentkit.errors import Conflict, RunError, UserError
from agentkit.evolution.config import Candidate, EvolveConfig, Evolved
from agentkit.evolution.gate import AskWhen, GateMode, StrictGate, disjoint_groups
from agentkit.evolution.hints import earned, hinted, without_hint
from agentkit.evolution.holdout import Holdout, split
from agentkit.evolution.probation import ProbationGate, Watch
from agentkit.evolution.progress import EvolutionProgress
from agentkit.evolution.protocols import Cost, CostOf, Evolvable, OpenGate, Rollout
from agentkit.evolution.trials import Trials, hide
from agentkit.ledger import Change, Gate, Ledger, Verdict, digest
from agentkit.protocols import CallModel, Episode, Learner, Learnt, OnEvent, Recaller
from agentkit.store import Store
from agentkit.tasks import Task

AfterBatch = Callable[[int, dict[str, int]], Awaitable[None]]
"""Called with the number of tasks seen and the versions; must be safe to call again after an interruption."""

CallFor = Callable[[str], CallModel]
"""The model call of a run's learners, journalled under the run's id."""


@runtime_checkable
class BatchLearner(Protocol):
    """A learner that takes the episodes of a batch together, in one curation."""

    async def learn_batch(self, episodes: Sequence[Episode], *, key: str, call: CallModel) -> Learnt: ...


@runtime_checkable
class Exploring(Protocol):
    """An evolvable whose training runs are given something else than measured ones, such as with parts withheld at
    random. It must stay the same for a run id, and while the target stays at a version."""

    def live(self, version: int) -> Recaller: ...


class Evolution:
    """One run of `evolve`.

    Args:
        rollout: runs a task with fixed context.
        evolvables: what evolves, in the order in which their blocks stand in the prompt.
        learners: take episodes and propose changes (or write cases).
        trials: runs and remembers validation answers; also knows the labels and how to score.
        call_for: model calls for learners.
        train: tasks to learn from.
        val: tasks for the gate and for choosing a version; none of them may be in `train`.
        probes: frozen tasks that no change may make worse.
        on_event: sees progress.
        cost_of: what a run's model calls used, its learners' calls included.
        gate: decides about changes instead of the one that the configuration names.
        ask_when: changes that a person must release even though they passed the gate.
        after_batch: called at the start and after every batch.
    """

    def __init__(
        self,
        *,
        rollout: Rollout,
        evolvables: Sequence[Evolvable],
        learners: Sequence[Learner],
        trials: Trials,
        call_for: CallFor,
        train: Sequence[Task],
        val: Sequence[Task] = (),
        probes: Sequence[Task] = (),
        config: EvolveConfig | None = None,
        on_event: OnEvent = lambda name, data: None,
        cost_of: CostOf | None = None,
        gate: Gate | None = None,
        ask_when: AskWhen = lambda change: None,
        after_batch: AfterBatch | None = None,
    ) -> None:
        self.after_batch = after_batch
        self.rollout, self.evolvables, self.learners = rollout, list(evolvables), list(learners)
        self.trials, self.call_for, self.config = trials, call_for, config or EvolveConfig()
        self.mode: GateMode | Literal["own"] = "own" if gate is not None else self.config.gate_mode
        self.train, self.val, self.probes = list(train), list(val), list(probes)
        self.on_event, self.cost_of = on_event, cost_of or trials.cost_of
        self.store: Store = trials.store
        self.ledger = Ledger(self.store)
        self._check_tasks()
        self.id = self._identity(gate)
        self.selection, held_out = split(self.val, self.config.selection, seed=self.config.seed)
        self.holdout = Holdout(held_out)
        self.watch = Watch(self.evolvables, self.trials, self.ledger, evolution=self.id, policy=self.config.probation)
        self._waiting: list[str] = []
        self.gate = gate or self._gate(ask_when)
        self.progress = EvolutionProgress(self.store, self.id, self._description(gate))
        self.usage = Cost()
        self._by_target = {evolvable.target: evolvable for evolvable in self.evolvables}
        self._records: list[dict[str, Any]] = []
        self._verdicts: dict[str, dict[str, Any]] = {}
        self._candidates: list[Candidate] = []
        self._started = time.monotonic()

    async def run(self) -> Evolved:
        """Learn, choose a version, and make it the current one.

        Raises:
            RunError: it could not go on; called again with the same configuration it resumes.
        """
        start = self.progress.begin({item.target: item.version() for item in self.evolvables})
        versions = dict(start)
        self._waiting = self._left_over()
        await self._validate(versions)
        await self._border(versions)
        status = "done"
        for epoch in range(1 if self.config.online else self.config.epochs):
            versions, ended = await self._epoch(epoch, versions)
            if ended:
                status = ended
                break
        if self._candidates and self._candidates[-1].versions != versions:
            await self._validate(versions)
        chosen = self._choose(versions)
        evolved = Evolved(
            id=self.id,
            status=status,
            start=start,
            chosen=chosen,
            candidates=tuple(self._candidates),
            batches=tuple(self._records),
            verdicts=self._verdicts,
            usage=self.usage,
        )
        self.progress.finish(evolved.to_json())
        self.on_event("evolved", {"status": status, "chosen": chosen})
        return evolved

    def _left_over(self) -> list[str]:
        """What earlier evolutions left in quarantine, oldest first, as it was when this one began."""
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
        """One pass over the training tasks; returns the versions after it and why learning must end, if it must."""
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
            await self.after_batch(sum(len(record["tasks"]) for record in self._records), dict(versions))

    async def _batch(
        self, epoch: int, index: int, tasks: Sequence[Task], versions: dict[str, int], *, last: bool
    ) -> dict[str, int]:
        name = f"{self.id}-e{epoch}-b{index}"
        learned = self.progress.recorded("learned")
        if learned is None:
            learned = self.progress.record("learned", await self._learn(name, tasks, versions))
        settled = self.progress.recorded("settled")
        if settled is None:
            settled = await self._settle(name, tasks, learned["proposals"], last=last)
            settled = self.progress.record("settled", settled)
        self.usage += Cost.from_json(learned["usage"]) + Cost.from_json(settled["usage"])
        self._verdicts |= settled["verdicts"]
        self._waiting = settled["waiting"]
        self._records.append({"epoch": epoch, "batch": index, **learned, **settled, "usage": self.usage.to_json()})
        return dict(settled["versions"])

    async def _learn(self, name: str, tasks: Sequence[Task], versions: dict[str, int]) -> dict[str, Any]:
        """Run the batch, then learn from its episodes in order."""
        recallers = [
            item.live(versions[item.target]) if isinstance(item, Exploring) else item.at(versions[item.target])
            for item in self.evolvables
        ]
        runs = (self._episode(task, recallers, f"{name}-{number}") for number, task in enumerate(tasks))
        episodes = await together(runs)
        good = [episode for episode in episodes if isinstance(episode, Episode)]
        if not good and len(tasks) > 1:
            raise RunError(f"all {len(tasks)} runs of a batch failed; the first: {episodes[0]}")
        attempts = await together(self._hinted(episode) for episode in self._unsolved(good))
        solved = [found for _, found in attempts if found is not None]
        ids: list[str] = []
        notes: list[dict[str, Any]] = []
        for learner in self.learners:
            for key, learnt in await self._teach(learner, [*good, *solved], name):
                ids += [change for change in learnt.changes if change not in ids]
                notes.append({"learner": learner.name, "key": key, "status": learnt.status, "note": learnt.note})
        proposals = [id for id in ids if self._open(self.ledger.get(id))]
        scores = [await self._truth(task, episode) for task, episode in zip(tasks, episodes, strict=True)]
        runs_used = [f"{name}-{number}" for number in range(len(tasks))] + [run for runs, _ in attempts for run in runs]
        usage = sum((self.cost_of(run_id) for run_id in [*runs_used, name]), Cost())
        return {
            "tasks": [task.id for task in tasks],
            "scores": scores,
            "failed": [str(episode) for episode in episodes if not isinstance(episode, Episode)],
            "categories": [str(task.metadata.get("category", "")) for task in tasks],
            "proposals": proposals,
            "notes": notes,
            "solved with a hint": [item.task.id for item in solved],
            "usage": usage.to_json(),
            "at": dict(versions),
        }

    async def _episode(
        self, task: Task, recallers: Sequence[Recaller], key: str, sample: int = 0
    ) -> Episode | RunError:
        """A run, or the error that broke it off: one bad task must not end a night's work."""
        async with self.trials.running:
            try:
                return await self.rollout(hide(task, self.config.labels), recallers=recallers, key=key, sample=sample)
            except RunError as error:
                return error

    def _unsolved(self, episodes: Sequence[Episode]) -> list[Episode]:
        """What was answered wrongly, where hints are allowed."""
        if not self.config.hints:
            return []
        wrong = [episode for episode in episodes if episode.score is not None and episode.score < 1]
        return [episode for episode in wrong if episode.task.target is not None]

    async def _hinted(self, wrong: Episode) -> tuple[list[str], Episode | None]:
        """The runs of further attempts that are told the answer, and the first whose work led to it. They are given no
        learnt context: an outcome that a hint brought about says nothing about a bullet or a case."""
        runs, task = [], wrong.task
        for attempt in range(self.config.hints):
            runs.append(f"{wrong.run_id}-h{attempt}")
            tried = await self._episode(hinted(task, wrong), [], runs[-1], sample=attempt)
            if isinstance(tried, Episode) and tried.score == 1 and earned(tried, task):
                return runs, without_hint(tried, task)
        return runs, None

    async def _teach(self, learner: Learner, episodes: Sequence[Episode], name: str) -> list[tuple[str, Learnt]]:
        if isinstance(learner, BatchLearner):
            lessons = [(name, learner.learn_batch(episodes, key=name, call=self.call_for(name)))] if episodes else []
        else:
            lessons = [(item.run_id, learner.learn(item, call=self.call_for(item.run_id))) for item in episodes]
        return [(key, await _lesson(lesson)) for key, lesson in lessons]

    def _open(self, change: Change) -> bool:
        """Whether the gate is to decide about a change; about what the lint holds only a person can."""
        undecided = change.status in ("proposed", "waiting", "quarantined")
        return change.target in self._by_target and undecided and not self.ledger.held(change.id)

    async def _truth(self, task: Task, episode: Episode | RunError) -> float | None:
        if not isinstance(episode, Episode):
            return 0.0
        feedback = await self.trials.check(task, episode.answer)
        return None if feedback is None else feedback.score

    async def _settle(
        self, name: str, tasks: Sequence[Task], proposals: Sequence[str], *, last: bool
    ) -> dict[str, Any]:
        """Send proposals through the gate and apply what passes."""
        made = self.trials.made
        watched = await self._look_after(tasks, name, last=last)
        gate = ProbationGate(lambda: 0, 0) if last and self.mode == "probation" else self.gate
        changes = [self.ledger.get(id) for id in dict.fromkeys([*self._waiting, *proposals])]
        verdicts: dict[str, Verdict] = {}
        for number, group in enumerate(disjoint_groups(changes, self.evolvables)):
            decided = await gate.decide(group, key=f"{name}/{number}")
            for change in group:
                verdicts[change.id] = self._carry_out(change, decided[change.id])
        waits = self.mode == "probation" and not last
        used = Cost(**{key: value - getattr(made, key) for key, value in vars(self.trials.made).items()})
        return {
            "verdicts": {id: verdict.to_json() for id, verdict in verdicts.items()},
            "watched": watched,
            "waiting": [id for id, verdict in verdicts.items() if waits and verdict.decision == "quarantine"],
            "versions": {item.target: item.version() for item in self.evolvables},
            "usage": used.to_json(),
        }

    def _carry_out(self, change: Change, verdict: Verdict) -> Verdict:
        if verdict.decision == "accept":
            try:
                self._by_target[change.target].apply(change, verdict)
                return verdict
            except Conflict as error:
                verdict = Verdict(decision="reject", reason=f"conflict: {error}", evidence=verdict.evidence)
        self.ledger.decide(change.id, verdict)
        return verdict

    async def _look_after(self, tasks: Sequence[Task], name: str, *, last: bool) -> list[dict[str, Any]]:
        """Watch the changes on probation, before new ones may join them; none outlives the one who watches."""
        if self.mode != "probation":
            return []
        watched = await self.watch.watch(tasks, self._accepted(), key=name)
        return watched + (await self.watch.end(tasks, self._accepted(), key=f"{name}:end") if last else [])

    def _accepted(self) -> list[str]:
        return [id for id, verdict in self._verdicts.items() if verdict["decision"] == "accept"]

    async def _validate(self, versions: dict[str, int]) -> None:
        """Score a state on the selection tasks and remember it as a candidate."""
        if self.config.online or not self.selection:
            return
        found = self.progress.recorded("validated")
        if found is None:
            made = self.trials.made
            recallers = [item.at(versions[item.target]) for item in self.evolvables]
            trials = await self.trials.many(self.selection, recallers)
            scores = [score or 0.0 for score in await self.trials.scores(self.selection, trials)]
            used = Cost(**{key: value - getattr(made, key) for key, value in vars(self.trials.made).items()})
            data = {"versions": dict(versions), "scores": scores, "usage": used.to_json()}
            found = self.progress.record("validated", data)
        self.usage += Cost.from_json(found["usage"])
        scores = found["scores"]
        mean = sum(scores) / len(scores) if scores else None
        candidate = Candidate(step=len(self._records), versions=found["versions"], score=mean, scores=tuple(scores))
        self._candidates.append(candidate)
        self.on_event("validated", {"versions": found["versions"], "score": mean, "tasks": len(scores)})

    def _choose(self, current: dict[str, int]) -> dict[str, int]:
        """Make the best candidate current: the earliest of equals, so that the start wins where nothing was gained."""
        if not self._candidates:
            return dict(current)
        best = max(self._candidates, key=lambda item: (item.score or 0.0, -item.step))
        for item in self.evolvables:
            version = best.versions[item.target]
            if current[item.target] != version:
                item.rollback(version, key=f"{self.id}:choose:{item.target}", reason="chosen on validation")
        return dict(best.versions)

    def _tell(self, epoch: int, index: int, batches: int) -> None:
        scores = [score for record in self._records for score in record["scores"] if score is not None]
        decisions = [verdict["decision"] for verdict in self._verdicts.values()]
        done = len(self._records)
        total = batches * (1 if self.config.online else self.config.epochs)
        elapsed = time.monotonic() - self._started
        self.on_event(
            "batch",
            {
                "epoch": epoch,
                "batch": index,
                "done": done,
                "total": total,
                "accuracy": sum(scores) / len(scores) if scores else None,
                "accepted": decisions.count("accept"),
                "rejected": decisions.count("reject"),
                "quarantined": decisions.count("quarantine"),
                "tokens": self.usage.tokens,
                "seconds_left": elapsed / done * (total - done),
            },
        )

    def _batches(self, epoch: int) -> list[list[Task]]:
        tasks = list(self.train)
        if not self.config.online:  # online tasks have an order of their own
            random.Random(f"{self.config.seed}/{epoch}").shuffle(tasks)
        return [tasks[begin : begin + self.config.batch] for begin in range(0, len(tasks), self.config.batch)]

    def _check_tasks(self) -> None:
        if self.config.hints and self.config.labels != "gold":
            raise UserError(f"hints tell the right answer, which labels {self.config.labels!r} keep from learning")
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

    def _description(self, gate: Gate | None) -> dict[str, Any]:
        files = {"train": self.train, "val": self.val, "probes": self.probes}
        hashes = {
            name: digest([hide(task, self.config.labels).model_dump() for task in tasks])[:16]
            for name, tasks in files.items()
        }
        targets = [item.target for item in self.evolvables]
        own = {} if gate is None else {"own_gate": type(gate).__qualname__}
        return {**asdict(self.config), **own, "tasks": hashes, "targets": targets, "agent": self.trials.fingerprint}

    def _identity(self, gate: Gate | None) -> str:
        return "ev" + digest(self._description(gate))[:10]


async def _lesson(lesson: Awaitable[Learnt]) -> Learnt:
    """What was learnt; a lesson that failed is noted, for a loop that quietly learns nothing is the usual defect."""
    try:
        return await lesson
    except RunError as error:
        return Learnt(status="nothing", note=f"failed: {error}")
