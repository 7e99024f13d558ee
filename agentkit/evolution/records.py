"""The stored records of an evolution: the two halves of a batch, as values that can be read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

from agentkit.evolution.protocols import Cost
from agentkit.json_types import JsonObject
from agentkit.ledger import Verdict


@dataclass(frozen=True, kw_only=True)
class LessonNote:
    """What a learner reported about an episode or a batch; `key` names the run or the batch."""

    learner: str
    key: str
    status: str
    note: str


@dataclass(frozen=True, kw_only=True)
class LearnedHalf:
    """A batch that was run and learnt from.

    Attributes:
        tasks: their ids, in order; `scores` and `categories` are in the same order.
        scores: of the runs, before anything was learnt from them; None if a run could not be scored.
        failed: the errors of runs that failed.
        proposals: ids of the changes for the gate.
        hinted: ids of the tasks that were solved with a hint.
        usage: of the runs and the lessons.
        at: the version of each target during the runs.
    """

    tasks: tuple[str, ...]
    scores: tuple[float | None, ...]
    categories: tuple[str, ...]
    failed: tuple[str, ...]
    proposals: tuple[str, ...]
    notes: tuple[LessonNote, ...]
    hinted: tuple[str, ...]
    usage: Cost
    at: Mapping[str, int]

    def to_json(self) -> JsonObject:
        return {**asdict(self), "usage": self.usage.to_json()}

    @classmethod
    def from_json(cls, row: JsonObject) -> Self:
        lists = ("tasks", "scores", "categories", "failed", "proposals")
        return cls(
            **{name: tuple(row[name]) for name in lists},
            notes=tuple(LessonNote(**note) for note in row["notes"]),
            hinted=tuple(row["hinted"] if "hinted" in row else row["solved with a hint"]),  # the key in older versions
            usage=Cost.from_json(row["usage"]),
            at=row["at"],
        )


@dataclass(frozen=True, kw_only=True)
class Watched:
    """One check of a change on probation.

    Attributes:
        outcome: "watching", "released" or "worse".
        differences: score with the change minus score without, for the pairs that this check added.
        evidence: of the test over all pairs so far.
    """

    change: str
    outcome: str
    differences: tuple[float, ...]
    evidence: JsonObject

    def to_json(self) -> JsonObject:
        added = {"change": self.change, "outcome": self.outcome, "differences": list(self.differences)}
        return {**self.evidence, **added, "tasks": len(self.differences)}

    @classmethod
    def from_json(cls, row: JsonObject) -> Self:
        return cls(
            change=row["change"], outcome=row["outcome"], differences=tuple(row["differences"]), evidence=dict(row)
        )


@dataclass(frozen=True, kw_only=True)
class SettledHalf:
    """A batch whose proposals have been decided.

    Attributes:
        verdicts: by change id, in order.
        watched: the results of checking the changes on probation.
        waiting: ids of changes that go to the gate again with the next batch.
        versions: of each target afterwards.
        usage: of the gate and of watching.
    """

    verdicts: Mapping[str, Verdict]
    watched: tuple[Watched, ...]
    waiting: tuple[str, ...]
    versions: Mapping[str, int]
    usage: Cost

    def to_json(self) -> JsonObject:
        return {
            "verdicts": {id: verdict.to_json() for id, verdict in self.verdicts.items()},
            "watched": [item.to_json() for item in self.watched],
            "waiting": list(self.waiting),
            "versions": dict(self.versions),
            "usage": self.usage.to_json(),
        }

    @classmethod
    def from_json(cls, row: JsonObject) -> Self:
        return cls(
            verdicts={id: Verdict(**verdict) for id, verdict in row["verdicts"].items()},
            watched=tuple(Watched.from_json(item) for item in row["watched"]),
            waiting=tuple(row["waiting"]),
            versions=row["versions"],
            usage=Cost.from_json(row["usage"]),
        )


@dataclass(frozen=True, kw_only=True)
class BatchRecord:
    """One batch of an evolution; `usage` is the total of the whole evolution up to the end of this batch."""

    epoch: int
    batch: int
    learned: LearnedHalf
    settled: SettledHalf
    usage: Cost

    def to_json(self) -> JsonObject:
        halves = self.learned.to_json() | self.settled.to_json()
        return {"epoch": self.epoch, "batch": self.batch, **halves, "usage": self.usage.to_json()}
