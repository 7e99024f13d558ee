from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.agent import Agent
from agentkit.changes import decide
from agentkit.training import Edits, TrainConfig, train_adapter
from tests.models.tiny_gguf import make_tiny_gguf
from tests.training.small import LORA, agent_of, tasks


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of random weights."""
    for name in ("xllamacpp", "gguf", "torch", "transformers", "peft"):
        pytest.importorskip(name, reason="the training extra is not installed")
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    make_tiny_gguf(path, context=512)
    return path


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A home with an adapter `a` in force, which learned from twenty tasks to say "ok"."""
    home = tmp_path_factory.mktemp("learned")
    with pytest.MonkeyPatch.context() as patch, agent_of(home, tiny) as agent:
        patch.setenv("AGENTKIT_HOME", str(home))
        config = TrainConfig(recipe=Edits(), lora=LORA)
        report = train_adapter(agent, tasks(0, 20), "a", config=config, probes=())
        decide(agent.store, report.rounds[0].change.id, accept=True, reason="seen")
    return home


@pytest.fixture
def agent(learned: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    """An agent in a copy of that home, without an adapter."""
    home = shutil.copytree(learned, tmp_path / "home")
    monkeypatch.setenv("AGENTKIT_HOME", str(home))
    with agent_of(home, tiny) as made:
        yield made
