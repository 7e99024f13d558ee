"""Planted worlds: tasks, lessons and a reflector without any model, in which the true effect of every lesson is known.

A task is solved or not by a fixed draw. A good lesson solves a known share of the unsolved tasks, a harmful one breaks
a known share of the solved, a neutral one does nothing. With `noise`, answers also flip by chance whenever the prompt
changes at all, as a real model's do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agentkit.errors import Conflict
from agentkit.evolution.protocols import Cost
from agentkit.ledger import Change, Ledger, Verdict
from agentkit.protocols import Block, CallModel, Episode, Learnt, Recaller
from agentkit.store import Store
from agentkit.tasks import Feedback, Task


def draw(*parts: object) -> float:
    """A number in [0, 1) fixed by the parts."""
    return int(hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:13], 16) / 16**13


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A lesson with a known effect on accuracy, such as +0.05. `scope` limits it to one of the world's domains."""

    id: str
    effect: float
    scope: int | None = None

    def line(self) -> str:
        return f"[{self.id}] {self.effect:+.3f} {'all' if self.scope is None else self.scope}"


@dataclass(frozen=True, kw_only=True)
class World:
    """A distribution of tasks.

    Attributes:
        base: accuracy without lessons.
        noise: chance that an answer flips whenever its prompt changes.
        domains: each task belongs to one.
    """

    seed: int = 0
    base: float = 0.5
    noise: float = 0.0
    domains: int = 10

    def tasks(self, count: int, *, prefix: str, flipped: float = 0.0) -> list[Task]:
        """Tasks whose right answer is "yes"; a share of the labels is flipped."""
        return [
            Task(
                id=f"{prefix}{number}",
                input=f"{prefix}{number} of world {self.seed}",
                target="no" if draw(self.seed, prefix, number, "label") < flipped else "yes",
                metadata={"category": str(self.domain(f"{prefix}{number}"))},
            )
            for number in range(count)
        ]

    def domain(self, task_id: str) -> int:
        return int(draw(self.seed, task_id, "domain") * self.domains)

    def solves(self, task_id: str, lessons: Sequence[str], text: str) -> bool:
        """Whether a prompt with these lesson lines solves a task."""
        luck, solved = draw(self.seed, task_id), False
        solved = luck < self.base
        for line in sorted(lessons):
            name, effect, scope = line.split()
            if scope != "all" and int(scope) != self.domain(task_id):
                continue
            size, hit = float(effect), draw(self.seed, task_id, name)
            if size > 0 and not solved:
                solved = hit < size / (1 - self.base)
            elif size < 0 and solved:
                solved = not hit < -size / self.base
        return solved != (draw(self.seed, task_id, text, "noise") < self.noise)

    def accuracy(self, lessons: Sequence[Lesson], tasks: Sequence[Task]) -> float:
        """The true accuracy with these lessons, labels aside and without answer noise."""
        lines = [lesson.line() for lesson in lessons]
        quiet = World(seed=self.seed, base=self.base, domains=self.domains)
        return sum(quiet.solves(task.id, lines, "") for task in tasks) / len(tasks)


@dataclass
class WorldHarness:
    """Solves the tasks of a world; counts its runs."""

    world: World
    calls: int = 0
    prompts: list[str] = field(default_factory=list)
    keep_prompts: bool = False
    fingerprint: str = ""

    async def rollout(self, task: Task, *, recallers: Sequence[Recaller], key: str, sample: int = 0) -> Episode:
        blocks = [block for item in recallers if (block := await item.recall(task, run_id=key)) is not None]
        text = "\n".join(block.text for block in blocks)
        self.calls += 1
        if self.keep_prompts:
            self.prompts.append(f"{text}\n\n{task.input}")
        lines = [line for line in text.split("\n") if line.startswith("[")]
        answer = "yes" if self.world.solves(task.id, lines, text) else "no"
        known = () if task.target is None else (Feedback(channel="label", score=float(answer == task.target)),)
        judge = Feedback(channel="judge", score=0.5 + 0.4 * (draw(key, "judge") - 0.5))
        return Episode(
            run_id=key,
            task=task,
            labels="gold",
            answer=answer,
            feedback=(*known, judge),
            blocks=tuple(blocks),
            model="world",
        )

    async def score(self, task: Task, answer: str | None) -> Feedback | None:
        return await check(task, answer)

    def cost(self, run_id: str) -> Cost:
        return cost_of(run_id)

    def learner_call(self, run_id: str) -> CallModel:
        return no_calls(run_id)


async def check(task: Task, answer: str | None) -> Feedback | None:
    return None if task.target is None else Feedback(channel="label", score=float(answer == task.target))


def cost_of(run_id: str) -> Cost:
    return Cost(calls=1, input_tokens=100, output_tokens=10)


@dataclass(frozen=True)
class _Page:
    """The lessons of one state as a recaller."""

    lessons: tuple[Lesson, ...]
    target: str
    version: int
    name: str = "playbook"
    scoped: World | None = None

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        shown = [item for item in self.lessons if self._fits(item, task)]
        text = "\n".join(item.line() for item in shown)
        return Block(kind="playbook", target=self.target, version=self.version, text=text) if shown else None

    def _fits(self, lesson: Lesson, task: Task) -> bool:
        return self.scoped is None or lesson.scope is None or lesson.scope == self.scoped.domain(task.id)


