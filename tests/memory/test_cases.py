"""Cases as rows: exactly once, filtered, deleted for good."""

from __future__ import annotations

import datetime as dt

import pytest

from agentkit.errors import DataError, UserError
from agentkit.memory import Case, CaseMemory, Filters, HashEmbedder
from agentkit.store import Store


def words(number: int) -> str:
    return f"What is the capital of country number {number}?"


def test_a_stored_case_is_found_by_its_own_words(any_memory: CaseMemory) -> None:
    any_memory.add_many(Case(state=words(i), plan=f"look up {i}", reward=1.0) for i in range(30))
    for policy in ("dense", "lexical", "masked-terms", "fused", "kernel", "mapped", "parametric", "masked-dense"):
        hits = any_memory.search(words(7), 3, policy=policy)
        assert len(hits) == 3, policy
        if policy in ("dense", "lexical", "kernel"):
            assert hits[0].case.state == words(7), policy


def test_a_run_has_one_case_however_often_it_is_stored(any_memory: CaseMemory) -> None:
    first = any_memory.add(Case(state="a", plan="b", run_id="run"))
    again = any_memory.add(Case(state="c", plan="d", run_id="run"))
    assert again.id == first.id
    assert any_memory.count() == 1


def test_an_update_reaches_a_memory_that_is_open_elsewhere(any_store: Store, any_memory: CaseMemory) -> None:
    other = CaseMemory.open(any_store, embedder=HashEmbedder())
    case = any_memory.add(Case(state="one two", plan="x", reward=1.0))
    assert [hit.case.id for hit in other.search("one two", 1)] == [case.id]
    any_memory.delete([case.id])
    assert other.search("one two", 1) == []
    later = any_memory.add(Case(state="three", plan="x"))
    assert [hit.case.id for hit in other.search("three", 5)] == [later.id]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        (Filters(outcomes=("success",)), {"good"}),
        (Filters(outcomes=("failure",)), {"bad"}),
        (Filters(outcomes=("unknown",)), {"unknown", "tagged", "outside"}),
        (Filters(tags=("x",)), {"tagged"}),
        (Filters(trusted=False), {"outside"}),
        (Filters(min_reward=0.5), {"good"}),
        (Filters(namespace="b"), {"theirs"}),
        (Filters(namespace="nowhere"), set()),
        (Filters(statuses=("quarantined",)), {"held"}),
        (Filters(exclude=("good", "bad")), {"unknown", "tagged", "outside"}),
        (Filters(since=dt.datetime(2030, 1, 1, tzinfo=dt.UTC)), set()),
        (Filters(exclude_state="state bad"), {"good", "unknown", "tagged", "outside"}),
    ],
)
def test_filters_choose_before_the_search(memory: CaseMemory, filters: Filters, wanted: set[str]) -> None:
    given = {
        "good": {"reward": 1.0},
        "bad": {"reward": 0.0},
        "unknown": {},
        "tagged": {"tags": ("x",)},
        "outside": {"trusted": False},
        "theirs": {"namespace": "b"},
        "held": {"status": "quarantined"},
    }
    memory.add_many(Case(id=name, state=f"state {name}", plan="p", **more) for name, more in given.items())
    assert {hit.case.id for hit in memory.search("state", 10, filters=filters)} == wanted


def test_a_batch_with_a_bad_case_writes_nothing(memory: CaseMemory) -> None:
    with pytest.raises(DataError, match="between 0 and 1"):
        memory.add_many([Case(state="a", plan="b"), Case(state="c", plan="d", reward=2.0)])
    assert memory.count() == 0


def test_another_embedder_is_refused_with_the_mend(memory: CaseMemory, store: Store) -> None:
    with pytest.raises(UserError, match=r"256 dimensions .* gives 64.*rebuild --embedder"):
        CaseMemory.open(store, embedder=HashEmbedder(64))


def test_an_empty_memory_finds_nothing_and_says_so(memory: CaseMemory) -> None:
    for policy in ("dense", "lexical", "masked-terms", "fused", "kernel", "mapped", "parametric", "random"):
        assert memory.search("anything", 4, policy=policy) == []
    with pytest.raises(UserError, match="k = 4, but memory 'default' has 0"):
        memory.search("anything", 4, exact_k=True)
