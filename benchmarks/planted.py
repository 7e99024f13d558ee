"""Simulated worlds: does the gate let good changes in, and keep useless and harmful ones out? No model is needed.

    python -m benchmarks.planted [--worlds 20] [--json]

The arms to compare with are `gate off` and `sum went up` (accept what raises the total on the same hold-out, as prompt
optimisers do).
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentkit.evolution.config import EvolveConfig
from agentkit.evolution.gate import GatePolicy, StrictGate
from agentkit.evolution.holdout import Holdout
from agentkit.evolution.loop import Evolution
from agentkit.evolution.probation import ProbationPolicy
from agentkit.evolution.trials import Trials
from agentkit.ledger import Change, Ledger
from agentkit.statistics.eprocess import PairedTest
from agentkit.store import Store
from benchmarks._results import Results, arguments, mean, share
from tests.evolution.planted import Lesson, Reflector, RuleBook, World, WorldHarness

HOLDOUT = 200
"""Held-out tasks: a lesson planted with an effect of +5 points must be found within this many pairs."""


def main() -> None:
    parser = arguments("planted", "gate and loops on worlds with known truth")
    parser.add_argument("--worlds", type=int, default=20, help="worlds (seeds) per arm")
    parser.add_argument("--trials", type=int, default=120, help="single changes per arm for acceptance rates")
    args = parser.parse_args()
    results = Results("planted", settings=vars(args), label=args.label)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), args.worlds, args.trials, results)
        for part in (
            bench.test_alone,
            bench.placebos,
            bench.power,
            bench.group,
            bench.harmful,
            bench.labels,
            bench.online,
        ):
            print(f"… {part.__name__}", file=sys.stderr, flush=True)
            part()
    results.finish(json_=args.json, folder=args.out)


class Bench:
    """The parts of the benchmark; each adds its rows."""

    def __init__(self, folder: Path, worlds: int, trials: int, results: Results) -> None:
        self.folder, self.worlds, self.trials, self.results = folder, worlds, trials, results
        self._stores = 0

    def test_alone(self) -> None:
        """The sequential test on coin flips: 2,000 runs of 200 pairs for each rate of wins and losses."""
        for wins, losses in ((0.02, 0.02), (0.05, 0.05), (0.1, 0.1), (0.25, 0.25)):
            hits = sum(_simulate(wins, losses, seed) == "better" for seed in range(2000))
            name = f"wins {wins:.0%} = losses {losses:.0%}"
            self.results.add(arm="test alone", metric=f"false accepts, {name}", target="≤ 0.05", **share(hits, 2000))

    def placebos(self) -> None:
        """Single changes that do nothing, each in a fresh world with a fresh hold-out."""
        for noise in (0.0, 0.05, 0.15):
            seen = [self._single(0.0, noise, seed) for seed in range(self.trials)]
            hits = sum(outcome == "accept" for outcome, _, _ in seen)
            self.results.add(
                arm="gate",
                metric=f"placebo accepted, answer noise {noise:.0%}",
                target="≤ 0.05",
                **share(hits, len(seen)),
            )
            self.results.add(
                arm="gate",
                metric=f"new calls per placebo, answer noise {noise:.0%}",
                **mean([float(calls) for _, calls, _ in seen]),
            )
            raised = sum(_sum_went_up(0.0, noise, seed) for seed in range(self.trials))
            self.results.add(
                arm="sum went up", metric=f"placebo accepted, answer noise {noise:.0%}", **share(raised, self.trials)
            )

    def power(self) -> None:
        """Single changes that are worth five points or more."""
        for effect, noise in ((0.05, 0.0), (0.1, 0.0), (0.15, 0.05), (-0.05, 0.0)):
            seen = [self._single(effect, noise, seed) for seed in range(self.trials)]
            hits = sum(outcome == "accept" for outcome, _, _ in seen)
            wanted = "≥ 0.80" if (effect, noise) == (0.05, 0.0) else "0" if effect < 0 else ""
            name = f"{effect * 100:+.0f} points, answer noise {noise:.0%}"
            self.results.add(arm="gate", metric=f"accepted, {name}", target=wanted, **share(hits, len(seen)))
            self.results.add(
                arm="gate",
                metric=f"calls with the change, {name}",
                target=f"≤ {HOLDOUT}",
                **mean([float(pairs) for _, _, pairs in seen]),
            )

    def group(self) -> None:
        """Eight placebos tested as one group, compared with eight tested one by one."""
        for count in (1, 8):
            calls, accepted = [], 0
            for seed in range(self.worlds):
                verdicts, made = self._decide([0.0] * 8, 0.0, seed, together=count == 8)
                calls.append(made / 8)
                accepted += sum(verdict == "accept" for verdict in verdicts)
            arm = "gate, groups of 8" if count == 8 else "gate, one by one"
            self.results.add(arm=arm, metric="calls per placebo", **mean(calls))
            self.results.add(arm=arm, metric="placebo accepted", target="≤ 0.05", **share(accepted, 8 * self.worlds))

    def harmful(self) -> None:
        """A reflector that is harmful in every step."""
        for arm, mode in (("gate", "strict"), ("gate off", "off")):
            gains = [self._evolve(((1.0, -0.05),), seed, mode=mode) for seed in range(self.worlds)]
            self._gain(arm, "harmful reflector", gains, worst=arm == "gate")

    def labels(self) -> None:
        """A reflector of mixed quality, with a share of all labels flipped, including those of the hold-out."""
        mix = ((0.3, 0.1), (0.35, 0.0), (0.35, -0.1))
        for flipped in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5):
            gains = [self._evolve(mix, seed, flipped=flipped) for seed in range(self.worlds)]
            self._gain("gate", f"labels flipped {flipped:.0%}", gains, worst=True)
        for flipped in (0.0, 0.5):
            gains = [self._evolve(mix, seed, flipped=flipped, mode="off") for seed in range(self.worlds)]
            self._gain("gate off", f"labels flipped {flipped:.0%}", gains, worst=False)

    def online(self) -> None:
        """Probation: changes take effect at once and are withdrawn if they harm."""
        for arm, mode in (("probation", "probation"), ("gate off", "off")):
            gains = [
                self._evolve(((0.3, 0.08), (0.7, -0.12)), seed, mode=mode, online=True, train=400, rate=0.03)
                for seed in range(self.worlds)
            ]
            self._gain(arm, "online, seven of ten lessons harmful", gains, worst=False)

    def _gain(self, arm: str, metric: str, gains: Sequence[float], *, worst: bool) -> None:
        self.results.add(arm=arm, metric=f"gain in accuracy, {metric}", **mean(gains))
        self.results.add(
            arm=arm, metric=f"worst world, {metric}", value=min(gains), n=len(gains), target="≥ −0.01" if worst else ""
        )

    def _store(self) -> Store:
        self._stores += 1
        return Store.open(self.folder / f"{self._stores}.db")

    def _single(self, effect: float, noise: float, seed: int) -> tuple[str, int, int]:
        """The verdict on one change, the calls it took, and the pairs."""
        store = self._shared()
        _, rollout, gate, book = _gate(store, noise, seed, name=f"{effect}/{noise}/{seed}")
        change = _propose(book, f"s{effect}/{noise}/{seed}", effect)
        verdict = asyncio.run(gate.decide([change], key=change.key))[change.id]
        return verdict.decision, rollout.calls, int(verdict.evidence["pairs"])

    def _shared(self) -> Store:
        if not hasattr(self, "_one"):
            self._one = self._store()
        return self._one

    def _decide(self, effects: Sequence[float], noise: float, seed: int, *, together: bool) -> tuple[list[str], int]:
        store = self._store()
        _, rollout, gate, book = _gate(store, noise, seed, name="g")
        changes = [_propose(book, f"g{number}", effect) for number, effect in enumerate(effects)]
        groups = [changes] if together else [[change] for change in changes]
        decided = [asyncio.run(gate.decide(group, key=f"k{number}")) for number, group in enumerate(groups)]
        store.close()
        return [verdict.decision for verdicts in decided for verdict in verdicts.values()], rollout.calls

    def _evolve(
        self,
        mix: tuple[tuple[float, float], ...],
        seed: int,
        *,
        mode: str = "strict",
        flipped: float = 0.0,
        online: bool = False,
        train: int = 48,
        rate: float = 0.25,
    ) -> float:
        """The gain in true accuracy of one evolution."""
        store = self._store()
        world, book = World(seed=seed), RuleBook(store)
        rollout = WorldHarness(world)
        config: dict[str, Any] = {"mode": mode, "online": online, "seed": seed}
        config |= {"selection": 0.0} if mode == "off" else {}
        evolution = Evolution(
            evolvables=[book],
            learners=[Reflector(book, mix, rate, seed)],
            trials=Trials(rollout, store),
            train=world.tasks(train, prefix="t", flipped=flipped),
            val=world.tasks(HOLDOUT, prefix="v", flipped=flipped),
            config=EvolveConfig(probation=ProbationPolicy(share=0.5), **config),
        )
        done = asyncio.run(evolution.run())
        test = world.tasks(1000, prefix="x")
        after = world.accuracy(book.lessons(done.chosen[book.target]), test)
        store.close()
        return after - world.accuracy([], test)


def _gate(store: Store, noise: float, seed: int, *, name: str) -> tuple[World, WorldHarness, StrictGate, RuleBook]:
    world = World(seed=seed, noise=noise)
    rollout, book = WorldHarness(world), RuleBook(store, name)
    trials = Trials(rollout, store)
    holdout = Holdout(world.tasks(HOLDOUT, prefix="v"))
    return world, rollout, StrictGate([book], trials, holdout, policy=GatePolicy(), evolution=name), book


def _propose(book: RuleBook, key: str, effect: float) -> Change:
    operation = {"op": "add", "id": key.replace("/", "-"), "effect": effect, "scope": None}
    change = Change(
        key=f"{book.target}:{key}",
        kind="rulebook",
        target=book.target,
        base=0,
        operations=(operation,),
        role="reflector",
    )
    return Ledger(book.ledger.store).propose(change)


def _simulate(wins: float, losses: float, seed: int) -> str:
    test, dice = PairedTest(), random.Random(seed)
    for _ in range(HOLDOUT):
        luck = dice.random()
        if test.add(1.0 if luck < wins else -1.0 if luck < wins + losses else 0.0) != "open":
            break
    return test.outcome


def _sum_went_up(effect: float, noise: float, seed: int) -> bool:
    """The criterion of prompt optimisers: is the total on the whole hold-out larger than before?"""
    world, lesson = World(seed=seed, noise=noise), Lesson(id=f"u{seed}", effect=effect)
    tasks = world.tasks(HOLDOUT, prefix="v")
    before = sum(world.solves(task.id, [], "") for task in tasks)
    after = sum(world.solves(task.id, [lesson.line()], lesson.line()) for task in tasks)
    return after > before


if __name__ == "__main__":
    main()
