"""LangGraph's `BaseStore` face: what LangGraph's tests of its own stores assert, on both databases.

The cases follow `libs/checkpoint/tests/test_store.py` and `libs/checkpoint-sqlite/tests/{test_store,test_ttl}.py` of
langgraph 1.2. Left out is what tests a store's private parts (its tables, its SQL patterns, `AsyncBatchedBaseStore`'s
own queue) and the thread that sweeps: an expired item of this store is never returned, swept or not.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchOp,
)
from langgraph.store.base.batch import AsyncBatchedBaseStore
from sqlalchemy import select, update

from agentkit.memory import Case, CaseMemory, HashEmbedder
from agentkit.memory.base_store import MemoryStore
from agentkit.memory.trust import forget
from agentkit.store import Store
from agentkit.store.base import now
from agentkit.store.cases import CaseVectorRow, StoreItemRow


class Characters:
    """A random direction for each character, weighted by how often it occurs: LangGraph's own fake embeddings."""

    name, dimension = "characters-500", 500

    def embed_query(self, text: str) -> list[float]:
        total = np.zeros(self.dimension)
        for character in text:
            total += np.random.default_rng(ord(character)).standard_normal(self.dimension)
        return [float(x) for x in total]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One database for all of these tests; each keeps its items under a name of its own."""
    folder = tmp_path_factory.mktemp("items")
    store = Store.open(folder / "items.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url"))
    yield store
    store.close()


@pytest.fixture
def items(database: Store) -> MemoryStore:
    return MemoryStore(database, uuid.uuid4().hex)


@pytest.fixture
def ranked(database: Store) -> MemoryStore:
    return MemoryStore(database, uuid.uuid4().hex, embedder=Characters())


def with_fields(store: Store, *fields: str) -> MemoryStore:
    return MemoryStore(store, uuid.uuid4().hex, embedder=Characters(), fields=fields)


def put_each(store: MemoryStore, spaces: Iterable[tuple[str, ...]]) -> None:
    for number, space in enumerate(spaces):
        store.put(space, f"id_{number}", {"data": f"value_{number:02d}"})


def keys(found: list[Any]) -> list[str]:
    return [item.key for item in found]


class TestItems:
    def test_an_item_is_put_got_updated_and_deleted(self, items: MemoryStore) -> None:
        space, value = ("test", "documents"), {"title": "Test Document", "content": "Hello, World!"}
        items.put(space, "doc1", value)
        item = items.get(space, "doc1")
        assert item is not None
        assert (item.namespace, item.key, item.value) == (space, "doc1", value)
        items.put(space, "doc1", {"title": "Updated"})
        updated = items.get(space, "doc1")
        assert updated is not None
        assert updated.value == {"title": "Updated"}
        assert updated.created_at == item.created_at
        assert updated.updated_at > item.updated_at
        assert items.get(("test", "other_documents"), "doc1") is None
        items.delete(space, "doc1")
        assert items.get(space, "doc1") is None
        assert items.search(("test",)) == []

    def test_namespaces_that_cannot_be_are_refused_by_put_alone(self, items: MemoryStore) -> None:
        for space in ((), ("the", "thing.about"), ("some", "fun", ""), ("langgraph", "foo")):
            with pytest.raises(InvalidNamespaceError):
                items.put(space, "foo", {"foo": "bar"})
            with pytest.raises(InvalidNamespaceError):
                asyncio.run(items.aput(space, "foo", {"foo": "bar"}))
        for space in (("foo", "langgraph", "foo"), ("langgraph", "foo")):  # a batch goes past the public put
            items.batch([PutOp(space, "bar", {"foo": "bar"})])
            found = items.get(space, "bar")
            assert found is not None
            assert found.value == {"foo": "bar"}
            assert items.search(space)[0].value == {"foo": "bar"}
            items.delete(space, "bar")
            assert items.get(space, "bar") is None


class TestBatches:
    def test_results_come_in_the_order_of_the_operations(self, items: MemoryStore) -> None:
        items.put(("test", "foo"), "key1", {"data": "value1"})
        items.put(("test", "bar"), "key2", {"data": "value2"})
        results = items.batch(
            [
                GetOp(("test", "foo"), "key1"),
                PutOp(("test", "bar"), "key2", {"data": "value2"}),
                SearchOp(("test",), {"data": "value1"}, 10, 0),
                ListNamespacesOp(None, None, 10, 0),
                GetOp(("test",), "key3"),
            ]
        )
        assert isinstance(results[0], Item)
        assert (results[0].key, results[0].value, results[0].namespace) == ("key1", {"data": "value1"}, ("test", "foo"))
        assert results[1] is None
        assert keys(results[2]) == ["key1"]  # type: ignore[arg-type]
        assert set(results[3]) == {("test", "foo"), ("test", "bar")}  # type: ignore[arg-type]
        assert results[4] is None

    def test_a_put_of_none_deletes(self, items: MemoryStore) -> None:
        items.put(("test",), "key3", {"data": "value3"})
        ops: list[Op] = [PutOp(("test",), "key1", {"n": 1}), PutOp(("test",), "key3", None)]
        assert items.batch(ops) == [None, None]
        got = items.batch([GetOp(("test",), key) for key in ("key1", "key2", "key3")])
        assert [item is None for item in got] == [False, True, True]

    def test_searches_of_one_batch_filter_limit_and_scope(self, items: MemoryStore) -> None:
        for space, key, tag in (("foo", "key1", "a"), ("bar", "key2", "a"), ("baz", "key3", "b")):
            items.put(("test", space), key, {"tag": tag})
        found = items.batch(
            [
                SearchOp(("test",), {"tag": "a"}, 10, 0),
                SearchOp(("test",), None, 2, 0),
                SearchOp(("test", "foo"), None, 10, 0),
            ]
        )
        assert [len(part) for part in found] == [2, 2, 1]  # type: ignore[arg-type]
        assert all(item.value["tag"] == "a" for item in found[0])  # type: ignore[union-attr]

    def test_reads_see_the_store_as_before_and_the_last_put_of_a_key_wins(self, items: MemoryStore) -> None:
        items.put(("a",), "old", {"v": 0})
        ops: list[Op] = [PutOp(("a",), "k", {"v": 1}), GetOp(("a",), "k"), PutOp(("a",), "k", {"v": 2})]
        assert asyncio.run(items.abatch(ops))[1] is None
        found = items.get(("a",), "k")
        assert found is not None
        assert found.value == {"v": 2}

    def test_calls_made_at_once_keep_their_order(self, ranked: MemoryStore) -> None:
        colours, things, scores = ("red", "blue", "green"), ("apple", "car", "house"), (3.0, 3.5, 4.0)
        docs = [
            (
                f"doc{i}",
                {
                    "text": f"{colours[i % 3]} {things[i % 3]}",
                    "color": colours[i % 3],
                    "score": scores[i % 3],
                    "index": i,
                },
            )
            for i in range(15)
        ]

        async def work() -> list[list[Any]]:
            puts = [ranked.aput(("test",), key, value) for key, value in docs]
            gone = [ranked.adelete(("test",), key) for key, _ in docs]
            again = [ranked.aput(("test",), key, value) for key, value in docs]
            await asyncio.gather(*puts, *gone, *again)
            filters: list[dict[str, Any]] = [{"color": "red"}, {"score": {"$gt": 3.9}}, {"index": {"$lte": 5}}]
            return await asyncio.gather(*(ranked.asearch(("test",), query="apple", filter=f) for f in filters))

        red, high, early = asyncio.run(work())
        assert {item.value["color"] for item in red} == {"red"}
        assert all(item.value["score"] > 3.9 for item in high) and high
        assert sorted(item.value["index"] for item in early) == [0, 1, 2, 3, 4, 5]

    def test_it_serves_behind_langgraphs_batching_wrapper(self, items: MemoryStore) -> None:
        class Batched(AsyncBatchedBaseStore):
            def batch(self, ops: Iterable[Op]) -> list[Result]:
                return items.batch(ops)

            async def abatch(self, ops: Iterable[Op]) -> list[Result]:
                return await items.abatch(ops)

        async def work() -> None:
            store = Batched()
            await asyncio.gather(store.aput(("t",), "same", {"v": 1}), store.aput(("t",), "same", {"v": 2}))
            first, second = await asyncio.gather(store.aget(("t",), "same"), store.aget(("t",), "same"))
            assert first == second
            assert first is not None
            assert first.value == {"v": 2}

        asyncio.run(work())


SPACES = (
    ("a", "b", "c"),
    ("a", "b", "d", "e"),
    ("a", "b", "d", "i"),
    ("a", "b", "f"),
    ("a", "c", "f"),
    ("b", "a", "f"),
    ("users", "123"),
    ("users", "456", "settings"),
    ("admin", "users", "789"),
)


class TestNamespaces:
    @pytest.mark.parametrize(
        ("options", "wanted"),
        [
            ({"prefix": ("a", "b")}, SPACES[:4]),
            ({"suffix": ("f",)}, SPACES[3:6]),
            ({"prefix": ("a",), "suffix": ("f",)}, SPACES[3:5]),
            ({"prefix": ("a", "b"), "max_depth": 3}, (("a", "b", "c"), ("a", "b", "d"), ("a", "b", "f"))),
            ({"prefix": ("a", "b"), "limit": 2}, SPACES[:2]),
            ({"prefix": ("a", "b"), "offset": 2}, SPACES[2:4]),
            ({"prefix": ("a", "*", "f")}, SPACES[3:5]),
            ({"suffix": ("*", "f")}, SPACES[3:6]),
            ({"prefix": ("users", "*")}, SPACES[6:8]),
            ({"suffix": ("*", "settings")}, SPACES[7:8]),
            ({"prefix": ("*", "users"), "suffix": ("*", "settings")}, ()),
            ({"prefix": ("users", "123")}, SPACES[6:7]),
            ({"prefix": ("nonexistent",)}, ()),
            ({"max_depth": 1}, (("a",), ("admin",), ("b",), ("users",))),
            ({}, tuple(sorted(SPACES))),
        ],
    )
    def test_they_are_listed_by_prefix_suffix_depth_and_page(
        self, items: MemoryStore, options: dict[str, Any], wanted: tuple[tuple[str, ...], ...]
    ) -> None:
        put_each(items, SPACES)
        assert items.list_namespaces(**options) == list(wanted)

    def test_pages_follow_one_another(self, items: MemoryStore) -> None:
        spaces = [("namespace", f"sub_{i:02d}") for i in range(20)]
        put_each(items, spaces)
        for start in (0, 5, 15):
            assert items.list_namespaces(prefix=("namespace",), limit=5, offset=start) == spaces[start : start + 5]

    def test_conditions_of_a_batch_and_an_empty_store(self, items: MemoryStore) -> None:
        assert items.list_namespaces() == []
        put_each(items, [("test", "documents", "public"), ("test", "documents", "private"), ("prod", "x", "public")])
        public = ListNamespacesOp((MatchCondition("suffix", ("public",)),), None, 10, 0)
        shallow = ListNamespacesOp(None, 2, 10, 0)
        found = items.batch([public, shallow])
        assert all(space[-1] == "public" for space in found[0]) and len(found[0]) == 2  # type: ignore[union-attr, arg-type]
        assert found[1] == [("prod", "x"), ("test", "documents")]


class TestFilters:
    def test_search_scopes_to_whole_labels_and_pages(self, items: MemoryStore) -> None:
        for i in range(6):
            items.put(("docs", f"u{i % 2}"), f"k{i}", {"n": i})
        items.put(("docsother",), "k", {"n": 9})
        assert len(items.search(("docs",))) == 6
        assert {item.key for item in items.search(("docs", "u1"))} == {"k1", "k3", "k5"}
        pages = [key for offset in (0, 2, 4) for key in keys(items.search(("docs",), limit=2, offset=offset))]
        assert len(set(pages)) == 6

    def test_values_match_whole(self, items: MemoryStore) -> None:
        for key, author, tags in (("1", "Alice", ["draft"]), ("2", "Bob", ["final"]), ("3", "Alice", ["draft"])):
            items.put(("test",), key, {"author": author, "tags": tags})
        assert len(items.search(("test",), filter={"author": "Alice"})) == 2
        assert len(items.search(("test",), filter={"tags": ["draft"]})) == 2

    def test_what_looks_like_sql_is_only_text(self, items: MemoryStore) -> None:
        items.put(("docs",), "doc1", {"access": "public", "title": "O'Brien's Document"})
        items.put(("docs",), "doc2", {"access": "private"})
        for value in ("public' OR '1'='1", "public'; --", "public' UNION SELECT * FROM store --", "''''", "א' OR 'א"):
            assert items.search(("docs",), filter={"access": value}) == []
        assert items.search(("docs",), filter={"access') = 'public' OR '1'='1' OR json_extract(value, '$.": "x"}) == []
        assert keys(items.search(("docs",), filter={"title": "O'Brien's Document"})) == ["doc1"]

    def test_numbers_and_booleans_compare_safely(self, items: MemoryStore) -> None:
        for key, price in (("item1", 10), ("item2", 20), ("item3", 30)):
            items.put(("items",), key, {"price": price, "active": price > 15})

        def count(condition: Any) -> int:
            return len(items.search(("items",), filter={"price": condition}))

        assert count({"$gt": 15}) == 2
        assert count({"$lt": float("inf")}) == count({"$gt": float("-inf")}) == count({"$lt": 10**100}) == 3
        assert count({"$eq": float("nan")}) == 0
        assert count({"$lt": 0}) == 0
        assert len(items.search(("items",), filter={"active": True})) == 2
        assert len(items.search(("items",), filter={"active": False})) == 1

    def test_fields_are_reached_by_name_and_along_dots(self, items: MemoryStore) -> None:
        items.put(("docs",), "hyphen", {"access-level": "public", "user": {"access-level": "nested"}})
        items.put(("docs",), "digit", {"123abc": "ok", "user": {"123abc": "ok2"}})
        wanted = {
            "access-level": ("public", "hyphen"),
            "user.access-level": ("nested", "hyphen"),
            "123abc": ("ok", "digit"),
            "user.123abc": ("ok2", "digit"),
        }
        for field, (value, key) in wanted.items():
            assert keys(items.search(("docs",), filter={field: value})) == [key]
        assert items.search(("docs",), filter={"user.access-level.deeper": "nested"}) == []


class TestRanking:
    def test_every_text_of_a_value_is_embedded_by_default(self, ranked: MemoryStore) -> None:
        for key, field, text in (
            ("doc1", "text", "short text"),
            ("doc2", "text", "longer text document"),
            ("doc3", "body", "longest text document here"),
        ):
            asyncio.run(ranked.aput(("test",), key, {field: text}))
        assert {"doc2", "doc3"} <= set(keys(asyncio.run(ranked.asearch(("test",), query="long text"))))

    def test_an_update_changes_the_score_and_unindexed_items_come_last(self, ranked: MemoryStore) -> None:
        for key, text in (
            ("doc1", "zany zebra Xerxes"),
            ("doc2", "something about dogs"),
            ("doc3", "text about birds"),
        ):
            ranked.put(("test",), key, {"text": text})
        first = ranked.search(("test",), query="Zany Xerxes")[0]
        assert first.key == "doc1"
        ranked.put(("test",), "doc1", {"text": "new text about dogs"})
        after = next(item for item in ranked.search(("test",), query="Zany Xerxes") if item.key == "doc1")
        assert after.score is not None and first.score is not None
        assert after.score < first.score
        renewed = next(item for item in ranked.search(("test",), query="new text about dogs") if item.key == "doc1")
        assert renewed.score is not None
        assert renewed.score > after.score
        ranked.put(("test",), "doc4", {"text": "new text about dogs"}, index=False)
        assert "doc4" not in keys(ranked.search(("test",), query="new text about dogs", limit=3))
        assert "doc4" in keys(ranked.search(("test",)))

    def test_filters_apply_before_ranking(self, ranked: MemoryStore) -> None:
        for key, text, colour, score in (
            ("doc1", "red apple", "red", 4.5),
            ("doc2", "red car", "red", 3.0),
            ("doc3", "green apple", "green", 4.0),
            ("doc4", "blue car", "blue", 3.5),
        ):
            ranked.put(("test",), key, {"text": text, "color": colour, "score": score})

        def search(query: str, **filter: Any) -> list[str]:
            return keys(ranked.search(("test",), query=query, filter=filter))

        assert search("apple", color="red") == ["doc1", "doc2"]
        assert search("car", color="red") == ["doc2", "doc1"]
        assert set(search("bbbbluuu", score={"$gt": 3.2})) == {"doc1", "doc3", "doc4"}
        assert search("bbbbluuu", score={"$gt": 3.2})[0] == "doc4"
        assert search("apple", score={"$gte": 4.0}, color="green") == ["doc3"]

    def test_pages_of_a_ranking_follow_one_another_by_score(self, ranked: MemoryStore) -> None:
        for i in range(5):
            ranked.put(("test",), f"doc{i}", {"text": f"test document number {i}"})
        first = ranked.search(("test",), query="test", limit=2)
        second = ranked.search(("test",), query="test", limit=2, offset=2)
        assert len({*keys(first), *keys(second)}) == 4
        scores = [item.score for item in ranked.search(("test",), query="test", limit=10)]
        assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]
        assert len(scores) == 5

    @pytest.mark.parametrize("query", ["", None, "test " * 100, "test!@#$%^&*()"])
    def test_odd_queries_find_the_item(self, ranked: MemoryStore, query: str | None) -> None:
        ranked.put(("test",), "doc1", {"text": "test document"})
        assert keys(ranked.search(("test",), query=query)) == ["doc1"]

    def test_only_configured_fields_count(self, database: Store) -> None:
        store = with_fields(database, "key0", "key1", "key3")
        store.put(("test",), "doc1", {"key1": "xxx", "key2": "yyy", "key3": "zzz"})
        store.put(("test",), "doc2", {"key0": "uuu", "key1": "vvv", "key2": "www", "key3": "xxx"})
        both = store.search(("test",), query="xxx")
        assert {item.key for item in both} == {"doc1", "doc2"}
        assert all(item.score is not None and item.score > 0.9 for item in both)
        for query, key in (("uuu", "doc2"), ("zzz", "doc1")):
            found = store.search(("test",), query=query)
            assert found[0].key == key
            assert found[0].score > found[1].score  # type: ignore[operator]
        assert all(item.score < 0.9 for item in store.search(("test",), query="www"))  # type: ignore[operator]

    def test_fields_can_be_named_with_the_put(self, database: Store) -> None:
        store = with_fields(database, "key17")
        values = {"doc3": ("aaa", "bbb", "ccc", "ddd"), "doc4": ("eee", "bbb", "fff", "ggg")}
        for (key, texts), index in zip(values.items(), (["key0", "key1"], ["key1", "key3"]), strict=True):
            store.put(("test",), key, {f"key{i}": text for i, text in enumerate(texts)}, index=index)
        assert store.search(("test",), query="aaa")[0].key == "doc3"
        assert store.search(("test",), query="ggg")[0].key == "doc4"
        one, two = store.search(("test",), query="bbb")
        assert abs(one.score - two.score) < 0.1  # type: ignore[operator]
        assert all(item.score < 0.9 for item in store.search(("test",), query="ccc"))  # type: ignore[operator]
        store.put(("test",), "doc5", {"key0": "hhh"}, index=False)
        assert len(store.search(("test",))) == 3

    @pytest.mark.parametrize("query", ["aaa", "bbb", "abcd", "poisson"])
    def test_scores_are_cosines(self, database: Store, query: str) -> None:
        store, embedder = with_fields(database, "key0"), Characters()
        store.put(("test",), "doc", {"key0": "aaa"}, index=["key0", "key1"])
        a, b = np.array(embedder.embed_query("aaa")), np.array(embedder.embed_query(query))
        found = store.search((), query=query)
        assert found[0].score == pytest.approx(float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)), abs=1e-3)

    def test_other_scripts_find_themselves(self, ranked: MemoryStore) -> None:
        texts = ("这是中文", "これは日本語です", "이건 한국어야", "Это русский", "यह रूसी है")
        for number, text in enumerate(texts):
            ranked.put(("user_123", "memories"), str(number), {"text": text})
        for number, text in enumerate(texts):
            assert ranked.search(("user_123", "memories"), query=text)[0].key == str(number)


def expire(store: MemoryStore, key: str) -> None:
    """Let an item have expired a minute ago without sweeping it."""
    with store.store.write() as connection:
        past = now() - dt.timedelta(minutes=1)
        connection.execute(
            update(StoreItemRow)
            .where(StoreItemRow.memory == store.name, StoreItemRow.key == key)
            .values(expires_at=past)
        )


def expiry(store: MemoryStore, key: str) -> dt.datetime | None:
    with store.store.read() as connection:
        mine = (StoreItemRow.memory == store.name, StoreItemRow.key == key)
        return connection.execute(select(StoreItemRow.expires_at).where(*mine)).scalar_one()


def test_forgetting_cases_leaves_items_and_an_item_takes_its_vectors_with_it(store: Store) -> None:
    items, memory = MemoryStore(store, embedder=HashEmbedder()), CaseMemory.open(store, embedder=HashEmbedder())
    items.put(("a",), "k", {"text": "shared words"})
    memory.add(Case(state='{"text": "shared words"}', plan="p", source="bad"))
    memory.add(Case(state="kept", plan="p", source="own"))
    forget(memory, "bad")
    assert items.search(("a",), query="shared words")[0].score is not None
    items.put(("a",), "k", {"text": "other words"})
    items.delete(("a",), "k")
    with store.read() as connection:
        left = connection.execute(select(CaseVectorRow.embedder)).scalars().all()
    assert not any(name.startswith("items:") for name in left)


class TestExpiry:
    def test_expired_items_are_hidden_from_every_read_before_they_are_swept(self, database: Store) -> None:
        store = MemoryStore(database, uuid.uuid4().hex, ttl={"default_ttl": 5, "omit_expired": True})
        store.put(("omit", "expired"), "e", {"data": "gone"}, ttl=5)
        store.put(("omit", "control"), "c", {"data": "keep"}, ttl=None)
        expire(store, "e")
        assert store.get(("omit", "expired"), "e") is None
        assert store.search(("omit", "expired")) == []
        assert store.list_namespaces(prefix=("omit",)) == [("omit", "control")]
        assert store.sweep_ttl() == 1
        assert store.get(("omit", "control"), "c") is not None

    def test_the_default_holds_where_a_put_names_none(self, database: Store) -> None:
        store = MemoryStore(database, uuid.uuid4().hex, ttl={"default_ttl": 5})
        store.put(("a",), "default", {})
        store.put(("a",), "own", {}, ttl=60)
        store.put(("a",), "never", {}, ttl=None)
        default, own = expiry(store, "default"), expiry(store, "own")
        assert default is not None and own is not None
        assert default < own
        assert expiry(store, "never") is None

    def test_a_read_refreshes_live_items_alone(self, database: Store) -> None:
        store = MemoryStore(database, uuid.uuid4().hex, ttl={"default_ttl": 5, "refresh_on_read": True})
        for key in ("expired", "got", "searched"):
            store.put((key,), key, {})
        expire(store, "expired")
        before = {key: expiry(store, key) for key in ("expired", "got", "searched")}
        assert store.get(("expired",), "expired", refresh_ttl=True) is None
        assert store.get(("got",), "got") is not None
        assert keys(store.search(("searched",), refresh_ttl=True)) == ["searched"]
        assert expiry(store, "expired") == before["expired"]
        for key in ("got", "searched"):
            assert expiry(store, key) > before[key]  # type: ignore[operator]
        after = expiry(store, "got")
        store.get(("got",), "got", refresh_ttl=False)
        assert expiry(store, "got") == after

    def test_expired_items_take_no_place_on_a_page(self, items: MemoryStore) -> None:
        for key in ("c", "b", "x", "a"):
            items.put(("page",), key, {}, ttl=5)
        expire(items, "x")
        assert keys(items.search(("page",), limit=2)) == ["a", "b"]
        assert keys(items.search(("page",), limit=2, offset=2)) == ["c"]