class RuleBook:
    """The smallest evolvable: lessons kept in the ledger alone.

    Args:
        scoped: show a task only the lessons of its own domain of this world.
    """

    def __init__(self, store: Store, name: str = "rules", *, scoped: World | None = None) -> None:
        self.ledger, self.target, self.scoped = Ledger(store), f"rulebook:{name}", scoped

    def version(self) -> int:
        return self.ledger.version(self.target)

    def lessons(self, version: int | None = None) -> tuple[Lesson, ...]:
        changes = self.ledger.applied(self.target, upto=self.version() if version is None else version)
        return tuple(_replay(changes).values())

    def at(self, version: int) -> Recaller:
        return self._page(self.lessons(version), version)

    def with_changes(self, changes: Sequence[Change]) -> Recaller:
        version = self.version()
        state = {lesson.id: lesson for lesson in self.lessons(version)}
        for change in changes:
            state = _apply(state, change.operations)
        return self._page(tuple(state.values()), version)

    def without(self, change: Change) -> Recaller:
        gone = {operation["id"] for operation in change.operations if operation["op"] == "add"}
        return self._page(tuple(item for item in self.lessons() if item.id not in gone), self.version())

    def scope(self, change: Change) -> frozenset[str]:
        return frozenset(str(operation.get("id", "*")) for operation in change.operations)

    def apply(self, change: Change, verdict: Verdict) -> Change:
        return self.ledger.apply(change.id, lambda connection, applied: None, verdict=verdict)

    def withdraw(self, change: Change, *, reason: str) -> Change:
        gone = tuple({"op": "remove", "id": item["id"]} for item in change.operations if item["op"] == "add")
        undo = self._change(f"withdraw:{change.id}", gone, reason)
        done = self.ledger.commit(undo, lambda connection, applied: None)
        self.ledger.withdraw(change.id, reason=reason)
        return done

    def rollback(self, version: int, *, key: str, reason: str) -> Change:
        known = tuple({"op": "restore", "lessons": [vars(item) for item in self.lessons(version)]} for _ in (1,))
        return self.ledger.commit(self._change(key, known, reason), lambda connection, applied: None)

    def _change(self, key: str, operations: tuple[dict[str, Any], ...], note: str) -> Change:
        return Change(
            key=key,
            kind="rulebook",
            target=self.target,
            base=self.version(),
            operations=operations,
            role="gate",
            note=note,
        )

    def _page(self, lessons: tuple[Lesson, ...], version: int) -> _Page:
        return _Page(lessons, self.target, version, scoped=self.scoped)


def _replay(changes: Sequence[Change]) -> dict[str, Lesson]:
    state: dict[str, Lesson] = {}
    for change in changes:
        state = _apply(state, change.operations)
    return state


def _apply(state: dict[str, Lesson], operations: Sequence[dict[str, Any]]) -> dict[str, Lesson]:
    state = dict(state)
    for operation in operations:
        if operation["op"] == "add":
            if operation["id"] in state:
                raise Conflict(f"lesson {operation['id']} is there already")
            fields = {name: operation[name] for name in ("id", "effect", "scope")}
            state[operation["id"]] = Lesson(**fields)
        elif operation["op"] == "remove":
            state.pop(operation["id"], None)
        else:
            state = {item["id"]: Lesson(**item) for item in operation["lessons"]}
    return state


@dataclass(frozen=True)
class Reflector:
    """Proposes one lesson for each episode it finds something in.

    Args:
        book: what it writes to.
        mix: (share, effect) of the lessons it finds: `((0.2, 0.05), (0.8, 0.0))` finds a good one in five times.
        rate: share of episodes from which it proposes anything.
    """

    book: RuleBook
    mix: tuple[tuple[float, float], ...]
    rate: float = 1.0
    seed: int = 0
    name: str = "reflector"

    async def learn(self, episode: Episode, *, call: CallModel) -> Learnt:
        if draw(self.seed, episode.run_id, "rate") >= self.rate:
            return Learnt(status="nothing")
        luck, effect = draw(self.seed, episode.run_id, "mix"), 0.0
        for share, size in self.mix:
            if luck < share:
                effect = size
                break
            luck -= share
        name = hashlib.sha256(f"{self.seed}/{episode.run_id}".encode()).hexdigest()[:8]
        scope = None if self.book.scoped is None else self.book.scoped.domain(episode.task.id)
        operation = {"op": "add", "id": name, "effect": effect, "scope": scope}
        change = Change(
            key=f"{episode.run_id}:rules",
            kind="rulebook",
            target=self.book.target,
            base=self.book.version(),
            operations=(operation,),
            role="reflector",
            run_id=episode.run_id,
        )
        return Learnt(status="waiting", changes=(self.book.ledger.propose(change).id,))


def no_calls(run_id: str) -> CallModel:
    """A world has no models."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError(f"a planted world called a model ({run_id})")

    return refuse
