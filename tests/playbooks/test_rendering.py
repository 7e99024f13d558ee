"""Rendering: a hard budget, prefixes that last, and the choice between the whole and the relevant part."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.playbooks import Bullet, Economy, PlaybookRecaller, PlaybookStore, Renderer, Withholding
from agentkit.playbooks.bullets import bullet_id
from agentkit.playbooks.rendering import HEADER, line, shared_prefix
from agentkit.playbooks.selection import select
from agentkit.playbooks.tokens import estimate
from agentkit.store import Store
from agentkit.tasks import Task
from tests.support.playbook_world import PlantedWorld, plant


def bullet(content: str, number: int) -> Bullet:
    return Bullet(bullet_id("s", "", content), "s", "", content, revised=number)


CONTENTS = st.lists(st.text(min_size=1, max_size=200).map(lambda text: "x" + text), max_size=40, unique=True)


@given(contents=CONTENTS, budget=st.integers(0, 600), slack=st.floats(0, 0.9))
@settings(max_examples=200, deadline=None)
def test_the_budget_is_never_exceeded(contents: list[str], budget: int, slack: float) -> None:
    bullets = [bullet(content, n) for n, content in enumerate(contents)]
    rendered = Renderer(budget=budget, slack=slack).render(bullets)
    assert rendered.tokens == estimate(rendered.text) <= budget or not rendered.text
    order = [item.id for item in bullets]
    assert [item.id for item in rendered.bullets] == sorted((b.id for b in rendered.bullets), key=order.index)


def test_the_budget_holds_for_a_tokenizer_that_counts_the_whole_higher_than_its_parts() -> None:
    bullets = [bullet(f"lesson {n}", n) for n in range(50)]
    rendered = Renderer(budget=500, count=lambda text: len(text) ** 2 // 400).render(bullets)
    assert 0 < rendered.tokens <= 500


def test_adding_only_appends() -> None:
    bullets = [bullet(f"Lesson number {n} says something of some length.", n) for n in range(60)]
    texts = [Renderer().render(bullets[:n]).text for n in range(1, 61)]
    assert all(after.startswith(before) for before, after in pairwise(texts))


def test_each_eviction_clears_the_slack_so_the_prefix_breaks_rarely() -> None:
    bullets = [bullet(f"Lesson number {n} says something of some length.", n) for n in range(200)]
    renderer, breaks, before = Renderer(budget=800, slack=0.25), 0, ""
    for n in range(1, 201):
        rendered = renderer.render(bullets[:n])
        breaks += not rendered.text.startswith(before)
        before = rendered.text
        assert bullets[n - 1] in rendered.bullets
    room = 800 - estimate(HEADER) - 1
    overflowing = sum(renderer.cost(item) for item in bullets) - room
    assert 1 <= breaks <= -(-overflowing // (room // 4))


def test_the_least_valued_are_evicted_first() -> None:
    bullets = [bullet(f"Lesson number {n} says something of some length.", n) for n in range(200)]
    rendered = Renderer(budget=800).render(bullets, value=lambda item: float("number 3 " in item.content))
    kept = {item.content.split()[2] for item in rendered.bullets}
    assert "3" in kept and not kept & {"0", "1", "2", "4", "5"} and "199" in kept


def test_the_token_estimate_is_above_a_real_tokenizers_count() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    samples = [
        "When computing a ratio, give the result as a fraction.",
        "x = items[0].price * 1_000.25 # TODO",
        "Überprüfe die Währung, 東京の株価, naïve café",
        "0123456789 $5,000.00 12.50%",
    ]
    model = tokenizers.models.BPE(byte_fallback=False)
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=400, show_progress=False, initial_alphabet=alphabet)
    words = " ".join(samples * 3)
    tokenizer.train_from_iterator([words, "the result of computing lessons and amounts " * 5], trainer)
    for sample in samples:
        assert estimate(sample) >= 0.9 * len(tokenizer.encode(sample).tokens)


def test_shared_prefix_is_a_share_of_the_later_text() -> None:
    assert shared_prefix("a b c", "a b c") == 1
    assert 0 < shared_prefix("a b c", "a b d e f") < 0.5


@given(one=st.text(alphabet="ab", max_size=30), other=st.text(alphabet="ab", max_size=30))
def test_the_shared_prefix_is_the_longest(one: str, other: str) -> None:
    same = next((n for n, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    same = min(len(one), len(other)) if same is None else same
    assert shared_prefix(one, other, len) == (same / len(other) if other else 1)


class TestWithholding:
    def test_each_bullet_is_withheld_as_often_as_its_propensity_says(self) -> None:
        rule = Withholding(share=0.4, masks=8, depth=2)
        bullets = [bullet(f"lesson {n}", n) for n in range(40)]
        counts = dict.fromkeys((b.id for b in bullets), 0)
        for run in range(4000):
            for id in rule.withheld(f"run{run}", bullets):
                counts[id] += 1
        shares = [count / 4000 for count in counts.values()]
        assert all(abs(share - (1 - rule.probability)) < 0.03 for share in shares)
        assert len({rule.pattern(b.id) for b in bullets}) > 10

    def test_a_run_has_the_same_mask_whenever_it_is_asked(self) -> None:
        rule = Withholding(share=0.5)
        assert [rule.mask(f"r{n}") for n in range(50)] == [rule.mask(f"r{n}") for n in range(50)]

    def test_all_runs_share_few_prefixes(self, store: Store) -> None:
        book = PlaybookStore.open(store, "w")
        world = PlantedWorld(20)
        plant(book, [world.helpful(kind) for kind in world.kinds])
        recaller = PlaybookRecaller(book, withholding=Withholding(share=0.5, masks=4, depth=1))
        blocks = [recaller.recall_now("Close amber order", run_id=f"r{n}") for n in range(60)]
        assert len({block.text for block in blocks if block}) <= 5
        offers = {(o.shown, o.probability) for block in blocks if block for o in block.offers}
        assert offers == {(True, 0.875), (False, 0.875)}


class TestSelection:
    def costs(self, bullets: list[Bullet]) -> dict[str, int]:
        return {item.id: estimate(line(item)) for item in bullets}

    def test_a_small_playbook_is_shown_whole_because_it_is_cached(self) -> None:
        bullets = [bullet(f"lesson {n}", n) for n in range(30)]
        similarity = np.linspace(0, 0.5, 30, dtype=np.float32)
        assert select(bullets, similarity, self.costs(bullets), budget=10_000, economy=Economy()).whole

    def test_a_large_one_is_searched_when_the_whole_costs_more_than_it_is_worth(self) -> None:
        bullets = [bullet(f"lesson number {n} about this and that and something else", n) for n in range(4000)]
        similarity = np.zeros(4000, dtype=np.float32)
        similarity[3777] = 0.9
        chosen = select(bullets, similarity, self.costs(bullets), budget=10**6, economy=Economy())
        assert not chosen.whole and bullets[3777] in chosen.bullets and chosen.recall > 0.9

    def test_a_sure_cache_and_a_dear_lesson_tip_it_to_the_whole(self) -> None:
        bullets = [bullet(f"lesson number {n} about this and that", n) for n in range(400)]
        similarity = np.zeros(400, dtype=np.float32)
        costs = self.costs(bullets)
        dear = Economy(worth=10**6, hit_rate=1.0)
        assert select(bullets, similarity, costs, budget=10**5, economy=dear).whole
        assert not select(bullets, similarity, costs, budget=2_000, economy=dear).whole

    @given(budget=st.integers(0, 3000), seed=st.integers(0, 99))
    @settings(deadline=None)
    def test_a_selection_never_exceeds_the_budget_and_keeps_the_order(self, budget: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        bullets = [bullet(f"lesson {n} " + "x " * int(rng.integers(1, 40)), n) for n in range(60)]
        costs = self.costs(bullets)
        chosen = select(bullets, rng.random(60).astype(np.float32), costs, budget=budget, economy=Economy())
        assert sum(costs[item.id] for item in chosen.bullets) <= budget
        assert list(chosen.bullets) == sorted(chosen.bullets, key=lambda item: item.order)

    async def test_retrieval_finds_the_planted_rule_in_a_budget_that_holds_a_tenth(self, store: Store) -> None:
        world = PlantedWorld(26)
        book = PlaybookStore.open(store, "big")
        plant(book, [f"General remark {n} about work in the office and its many rules." for n in range(300)])
        plant(book, [world.helpful(kind) for kind in world.kinds], key="rules")
        recaller = PlaybookRecaller(book, renderer=Renderer(budget=1000))
        found = 0
        for n in range(26):
            block = await recaller.recall(world.task(n), run_id=f"r{n}")
            assert block is not None and estimate(block.text) <= 1000
            found += world.rule(world.kind(world.task(n))) in block.text
        assert found >= 25


async def test_an_empty_playbook_gives_no_block(store: Store) -> None:
    assert await PlaybookRecaller(PlaybookStore.open(store, "e")).recall(Task(id="1", input="x"), run_id="r") is None
