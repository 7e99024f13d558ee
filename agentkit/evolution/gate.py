"""The gate: no change takes effect without evidence.

Each proposal is tried with and without on the same held-out tasks. Answers without it are cached; tasks that the change
does not affect cost nothing; a betting e-process stops as soon as the evidence decides. Changes that don't interact are
tested as one group first, and separately only where the group's result calls for it. A change that passes must also not
make the frozen probes worse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select

from agentkit.errors import Conflict
from agentkit.evolution.holdout import Holdout, levels_so_far
from agentkit.evolution.protocols import Cost, Evolvable
from agentkit.evolution.trials import Prepared, Trial, Trials
from agentkit.json_types import JsonObject
from agentkit.ledger import Change, Verdict, digest
from agentkit.protocols import Recaller
from agentkit.statistics.eprocess import PairedTest
from agentkit.statistics.estimates import mcnemar_exact
from agentkit.store.evolution import GateTestRow
from agentkit.tasks import Task

GateMode = Literal["strict", "probation", "off"]


@dataclass(frozen=True, kw_only=True)
class GatePolicy:
    """How much evidence a change needs.

    Attributes:
        level: the probability that a change without effect is accepted (in the first test, if `control="run"`).
        control: "each" gives every test the same level. "run" keeps the probability that *any* useless or harmful
            change is accepted in a whole run below `2 * level`: test k gets `2 * level / (k (k + 1))`, and a successful
            test passes its level on to the next one (online fallback, Tian & Ramdas 2021; valid for dependent tests).
        min_effect: a change whose mean gain on the tasks it affects is below this is not worth having.
        stop_level: the probability of giving up a change that is worth `min_effect`.
        members: "each" tests the changes of a successful group separately; "together" accepts the group as a whole.
        probe_margin: from this mean loss on the frozen probes on, a person is asked.
        chunk: how many pairs are run at once; fixed, so that no verdict depends on the concurrency.
    """

    level: float = 0.05
    control: Literal["run", "each"] = "run"
    min_effect: float = 0.03
    stop_level: float = 0.1
    members: Literal["each", "together"] = "each"
    probe_margin: float = 0.1
    chunk: int = 8


@dataclass(frozen=True, kw_only=True)
class GateTest:
    """A finished test of a group of changes."""

    outcome: str
    evidence: JsonObject


AskWhen = Callable[[Change], str | None]
"""Gives the reason why a person must decide about a change that passed; None if nobody needs to."""


class StrictGate:
    """Tests every change before it takes effect.

    Args:
        evolvables: everything that runs are given; each change targets one of them.
        trials: runs tasks and caches answers.
        holdout: the tasks that changes are tested on.
        probes: frozen tasks that must not get worse.
        policy: how much evidence is needed.
        evolution: the `evolve` run that the tests count towards.
        ask_when: selects changes that a person must release even though they passed.
    """

    def __init__(
        self,
        evolvables: Sequence[Evolvable],
        trials: Trials,
        holdout: Holdout,
        *,
        probes: Sequence[Task] = (),
        policy: GatePolicy | None = None,
        evolution: str = "",
        ask_when: AskWhen = lambda change: None,
    ) -> None:
        self.evolvables, self.trials, self.holdout, self.probes = list(evolvables), trials, holdout, list(probes)
        self.policy, self.evolution, self.ask_when = policy or GatePolicy(), evolution, ask_when

    async def decide(self, changes: Sequence[Change], *, key: str) -> dict[str, Verdict]:
        """Verdicts for proposals that don't interact; see `disjoint_groups`."""
        if not changes:
            return {}
        test = await self._test_once(changes, f"{key}:{digest([change.id for change in changes])[:12]}")
        if len(changes) == 1 or not self._split(test):
            return {change.id: self._verdict(change, test) for change in changes}
        middle = len(changes) // 2
        return await self.decide(changes[:middle], key=key) | await self.decide(changes[middle:], key=key)

    def _split(self, test: GateTest) -> bool:
        """Whether the members of a group must be tested separately, because helpful and harmful ones may mask each
        other."""
        if test.outcome == "better":
            return self.policy.members == "each"
        return test.outcome in ("worse", "conflict", "regression", "doubt") or test.evidence.get("wins", 0) > 1

    def _verdict(self, change: Change, test: GateTest) -> Verdict:
        evidence = test.evidence
        if test.outcome == "better":
            reason = self.ask_when(change)
            if reason is not None:
                return Verdict(decision="ask", reason=reason, evidence=evidence)
            return Verdict(decision="accept", reason=_counts("better with it", evidence), evidence=evidence)
        if test.outcome in ("worse", "useless", "conflict", "regression"):
            reason = {"useless": "no effect worth having", "regression": "frozen probes got worse"}.get(
                test.outcome, test.outcome + " with it"
            )
            return Verdict(decision="reject", reason=_counts(reason, evidence), evidence=evidence)
        if test.outcome == "doubt":
            return Verdict(decision="ask", reason="better on the hold-out, worse on probes", evidence=evidence)
        reason = {"spent": "the hold-out was used too often", "unseen": "no held-out task is reached by it"}.get(
            test.outcome, _counts("not enough evidence", evidence)
        )
        return Verdict(decision="quarantine", reason=reason, evidence=evidence)

    async def _test_once(self, changes: Sequence[Change], key: str) -> GateTest:
        """The test recorded under this key, or else a new one, which is recorded before anyone acts on it."""
        store = self.trials.store
        with store.read() as connection:
            row = connection.execute(select(GateTestRow.__table__).where(GateTestRow.key == key)).one_or_none()
            earlier = levels_so_far(connection, self.evolution)
        if row is not None:
            return GateTest(outcome=row.outcome, evidence=row.evidence)
        number, level = len(earlier) + 1, self.level_of(earlier)
        test = await self._test(changes, number, level)
        ids = [change.id for change in changes]
        record = {"key": key, "evolution": self.evolution, "number": number, "holdout": self.holdout.name}
        record |= {"changes": ids, "level": level, "outcome": test.outcome}
        evidence = {**test.evidence, "together_with": ids} if len(ids) > 1 else test.evidence
        store.transaction(lambda c: store.insert_new(c, GateTestRow, [{**record, "evidence": evidence}]))
        return GateTest(outcome=test.outcome, evidence=evidence)

    def level_of(self, earlier: Sequence[tuple[int, float, str]]) -> float:
        """The level of the next test, given `(number, level, outcome)` of the tests before it."""
        if self.policy.control == "each":
            return self.policy.level
        number = len(earlier) + 1
        inherited = earlier[-1][1] if earlier and earlier[-1][2] == "better" else 0.0
        return min(self.policy.level, 2 * self.policy.level / (number * (number + 1)) + inherited)

    async def _test(self, changes: Sequence[Change], number: int, level: float) -> GateTest:
        if self.holdout.spent(self.trials.store):
            return GateTest(outcome="spent", evidence={"uses": self.holdout.limit})
        try:
            without, with_ = self.contexts(changes)
        except Conflict as error:
            return GateTest(outcome="conflict", evidence={"conflict": str(error)})
        pairs = [
            (task, await self.trials.prepare(task, without), await self.trials.prepare(task, with_))
            for task in self.holdout.order(number)
        ]
        reached = [pair for pair in pairs if pair[1].key != pair[2].key]
        # Where the key is the same with and without the changes, the model would see the same prompt: those tasks can't
        # show a difference, so only the others are run.
        test, record = await self._compare(reached, level)
        record |= {"level": level, "number": number, "holdout": len(pairs), "reached": len(reached)}
        if not reached:
            return GateTest(outcome="unseen", evidence=record)
        if test.outcome != "better" or not self.probes:
            return GateTest(outcome=test.outcome, evidence=record)
        outcome, probes = await self._probe(without, with_)
        return GateTest(outcome=outcome, evidence={**record, "probes": probes})

    def contexts(self, changes: Sequence[Change]) -> tuple[list[Recaller], list[Recaller]]:
        """The context of runs without the changes, and with them."""
        without, with_ = [], []
        for evolvable in self.evolvables:
            mine = [change for change in changes if change.target == evolvable.target]
            current = evolvable.at(evolvable.version())
            without.append(current)
            with_.append(evolvable.with_changes(mine) if mine else current)
        return without, with_

    async def _compare(
        self, pairs: Sequence[tuple[Task, Prepared, Prepared]], level: float
    ) -> tuple[PairedTest, JsonObject]:
        policy = self.policy
        test = PairedTest(level=level, min_effect=policy.min_effect, stop_level=policy.stop_level)
        better, worse, cost, unknown = [], [], Cost(), 0
        for begin in range(0, len(pairs), policy.chunk):
            if test.outcome != "open" or test.hopeless(len(pairs) - begin):
                break
            chunk = pairs[begin : begin + policy.chunk]
            for (task, _, _), difference, used in zip(chunk, *await self._run(chunk), strict=True):
                cost += used
                if difference is None:
                    unknown += 1
                elif test.outcome == "open":
                    test.add(difference)
                    better += [task.id] * (difference > 0)
                    worse += [task.id] * (difference < 0)
        record = test.to_json() | {"better": better, "worse": worse, "unknown": unknown}
        return test, record | {"cost": {"calls": cost.calls, "tokens": cost.tokens, "dollars": round(cost.cost, 6)}}

    async def _run(self, pairs: Sequence[tuple[Task, Prepared, Prepared]]) -> tuple[list[float | None], list[Cost]]:
        """For each pair, the score with the changes minus the score without, and the cost of both runs."""
        made = await self.trials.run_all([item for _, before, after in pairs for item in (before, after)])
        differences = await self._differences([task for task, _, _ in pairs], made[::2], made[1::2])
        return differences, [one.cost + two.cost for one, two in zip(made[::2], made[1::2], strict=True)]

    async def _differences(
        self, tasks: Sequence[Task], before: Sequence[Trial], after: Sequence[Trial]
    ) -> list[float | None]:
        low, high = await self.trials.scores(tasks, before), await self.trials.scores(tasks, after)
        return [None if a is None or b is None else b - a for a, b in zip(low, high, strict=True)]

    async def _probe(self, without: list[Recaller], with_: list[Recaller]) -> tuple[str, JsonObject]:
        """Check the frozen probes: "better" continues, "regression" rejects, "doubt" asks a person."""
        before, after = await self.trials.many(self.probes, without), await self.trials.many(self.probes, with_)
        differences = await self._differences(self.probes, before, after)
        known = [difference for difference in differences if difference is not None]
        wins, losses = sum(d > 0 for d in known), sum(d < 0 for d in known)
        mean = sum(known) / max(1, len(known))
        p = mcnemar_exact(wins, losses)
        evidence: JsonObject = {"probes": len(known), "wins": wins, "losses": losses, "mean": mean, "p": p}
        told = list(zip(self.probes, differences, strict=True))
        evidence["better"] = [task.id for task, difference in told if difference is not None and difference > 0]
        evidence["worse"] = [task.id for task, difference in told if difference is not None and difference < 0]
        if losses > wins and p <= 2 * self.policy.level:
            return "regression", evidence
        return ("doubt" if -mean > self.policy.probe_margin else "better"), evidence


def disjoint_groups(changes: Sequence[Change], evolvables: Sequence[Evolvable]) -> list[list[Change]]:
    """Split proposals into groups within which no two touch the same thing. Order is kept; each joins the first group
    that fits."""
    by_target = {evolvable.target: evolvable for evolvable in evolvables}
    groups: list[tuple[list[Change], set[str]]] = []
    for change in changes:
        scope = {f"{change.target}/{part}" for part in by_target[change.target].scope(change)}
        for members, taken in groups:
            if not scope & taken:
                members.append(change)
                taken |= scope
                break
        else:
            groups.append(([change], scope))
    return [members for members, _ in groups]


def _counts(text: str, evidence: JsonObject) -> str:
    if "pairs" not in evidence:
        return text
    return f"{text}: {evidence['wins']} won, {evidence['losses']} lost of {evidence['pairs']} pairs"
