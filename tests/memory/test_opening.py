"""A memory opens with the embedder it was made with; the default one needs no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agentkit.errors import ModelFileError, UserError
from agentkit.memory import Case, CaseMemory, HashEmbedder, open_cases
from agentkit.models import load_embedder
from agentkit.models.catalog import find
from agentkit.settings import Settings
from agentkit.store import Store


def needs_the_embedder() -> None:
    if not find("bge-small-en-v1.5").present:
        pytest.skip("bge-small-en-v1.5 is not downloaded")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path / 'a.db'}")


def test_a_memory_made_with_another_embedder_keeps_it_while_the_setting_is_left_alone(
    store: Store, tmp_path: Path
) -> None:
    CaseMemory.open(store, "old", embedder=HashEmbedder(64)).add(Case(state="a sum", plan="add", reward=1.0))
    memory = open_cases(store, "old", settings=Settings(home=tmp_path))
    assert memory.embedder.name == HashEmbedder(64).name
    assert memory.search("a sum", 1)[0].case.plan == "add"


def test_an_embedder_that_is_asked_for_and_is_not_the_memorys_own_is_refused(store: Store, tmp_path: Path) -> None:
    CaseMemory.open(store, "old", embedder=HashEmbedder(64))
    with pytest.raises(UserError, match="rebuild --embedder hash-128"):
        open_cases(store, "old", settings=Settings(home=tmp_path), embedder="hash-128")


def test_an_embedder_that_is_not_downloaded_is_named_with_both_ways_out(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = HashEmbedder(384)
    embedder.name = "local/all-minilm-l6-v2@53aa51172d14"
    CaseMemory.open(store, "old", embedder=embedder)
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "empty"))
    with pytest.raises(
        ModelFileError, match=r"models pull all-minilm-l6-v2, or move it: .* --embedder local/bge-small"
    ):
        open_cases(store, "old", settings=Settings(home=tmp_path))


def test_a_new_memory_takes_the_default_embedder_and_imports_no_torch(tmp_path: Path) -> None:
    needs_the_embedder()
    code = """
import sys
from agentkit.memory import Case, open_cases
from agentkit.store import Store
memory = open_cases(Store.open("sqlite:///" + sys.argv[1]))
memory.add(Case(state="a cat sleeps", plan="watch it", reward=1.0))
memory.add(Case(state="income tax law", plan="read it", reward=1.0))
assert memory.search("a kitten naps", 1)[0].case.plan == "watch it"
assert not {"torch", "transformers", "sentence_transformers"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.db")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_vectors_do_not_depend_on_what_else_is_in_the_batch() -> None:
    needs_the_embedder()
    embedder = load_embedder("local/bge-small-en-v1.5")
    texts = ["a cat", "the law on income tax in three parts, with its exceptions", "x" * 5000, ""]
    together = np.array(embedder.embed_documents(texts))
    alone = np.array([embedder.embed_query(text) for text in texts])
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.array_equal(together, alone)
    assert embedder.embed_documents([]) == []
