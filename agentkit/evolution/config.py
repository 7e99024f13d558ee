"""The configuration and the result of an evolution, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from agentkit.evolution.gate import GateMode, GatePolicy
from agentkit.evolution.probation import ProbationPolicy
from agentkit.evolution.protocols import Cost
from agentkit.evolution.records import BatchRecord
from agentkit.json_types import JsonObject
from agentkit.ledger import Verdict
from agentkit.tasks import Labels


@dataclass(frozen=True, kw_only=True)
class EvolveLimits:
    """Limits for a whole evolution, after which it stops learning; None means no limit."""

    calls: int | None = None
    tokens: int | None = None
    cost: float | None = None
    seconds: float | None = None

    def reached(self, used: Cost, seconds: float) -> str | None:
        """The first limit that has been reached."""
        now = {"calls": used.calls, "tokens": used.tokens, "cost": used.cost, "seconds": seconds}
        return next((name for name, limit in asdict(self).items() if limit is not None and now[name] >= limit), None)


@dataclass(frozen=True, kw_only=True)
class EvolveConfig:
    """The configuration of an evolution. Its hash is part of the evolution's id: an equal configuration resumes or
    returns the same evolution.

    Attributes:
        name: distinguishes evolutions that are otherwise identical.
        epochs: passes over the training tasks (1 if online).
        batch: tasks run with the same frozen context before learning from them; independent of concurrency.
        online: score each batch before learning from it, and don't choose a version at the end.
        mode: of the gate; None means "strict" offline and "probation" online.
        labels: "gold" shows learners the target, "check" only whether an answer was right, "none" neither.
        hints: how often a wrongly answered training task is retried with its right answer as a hint (see
            `agentkit.evolution.hints`); needs gold labels.
        seed: determines the order of the tasks and the split of the validation tasks.
        validate_every: number of batches between validations; 0 validates after each epoch.
        selection: the share of the validation tasks that the gate does not use, reserved for choosing the final
            version.
        patience: epochs without an accepted change after which it stops early; 0 never stops early.
        retest: also test the changes that earlier evolutions left in quarantine.
    """

    name: str = ""
    epochs: int = 1
    batch: int = 8
    online: bool = False
    mode: GateMode | None = None
    labels: Labels = "gold"
    hints: int = 0
    seed: int = 0
    validate_every: int = 0
    selection: float = 0.3
    patience: int = 1
    retest: bool = False
    limits: EvolveLimits = field(default_factory=EvolveLimits)
    gate: GatePolicy = field(default_factory=GatePolicy)
    probation: ProbationPolicy = field(default_factory=ProbationPolicy)

    @property
    def gate_mode(self) -> GateMode:
        return self.mode or ("probation" if self.online else "strict")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A state that may be chosen: the version of each target, and the score on the selection tasks."""

    step: int
    versions: dict[str, int]
    score: float | None
    scores: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Evolved:
    """The result of an evolution.

    Attributes:
        status: "done", or why learning ended early: "budget: tokens", "converged".
        start, chosen: the version of each target at the start, and the chosen one.
        candidates: every state that was validated, the initial one first.
        batches: the learning curve: one record per batch, with scores before learning, proposals, verdicts and usage.
        verdicts: all verdicts by change id, in order.
        usage: of rollouts, learning and the gate together.
    """

    id: str
    status: str
    start: dict[str, int]
    chosen: dict[str, int]
    candidates: tuple[Candidate, ...]
    batches: tuple[BatchRecord, ...]
    verdicts: Mapping[str, Verdict]
    usage: Cost

    def to_json(self) -> JsonObject:
        return {
            "id": self.id,
            "status": self.status,
            "start": dict(self.start),
            "chosen": dict(self.chosen),
            "candidates": [asdict(candidate) for candidate in self.candidates],
            "batches": [record.to_json() for record in self.batches],
            "verdicts": {id: verdict.to_json() for id, verdict in self.verdicts.items()},
            "usage": self.usage.to_json(),
        }
