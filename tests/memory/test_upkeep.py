"""Upkeep: merging can be undone, better cases supersede, eviction spares what is pinned, re-embedding mixes nothing."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from agentkit.errors import UserError
from agentkit.memory import Case, CaseMemory, HashEmbedder, MemoryLearner
from agentkit.memory.picture import draw
from agentkit.memory.transfer import verify
from agentkit.memory.upkeep import consolidate, embedder_drift, evict, reembed, supersede, undo
from agentkit.protocols import Episode
from agentkit.store import Store
from agentkit.tasks import Feedback, Task


def test_merging_names_its_sources_and_undo_restores_them(memory: CaseMemory) -> None:
    memory.add_many(Case(id=f"c{i}", state="add two numbers", plan=f"p{i}", reward=1.0) for i in range(4))
    memory.add(Case(id="other", state="write a poem", plan="p", reward=1.0))
    before = {case.id: case.to_json() for case in memory.list()}
    made = consolidate(memory)
    assert [(case.parents, case.weight) for case in made] == [(("c0", "c1", "c2", "c3"), 4)]
    assert {hit.case.id for hit in memory.search("add two numbers", 9)} == {made[0].id, "other"}
    assert undo(memory, made[0].id) == 4
    assert {case.id: case.to_json() for case in memory.list()} == before


def test_a_success_supersedes_failures_of_the_same_state(memory: CaseMemory) -> None:
    memory.add(Case(id="bad", state="s", plan="p", reward=0.0))
    memory.add(Case(id="good", state="s", plan="q", reward=1.0))
    memory.add(Case(id="alone", state="t", plan="q", reward=0.0))
    assert supersede(memory) == 1
    assert {hit.case.id for hit in memory.search("s", 9)} == {"good", "alone"}


def test_a_success_that_nobody_vouches_for_supersedes_nothing(memory: CaseMemory) -> None:
    memory.add(Case(id="own", state="s", plan="p", reward=0.0))
    memory.add(Case(id="planted", state="s", plan="q", reward=1.0, trusted=False))
    assert supersede(memory) == 0
    assert memory.get("own").status == "active"


def test_eviction_goes_by_age_reward_and_number_and_spares_pinned_cases(memory: CaseMemory) -> None:
    old = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    memory.add(Case(id="old", state="a", plan="p", created_at=old))
    memory.add(Case(id="old-pinned", state="a", plan="p", created_at=old, pinned=True))
    memory.add_many(Case(id=f"c{i}", state=f"s{i}", plan="p", reward=i / 10) for i in range(10))
    assert evict(memory, older_than=dt.timedelta(days=30)) == 1
    assert evict(memory, below=0.25) == 3
    assert evict(memory, keep=4) == 4
    assert {case.id for case in memory.list()} == {"old-pinned", "c7", "c8", "c9"}


def test_a_memory_is_re_embedded_and_the_old_embedder_refused(store: Store, tmp_path: Path) -> None:
    memory = CaseMemory.open(store, embedder=HashEmbedder(), home=tmp_path)
    memory.add_many(Case(id=f"c{i}", state=f"topic {i}", plan="p") for i in range(20))
    again = reembed("default", store, HashEmbedder(64), home=tmp_path)
    assert again.search("topic 7", 1)[0].case.id == "c7"
    with pytest.raises(UserError, match="rebuild --embedder"):
        CaseMemory.open(store, embedder=HashEmbedder())


def test_drift_of_an_embedder_is_seen(memory: CaseMemory) -> None:
    memory.add_many(Case(state=f"topic {i}", plan="p") for i in range(5))
    assert embedder_drift(memory) < 1e-6
    memory.embedder.embed_documents = lambda texts: HashEmbedder().embed_documents([t + " x y z" for t in texts])  # type: ignore[method-assign]
    assert embedder_drift(memory) > 0.1


def test_a_drifted_embedder_is_named_and_its_vectors_are_replaced(memory: CaseMemory, tmp_path: Path) -> None:
    memory.add_many(Case(id=f"c{i}", state=f"topic {i}", plan="p") for i in range(5))
    assert verify(memory)["problems"] == []
    changed = HashEmbedder()
    changed.embed_query = lambda text: HashEmbedder().embed_query(f"{text} v2 v3")  # type: ignore[method-assign]
    changed.embed_documents = lambda texts: [changed.embed_query(text) for text in texts]  # type: ignore[method-assign]
    opened = CaseMemory.open(memory.store, embedder=changed, home=tmp_path)
    assert "gives other vectors than it did" in verify(opened)["problems"][0]
    again = reembed("default", memory.store, changed, home=tmp_path)
    assert verify(again)["problems"] == []
    assert again.search("topic 3", 1)[0].score == pytest.approx(1.0, abs=1e-5)


def test_a_limit_keeps_the_most_valuable_cases(memory: CaseMemory) -> None:
    learner = MemoryLearner(memory, limit=10)
    for number in range(14):
        feedback = (Feedback(channel="check", score=float(number % 2)),)
        task = Task(id=f"t{number}", input=f"topic {number}")
        learner.learn_now(Episode(run_id=f"r{number}", task=task, labels="check", answer="x", feedback=feedback))
    assert memory.count() <= 11
    assert sum(case.outcome == "success" for case in memory.list()) == 7


def test_a_picture_is_drawn(memory: CaseMemory, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="too few for a map"):
        draw(memory, tmp_path / "map.png")
    memory.add_many(Case(state=f"topic {i}", plan="p", reward=float(i % 2)) for i in range(9))
    assert draw(memory, tmp_path / "map.png").stat().st_size > 5000
