"""The seams of evolution: what runs a task, what evolves, and what decides about a change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from agentkit.json_types import JsonObject
from agentkit.ledger import Change, Verdict
from agentkit.protocols import Block, CallModel, Episode, Recaller
from agentkit.tasks import Feedback, Task


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What model calls used. `seconds` is their own time, not that of a clock on the wall."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Cost) -> Cost:
        return Cost(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    def __sub__(self, earlier: Cost) -> Cost:
        """What was used since."""
        return Cost(**{name: value - getattr(earlier, name) for name, value in vars(self).items()})

    def to_json(self) -> JsonObject:
        return {**vars(self), "tokens": self.tokens}

    @classmethod
    def from_json(cls, data: JsonObject) -> Self:
        return cls(**{name: value for name, value in data.items() if name != "tokens"})


class Harness(Protocol):
    """The one seam between the loops and whatever solves tasks: `AgentHarness` for an agent."""

    @property
    def fingerprint(self) -> str:
        """Names everything, save what is learned, that can change an answer. Trials with equal ones are shared."""
        ...

    async def rollout(self, task: Task, *, recallers: Sequence[Recaller], key: str, sample: int = 0) -> Episode:
        """Run one task with fixed context, and learn nothing.

        Args:
            task: as the run may see it; without labels it has no target.
            recallers: the context, already fixed for this run.
            key: at most 64 characters; the run's id. Called again with the same key, a finished run is returned from
                the store and an interrupted one is resumed.
            sample: 0 is the run as it is measured; other numbers are other answers to the same prompt, where the model
                can give any.

        Raises:
            RunError: the run failed.
        """
        ...

    async def score(self, task: Task, answer: str | None) -> Feedback | None:
        """Score an answer against the task's target or checker; None where the task has neither."""
        ...

    def cost(self, run_id: str) -> Cost:
        """What the model calls of a run, its learners' calls included, have used so far."""
        ...

    def learner_call(self, run_id: str) -> CallModel:
        """The model call of a run's learners, journalled under the run's id."""
        ...


class Evolvable(Protocol):
    """Anything that evolves: a playbook, a retrieval policy, …"""

    @property
    def target(self) -> str:
        """The ledger target, such as `playbook:default`."""
        ...

    def version(self) -> int:
        """The current version."""
        ...

    def at(self, version: int) -> Recaller:
        """What a run is given at a version; the same task always gets the same block from it."""
        ...

    def with_changes(self, changes: Sequence[Change]) -> Recaller:
        """What a run would be given with these changes on top of the current version; nothing is written.

        Raises:
            Conflict: a change can't be applied to the current version.
        """
        ...

    def without(self, change: Change) -> Recaller:
        """What a run would be given had this applied change never been made; nothing is written.

        Raises:
            Conflict: a later change builds on it.
        """
        ...

    def scope(self, change: Change) -> frozenset[str]:
        """What the change touches. Changes of one target whose scopes overlap are never tested as one group."""
        ...

    def apply(self, change: Change, verdict: Verdict) -> Change:
        """Apply a proposed change with its verdict; calling it again does nothing.

        Raises:
            Conflict: the target has moved on in a way that the change can't follow.
        """
        ...

    def withdraw(self, change: Change, *, reason: str) -> Change:
        """Undo one applied change by a new change, and mark it withdrawn."""
        ...

    def rollback(self, version: int, *, key: str, reason: str) -> Change:
        """Make an earlier version current by a new change."""
        ...


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """A recaller that gives one block, made beforehand."""

    name: str
    block: Block | None

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        return self.block


class OpenGate:
    """Accepts everything: `mode="off"`, and what a system without a gate does."""

    async def decide(self, changes: Sequence[Change], *, key: str) -> dict[str, Verdict]:
        return {change.id: Verdict(decision="accept", reason="not tested: the gate is off") for change in changes}


class DeferringGate:
    """Holds every change back until its batch is tested: what learners are given inside a loop."""

    async def decide(self, changes: Sequence[Change], *, key: str) -> dict[str, Verdict]:
        reason = "waits for the test of its batch"
        return {change.id: Verdict(decision="quarantine", reason=reason) for change in changes}
