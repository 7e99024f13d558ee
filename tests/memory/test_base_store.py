"""LangGraph's BaseStore face: the behaviours of LangGraph's own store tests, on both databases."""

from __future__ import annotations

import asyncio

from langgraph.store.base import GetOp, ListNamespacesOp, PutOp, SearchOp

from agentkit.memory import HashEmbedder
from agentkit.memory.base_store import MemoryStore
from agentkit.store import Store


def test_items_are_put_got_overwritten_and_deleted(any_store: Store) -> None:
    store = MemoryStore(any_store)
    store.put(("a", "b"), "k", {"x": 1})
    first = store.get(("a", "b"), "k")
    assert first is not None
    store.put(("a", "b"), "k", {"x": 2})
    second = store.get(("a", "b"), "k")
    assert second is not None
    assert (second.value, second.created_at) == ({"x": 2}, first.created_at)
    assert second.updated_at > first.updated_at
    store.delete(("a", "b"), "k")
    assert store.get(("a", "b"), "k") is None


def test_search_filters_pages_and_stays_in_its_prefix(any_store: Store) -> None:
    store = MemoryStore(any_store)
    for i in range(6):
        store.put(("docs", f"u{i % 2}"), f"k{i}", {"n": i, "kind": "even" if i % 2 == 0 else "odd"})
    store.put(("docsother",), "k", {"n": 9})
    assert len(store.search(("docs",))) == 6
    assert {item.key for item in store.search(("docs", "u1"))} == {"k1", "k3", "k5"}
    assert {item.key for item in store.search(("docs",), filter={"kind": "odd", "n": {"$gt": 1}})} == {"k3", "k5"}
    pages = [item.key for offset in (0, 2, 4) for item in store.search(("docs",), limit=2, offset=offset)]
    assert len(set(pages)) == 6


def test_a_query_ranks_by_the_embedded_fields(any_store: Store) -> None:
    store = MemoryStore(any_store, embedder=HashEmbedder(), fields=("text",))
    store.put(("d",), "fruit", {"text": "red apple pie"})
    store.put(("d",), "car", {"text": "fast green car"})
    store.put(("d",), "hidden", {"text": "red apple pie"}, index=False)
    found = store.search(("d",), query="apple pie")
    assert found[0].key == "fruit"
    assert found[0].score is not None
    assert found[-1].key == "hidden"
    assert found[-1].score is None


def test_namespaces_are_listed_by_prefix_suffix_and_depth(any_store: Store) -> None:
    store = MemoryStore(any_store)
    for space in (("a", "b", "c"), ("a", "b", "d"), ("a", "x"), ("z", "c")):
        store.put(space, "k", {})
    assert store.list_namespaces(prefix=("a",), max_depth=2) == [("a", "b"), ("a", "x")]
    assert store.list_namespaces(suffix=("c",)) == [("a", "b", "c"), ("z", "c")]
    assert store.list_namespaces(prefix=("a", "*", "c")) == [("a", "b", "c")]


def test_a_batch_mixes_operations_and_its_last_put_wins(any_store: Store) -> None:
    store = MemoryStore(any_store)
    store.put(("a",), "old", {"v": 0})
    ops = [PutOp(("a",), "k", {"v": 1}), GetOp(("a",), "old"), PutOp(("a",), "k", {"v": 2}), SearchOp(("a",)),
           ListNamespacesOp()]  # fmt: skip
    results = asyncio.run(store.abatch(ops))
    assert results[1].value == {"v": 0}  # type: ignore[union-attr]
    assert results[4] == [("a",)]
    assert store.get(("a",), "k").value == {"v": 2}  # type: ignore[union-attr]


def test_expired_items_are_gone_and_swept(store: Store) -> None:
    items = MemoryStore(store)
    items.put(("a",), "k", {}, ttl=-1.0)
    items.put(("a",), "kept", {}, ttl=60.0)
    assert items.get(("a",), "k") is None
    assert items.sweep() == 1
    assert items.get(("a",), "kept") is not None
