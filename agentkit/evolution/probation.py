"""Probation: online, a change takes effect at once, is watched, and is withdrawn if it does harm.

Online there is no hold-out. Instead, a share of the incoming tasks is answered a second time without the change
("shadow" runs), and the gate's betting test runs on these pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from agentkit.errors import Conflict
from agentkit.evolution.protocols import Evolvable
from agentkit.evolution.records import Watched
from agentkit.evolution.trials import Trials
from agentkit.ledger import Change, Ledger, Verdict, digest
from agentkit.statistics.eprocess import PairedTest
from agentkit.store.evolution import GateTestRow
from agentkit.tasks import Task


@dataclass(frozen=True, kw_only=True)
class ProbationPolicy:
    """How closely a change is watched.

    Attributes:
        share: of the incoming tasks that are also answered without it.
        pairs: after this many pairs the change is released if it won at least as often as it lost, and withdrawn
            otherwise. If the tasks end earlier, it stays only if it won more often than it lost.
        at_once: how many changes may be on probation at the same time. Further ones wait in quarantine. This limits the
            harm that unproven changes can do together, and the cost of watching them.
        harm_level: the probability of withdrawing a change that does no harm.
    """

    share: float = 0.25
    pairs: int = 60
    at_once: int = 2
    harm_level: float = 0.1


class ProbationGate:
    """Accepts at once while there is room on probation; `Watch` decides later.

    Args:
        active: returns how many changes are on probation now.
        limit: how many may be.
    """

    def __init__(self, active: Callable[[], int], limit: int) -> None:
        self.active, self.limit = active, limit

    async def decide(self, changes: Sequence[Change], *, key: str) -> dict[str, Verdict]:
        room = max(0, self.limit - self.active())
        yes = Verdict(decision="accept", reason="on probation: active and watched")
        wait = Verdict(decision="quarantine", reason="waits: there is no room on probation")
        return {change.id: yes if number < room else wait for number, change in enumerate(changes)}


class Watch:
    """Watches the changes that an evolution accepted on probation.

    Args:
        evolvables: everything that runs are given.
        trials: runs tasks and caches answers.
        evolution: the evolution whose changes are watched.
    """

    def __init__(
        self,
        evolvables: Sequence[Evolvable],
        trials: Trials,
        ledger: Ledger,
        *,
        evolution: str,
        policy: ProbationPolicy | None = None,
    ) -> None:
        self.evolvables = {evolvable.target: evolvable for evolvable in evolvables}
        self.trials, self.ledger, self.evolution = trials, ledger, f"{evolution}/watch"
        self.policy = policy or ProbationPolicy()

    async def watch(self, tasks: Sequence[Task], accepted: Sequence[str], *, key: str) -> list[Watched]:
        """Shadow-run a share of these tasks for the changes still on probation, and withdraw harmful ones.

        Args:
            tasks: the incoming tasks.
            accepted: ids of all changes accepted on probation so far, oldest first.
            key: names this round of watching, so that a resumed run does not count it twice.

        Returns:
            one record for each watched change, with its outcome and the evidence so far.
        """
        rounds = self._rounds()
        now = {row.change for name, row in rounds.items() if name.startswith(f"{key}:")}
        watched = self.active(accepted)
        records = []
        for change_id in [id for id in accepted if id in now or id in watched]:
            name = f"{key}:{change_id}"
            record = rounds.get(name) or await self._look(change_id, tasks, rounds, name)
            records.append(self._carry_out(record, "withdrawn on probation"))
        return records

    async def end(self, tasks: Sequence[Task], accepted: Sequence[str], *, key: str) -> list[Watched]:
        """End all probation: release what has won more often than it lost, and withdraw the rest.

        Args:
            tasks, accepted, key: as for `watch`; all of these last tasks are also answered without the change.

        Returns:
            one record for each change that was still on probation.
        """
        rounds = self._rounds()
        records = []
        for change_id in [id for id in accepted if f"{key}:{id}" in rounds or id in self.active(accepted)]:
            name = f"{key}:{change_id}"
            record = rounds.get(name) or await self._conclude(change_id, tasks, rounds, name)
            records.append(self._carry_out(record, "the tasks ended before it proved itself"))
        return records

    def _carry_out(self, record: Watched, reason: str) -> Watched:
        if record.outcome == "worse":
            change = self.ledger.get(record.change)
            self.evolvables[change.target].withdraw(change, reason=reason)
        return record

    async def _conclude(self, change_id: str, tasks: Sequence[Task], rounds: dict[str, Watched], name: str) -> Watched:
        known = [d for row in rounds.values() if row.change == change_id for d in row.differences]
        unseen = [task for task in tasks if not self._shadowed(task)]
        new = await self._differences(self.ledger.get(change_id), unseen)
        outcome = "released" if sum(known) + sum(new) > 0 else "worse"
        return self._write(change_id, PairedTest.of([*known, *new]), outcome, new, rounds, name)

    def active(self, accepted: Sequence[str]) -> list[str]:
        """The accepted changes that are still on probation."""
        done = {row.change for row in self._rounds().values() if row.outcome != "watching"}
        return [id for id in accepted if id not in done]

    def _rounds(self) -> dict[str, Watched]:
        query = select(GateTestRow.key, GateTestRow.evidence).where(GateTestRow.evolution == self.evolution)
        with self.trials.store.read() as connection:
            rows = connection.execute(query.order_by(GateTestRow.number))
            return {row.key: Watched.from_json(row.evidence) for row in rows}

    async def _look(self, change_id: str, tasks: Sequence[Task], rounds: dict[str, Watched], name: str) -> Watched:
        change = self.ledger.get(change_id)
        known = [d for row in rounds.values() if row.change == change_id for d in row.differences]
        new = await self._differences(change, [task for task in tasks if self._shadowed(task)])
        test = PairedTest.of([*known, *new], stop_level=self.policy.harm_level)
        outcome = "worse" if test.to_json()["e_harm"] >= 1 / self.policy.harm_level else "watching"
        if outcome == "watching" and len(known) + len(new) >= self.policy.pairs:
            outcome = "released" if test.to_json()["mean"] >= 0 else "worse"
        return self._write(change_id, test, outcome, new, rounds, name)

    def _write(
        self,
        change_id: str,
        test: PairedTest,
        outcome: str,
        new: list[float],
        rounds: dict[str, Watched],
        name: str,
    ) -> Watched:
        """Record the state of a change, once per name."""
        record = Watched(change=change_id, outcome=outcome, differences=tuple(new), evidence=test.to_json())
        row = {"key": name, "evolution": self.evolution, "number": len(rounds) + 1, "holdout": "online"}
        row |= {
            "changes": [change_id],
            "level": self.policy.harm_level,
            "outcome": outcome,
            "evidence": record.to_json(),
        }
        store = self.trials.store
        store.transaction(lambda connection: store.insert_new(connection, GateTestRow, [row]))
        rounds[name] = record
        return record

    async def _differences(self, change: Change, tasks: Sequence[Task]) -> list[float]:
        current = [evolvable.at(evolvable.version()) for evolvable in self.evolvables.values()]
        try:
            without = [
                evolvable.without(change) if evolvable.target == change.target else recaller
                for evolvable, recaller in zip(self.evolvables.values(), current, strict=True)
            ]
        except Conflict:
            return []  # a later change builds on it, so its effect can't be isolated any more
        with_, bare = await self.trials.many(tasks, current), await self.trials.many(tasks, without)
        pairs = zip(await self.trials.scores(tasks, with_), await self.trials.scores(tasks, bare), strict=True)
        return [high - low for high, low in pairs if high is not None and low is not None]

    def _shadowed(self, task: Task) -> bool:
        """Whether a task is answered twice; decided by its id, so that a resumed run decides the same."""
        return int(digest([self.evolution, task.id])[:8], 16) / 0xFFFFFFFF < self.policy.share
