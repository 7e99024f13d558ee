"""The interfaces of evolution: what runs a task, what evolves, and what decides about a change."""

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
    """The usage of model calls. `seconds` is the calls' own time rather than elapsed time."""

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
        """What was used since an earlier state."""
        return Cost(**{name: value - getattr(earlier, name) for name, value in vars(self).items()})

    def to_json(self) -> JsonObject:
        return {**vars(self), "tokens": self.tokens}

    @classmethod
    def from_json(cls, data: JsonObject) -> Self:
        return cls(**{name: value for name, value in data.items() if name != "tokens"})


class Harness(Protocol):
    """The only interface between the loops and what solves tasks; for an agent it is `AgentHarness`."""

    @property
    def fingerprint(self) -> str:
        """Identifies everything that can change an answer, except what is learnt. Trials with equal fingerprints are
        shared."""
        ...

    async def rollout(self, task: Task, *, recallers: Sequence[Recaller], key: str, sample: int = 0) -> Episode:
        """Run one task with fixed context, without learning.

        Args:
            task: as the run may see it; without labels it has no target.
            recallers: the context, already fixed for this run.
            key: the run's id, at most 64 characters. Called again with the same key, a finished run is read from the
                store and an interrupted one is resumed.
            sample: 0 is the measured run; other numbers are further answers to the same prompt, if the model can vary.

        Raises:
            RunError: the run failed.
        """
        ...

    async def score(self, task: Task, answer: str | None) -> Feedback | None:
        """Score an answer against the task's target or checker; None if the task has neither."""
        ...

    def cost(self, run_id: str) -> Cost:
        """What the model calls of a run have used so far, including those of its learners."""
        ...

    def learner_call(self, run_id: str) -> CallModel:
        """The model call for a run's learners, journalled under the run's id."""
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
        """What runs are given at a version; the same task always gets the same block from it."""
        ...

    def with_changes(self, changes: Sequence[Change]) -> Recaller:
        """What a run would be given with these changes on top of the current version; nothing is written.

        Raises:
            Conflict: a change can't be applied to the current version.
        """
        ...

    def without(self, change: Change) -> Recaller:
        """What a run would be given if this applied change had never been made; nothing is written.

        Raises:
            Conflict: a later change builds on it.
        """
        ...

    def scope(self, change: Change) -> frozenset[str]:
        """The parts that the change touches. Changes of one target with overlapping scopes are never tested as one
        group."""
        ...

    def apply(self, change: Change, verdict: Verdict) -> Change:
        """Apply a proposed change with its verdict; a second call does nothing.

        Raises:
            Conflict: the target has since changed in a way that the change is incompatible with.
        """
        ...

    def withdraw(self, change: Change, *, reason: str) -> Change:
        """Undo one applied change by a new change, and mark it as withdrawn."""
        ...

    def rollback(self, version: int, *, key: str, reason: str) -> Change:
        """Make an earlier version current by a new change."""
        ...


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """A recaller that always gives the same block."""

    name: str
    block: Block | None

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        return self.block


class OpenGate:
    """Accepts everything: `mode="off"`, and what a system without a gate does."""

    async def decide(self, changes: Sequence[Change], *, key: str) -> dict[str, Verdict]:
        return {change.id: Verdict(decision="accept", reason="not tested: the gate is off") for change in changes}


class DeferringGate:
    """Holds every change back until its batch is tested; learners inside a loop are given this gate."""

    async def decide(self, changes: Sequence[Change], *, key: str) -> dict[str, Verdict]:
        reason = "waits for the test of its batch"
        return {change.id: Verdict(decision="quarantine", reason=reason) for change in changes}
