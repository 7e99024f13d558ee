"""The record of a playbook's use: pinned versions, exposures, pending lessons, and learning steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from agentkit.json_types import JsonObject
from agentkit.playbooks.credit import Cell, Effect, estimate_effects
from agentkit.protocols import Learnt, Offer
from agentkit.store import Store
from agentkit.store.base import now
from agentkit.store.playbooks import ExposureRow, LearningStepRow, LessonRow, PlaybookRecallRow


@dataclass(frozen=True, kw_only=True)
class LearningStep:
    """The outcome of learning from one run."""

    run_id: str
    learnt: Learnt
    reflected: bool = False
    parsed: bool = True
    operations: int = 0
    votes: int = 0


class UsageLog:
    """Evidence about one playbook. Every write is idempotent by run."""

    def __init__(self, store: Store, target: str) -> None:
        self.store, self.target = store, target

    def pin(self, run_id: str, version: int) -> int:
        """The version that the run was given first; this one, if it is the first time."""
        row = {"target": self.target, "run_id": run_id[:64], "version": version, "created_at": now()}
        query = select(PlaybookRecallRow.version).where(
            PlaybookRecallRow.target == self.target, PlaybookRecallRow.run_id == run_id[:64]
        )
        with self.store.write() as connection:
            self.store.insert_new(connection, PlaybookRecallRow, [row])
            return connection.execute(query).scalar_one()

    def expose(self, run_id: str, offers: Sequence[Offer], score: float) -> None:
        """Record a run's score for each bullet that could have been withheld from it, weighted by similarity."""
        fixed = {"target": self.target, "run_id": run_id[:64], "score": score, "created_at": now()}
        ranked = sorted(offers, key=lambda offer: (-(offer.score or 0.0), offer.id))
        rows = [
            {**fixed, "bullet_id": o.id, "shown": o.shown, "probability": o.probability, "weight": rank**-2.0}
            for rank, o in enumerate(ranked, 1)
            if o.probability < 1
        ]
        if rows:
            statement = self.store.insert(ExposureRow).on_conflict_do_nothing()
            self.store.transaction(lambda connection: connection.execute(statement, rows))

    def regrade(self, connection: Connection, run_id: str, score: float) -> None:
        """Correct a run's score, inside the caller's transaction."""
        mine = (ExposureRow.target.in_([self.target, f"trial:{self.target}"]), ExposureRow.run_id == run_id[:64])
        connection.execute(update(ExposureRow).where(*mine).values(score=score))

    def cells(self) -> list[Cell]:
        row = ExposureRow
        sums = (func.count(), func.sum(row.weight), func.sum(row.weight * row.weight), func.sum(row.weight * row.score))
        query = select(row.bullet_id, row.shown, row.probability, *sums)
        query = query.where(row.target == self.target).group_by(row.bullet_id, row.shown, row.probability)
        with self.store.read() as connection:
            return [
                Cell(bullet_id=id, shown=shown, probability=p, runs=runs, mass=mass, squares=squares, total=total)
                for id, shown, p, runs, mass, squares, total in connection.execute(query)
            ]

    def effects(self) -> dict[str, Effect]:
        """The estimated effect of each bullet that was ever withheld."""
        return estimate_effects(self.cells())

    def add_lessons(self, run_id: str, lessons: Sequence[JsonObject]) -> None:
        """Store lessons for the curator, once per run."""
        fixed = {"target": self.target, "run_id": run_id[:64], "claimed_by": "", "created_at": now()}
        rows = [{**fixed, "n": n, "lesson": lesson} for n, lesson in enumerate(lessons)]
        self.store.transaction(lambda connection: self.store.insert_new(connection, LessonRow, rows))

    def claim(self, run_id: str, *, batch: int) -> list[JsonObject]:
        """The lessons for this run's learning step to curate: all pending ones, if there are enough. When repeated
        after a crash it returns the same ones, even if more have been added since."""
        row, mine = LessonRow, run_id[:64]
        query = select(row.lesson).where(row.target == self.target, row.claimed_by == mine)
        query = query.order_by(row.created_at, row.run_id, row.n)
        waiting = [row.target == self.target, row.claimed_by == ""]
        with self.store.write() as connection:
            claimed = list(connection.execute(query).scalars())
            count = connection.execute(select(func.count()).select_from(row).where(*waiting)).scalar_one()
            if not claimed and count >= batch:
                connection.execute(update(row).where(*waiting).values(claimed_by=mine))
                claimed = list(connection.execute(query).scalars())
        return claimed

    def waiting(self) -> int:
        """The number of lessons that no curator has claimed yet."""
        row = LessonRow
        query = select(func.count()).select_from(row).where(row.target == self.target, row.claimed_by == "")
        with self.store.read() as connection:
            return connection.execute(query).scalar_one()

    def finish(self, step: LearningStep) -> Learnt:
        """Record the outcome of learning from a run; the first record is kept and returned."""
        learnt = step.learnt
        outcome = {"status": learnt.status, "changes": list(learnt.changes), "note": learnt.note}
        row = {name: getattr(step, name) for name in ("reflected", "parsed", "operations", "votes")}
        row |= {"target": self.target, "run_id": step.run_id[:64], "created_at": now()}
        row |= {"outcome": {**outcome, "details": learnt.details}}
        self.store.transaction(lambda connection: self.store.insert_new(connection, LearningStepRow, [row]))
        return self.outcome(step.run_id) or learnt

    def outcome(self, run_id: str) -> Learnt | None:
        """The outcome of learning from a run; None if it has not finished."""
        row = LearningStepRow
        query = select(row.outcome).where(row.target == self.target, row.run_id == run_id[:64])
        with self.store.read() as connection:
            found = connection.execute(query).scalar_one_or_none()
        return None if found is None else _learnt(found)

    def steps(self, limit: int) -> list[LearningStep]:
        """The last learning steps, newest first."""
        row = LearningStepRow
        query = select(row.run_id, row.outcome, row.reflected, row.parsed, row.operations, row.votes)
        query = query.where(row.target == self.target).order_by(row.created_at.desc(), row.run_id).limit(limit)
        with self.store.read() as connection:
            return [
                LearningStep(
                    run_id=run_id, learnt=_learnt(done), reflected=seen, parsed=parsed, operations=ops, votes=n
                )
                for run_id, done, seen, parsed, ops, n in connection.execute(query)
            ]


def _learnt(outcome: JsonObject) -> Learnt:
    return Learnt(**{**outcome, "changes": tuple(outcome["changes"])})
