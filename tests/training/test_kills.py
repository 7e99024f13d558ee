"""A training killed while it collects, trains, exports or is tested goes on, and makes the very adapter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agentkit.adapters import AdapterStore
from agentkit.store import Store

TRAIN = """
from pathlib import Path
from agentkit.evolution.gate import GatePolicy
from agentkit.training import lora
from agentkit.training.recipes import Edits
from agentkit.training.run import TrainConfig, train_adapter
from tests.training.small import LORA, agent_of, tasks

lora.SAVE_EVERY = 0.0
home, model = Path({home!r}), Path({model!r})
home.mkdir(exist_ok=True)
with agent_of(home, model) as agent:
    config = TrainConfig(recipe=Edits(), lora=LORA, gate=GatePolicy(level=0.2))
    train_adapter(agent, tasks(0, 20), "a", val=tasks(100, 16), probes=(), config=config)
"""

POINTS = [
    "after:model.call#9",
    "after:train.step#7",
    "after:train.checkpoint#11",
    "after:train.gguf",
    "after:train.export",
]
POINTS += ["after:evolve.trial#3", "before:ledger.commit"]


def hash_in(home: Path) -> tuple[int, str]:
    store = Store.open(f"sqlite:///{home}/a.db")
    try:
        adapters = AdapterStore(store, "a", folder=home / "adapters")
        adapter = adapters.at(adapters.version())
        assert adapter is not None
        return adapters.version(), adapter.sha256
    finally:
        store.close()


@pytest.mark.kill
def test_the_adapter_is_that_of_an_undisturbed_training(
    tiny: Path, tmp_path: Path, kill_at: Callable[..., int]
) -> None:
    assert kill_at(TRAIN.format(home=str(tmp_path / "undisturbed"), model=str(tiny)), None) == 0
    killed = TRAIN.format(home=str(tmp_path / "killed"), model=str(tiny))
    for point in POINTS:
        assert kill_at(killed, point) == -9, point
    assert kill_at(killed, None) == 0
    assert hash_in(tmp_path / "killed") == hash_in(tmp_path / "undisturbed")
