"""The judgement in a bandit world with known best cases: regret, recovery, honest intervals, little harm."""

from __future__ import annotations

import numpy as np

from agentkit.memory.credit import credit
from agentkit.memory.value import Value

CASES, OFFERED, SHOWN = 30, 8, 3


class World:
    """Each case adds a fixed amount to the chance of success; similarity says nothing about which."""

    def __init__(self, seed: int, *, good: float = 0.2, bad: float = -0.1) -> None:
        self.rng = np.random.default_rng(seed)
        self.effects = np.where(self.rng.random(CASES) < 0.3, good, bad)

    def reward(self, shown: list[int]) -> tuple[float, float]:
        chance = float(np.clip(0.4 + self.effects[shown].sum(), 0.02, 0.98))
        return chance, float(self.rng.random() < chance)


def play(world: World, value: Value | None, rounds: int, *, oracle: bool = False) -> np.ndarray:
    """Expected reward of each round; without a value the most similar cases are always shown."""
    rng, gains = world.rng, np.zeros(rounds)
    for number in range(rounds):
        offered = rng.permutation(CASES)[:OFFERED]
        relevance = np.sort(rng.uniform(0.5, 1.0, OFFERED))[::-1]
        features = np.column_stack([np.ones(OFFERED), relevance])
        ids = [str(i) for i in offered]
        if oracle:
            shown = [int(i) for i in offered[np.argsort(-world.effects[offered])][:SHOWN] if world.effects[i] > 0]
            gains[number] = world.reward(shown)[0]
            continue
        if value is None:
            gains[number] = world.reward([int(i) for i in offered[:SHOWN]])[0]
            continue
        mean, deviation = value.judge(ids, features)
        chance = value.probabilities(mean, deviation)
        best = np.argsort(-mean, kind="stable")[:SHOWN]
        taken = [int(i) for i in best if rng.random() < chance[i]]
        gains[number], outcome = world.reward([int(offered[i]) for i in taken])
        value.update(float(relevance.max()), [ids[i] for i in taken], features[taken], outcome)
    return gains


def test_the_policy_finds_the_best_cases() -> None:
    late, similar, best = [], [], []
    for seed in range(4):
        late.append(play(World(seed), Value(), 3000)[-500:].mean())
        similar.append(play(World(seed), None, 500).mean())
        best.append(play(World(seed), None, 500, oracle=True).mean())
    regret = np.mean(best) - np.mean(late)
    assert regret < 0.35 * (np.mean(best) - np.mean(similar)), (np.mean(late), np.mean(similar), np.mean(best))


def test_the_policy_recovers_after_the_world_changes() -> None:
    world, value = World(1), Value()
    before = play(world, value, 2500)[-400:].mean()
    world.effects = world.effects[::-1].copy()
    changed = play(world, value, 4000)
    assert before > changed[:100].mean() + 0.3
    assert changed[-400:].mean() > changed[:100].mean() + 0.1


def test_where_memory_never_helps_it_costs_less_than_two_points() -> None:
    losses = []
    for seed in range(6):
        world = World(seed, good=-0.1, bad=-0.1)
        losses.append(0.4 - play(world, Value(), 3000).mean())
    assert np.mean(losses) < 0.02, losses


def test_intervals_of_credit_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    hits, trials = 0, 3000
    for _ in range(trials):
        n, effect = 200, rng.uniform(-0.2, 0.2)
        difficulty = rng.uniform(0.3, 0.7, n)
        probability = rng.uniform(0.2, 0.8, n)
        shown = (rng.random(n) < probability).astype(float)
        outcome = (rng.random(n) < difficulty + effect * shown).astype(float)
        found = credit(shown, probability, outcome)
        hits += found.low <= effect <= found.high
    assert 0.93 <= hits / trials <= 0.97, hits / trials
