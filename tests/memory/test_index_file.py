"""Index files are caches: any damage to one changes no result."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agentkit.memory import Case, CaseMemory, HashEmbedder
from agentkit.store import Store


def answers(memory: CaseMemory) -> list[list[str]]:
    return [[hit.case.id for hit in memory.search(f"topic {i}", 3)] for i in range(0, 40, 7)]


def filled(store: Store, home: Path) -> CaseMemory:
    memory = CaseMemory.open(store, embedder=HashEmbedder(64), home=home)
    memory.add_many(Case(id=f"c{i}", state=f"topic {i}", plan="p") for i in range(40))
    memory.save()
    return memory


def test_a_damaged_index_file_is_never_believed(store: Store, tmp_path: Path) -> None:
    memory = filled(store, tmp_path)
    wanted, path = answers(memory), memory.mirror.path("state")
    assert path is not None
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for number in range(40):
        data = bytearray(whole)
        if number % 2:
            data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        else:
            data = data[: rng.integers(len(data))]
        path.write_bytes(bytes(data))
        assert answers(CaseMemory.open(store, embedder=HashEmbedder(64), home=tmp_path)) == wanted


def test_an_old_index_file_is_replayed_to_the_present(store: Store, tmp_path: Path) -> None:
    memory = filled(store, tmp_path)
    memory.add(Case(id="new", state="something else", plan="p"))
    memory.delete(["c3", "c39"])
    other = CaseMemory.open(store, embedder=HashEmbedder(64), home=tmp_path)
    assert other.search("something else", 1)[0].case.id == "new"
    assert other.search("topic 3", 1)[0].case.id != "c3"


def test_a_file_of_another_database_is_not_used(store: Store, tmp_path: Path) -> None:
    filled(store, tmp_path)
    fresh = Store.open(tmp_path / "other.db")
    memory = CaseMemory.open(fresh, embedder=HashEmbedder(64), home=tmp_path)
    memory.add_many(Case(id=f"d{i}", state=f"matter {i}", plan="p") for i in range(40))
    assert memory.search("matter 5", 1)[0].case.id == "d5"
    fresh.close()
