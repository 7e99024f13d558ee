"""The whole loop on a real small model: attempts, corrections, training, both engines, gate, use, and the way back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agentkit.agent import Agent
from agentkit.changes import rollback
from agentkit.settings import Settings
from agentkit.tasks import Task
from agentkit.training import Edits, LoraSettings, TrainConfig, train_adapter
from tests.models.conformance import TINY, need

pytestmark = pytest.mark.model

ABOUT = {
    "K4": ["card", "loan", "account", "cheque", "interest", "savings", "payment", "credit"],
    "R9": ["flight", "hotel", "luggage", "ticket", "train", "passport", "airport", "cruise"],
}
"""A desk's own codes, which nobody can guess, and words that belong to them."""
SAID = ["I have a question about my {}.", "There is a problem with the {}.", "Please help me with this {}."]


def messages(forms: list[str], words: slice) -> list[Task]:
    rows = [(form.format(word), code) for form in forms for code, all_ in ABOUT.items() for word in all_[words]]
    return [Task(id=text, input=f"Sort: {text}", target=code, checker="exact") for text, code in rows]


def test_a_model_learns_a_desk_s_codes_from_corrections_within_three_minutes(tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="the training extra is not installed")
    need(TINY)
    began = time.process_time()
    train, val = messages(SAID[:2], slice(0, 6)), messages(SAID[2:], slice(0, 8))
    limits = {"n_ctx": 1024, "max_tokens": 8, "n_threads": 1}
    settings = Settings(home=tmp_path, concurrency=2)
    config = TrainConfig(recipe=Edits(), lora=LoraSettings(epochs=4, rate=1e-3, threads=1))

    def agent_of(adapter: str | None = None) -> Agent:
        return Agent("local/smollm2-135m", tools=[], settings=settings, model_options=limits, max_rounds=1,
                     evaluate=False, adapter=adapter)  # fmt: skip

    with agent_of() as agent:
        before = [agent.run(task.input).answer for task in val[:2]]
        assert not set(before) & set(ABOUT), "nobody can guess the codes"
        report = train_adapter(agent, train, "desk", val=val, probes=(), config=config, on_event=print)
    (done,) = report.rounds
    assert done.examples == len(train) == 24 and done.losses[-1] < done.losses[0] / 4
    assert done.verdict.decision == "accept" and report.version == 1, done
    with agent_of("desk") as agent:
        right = sum(agent.run(task.input).answer == task.target for task in val)
        assert right >= len(val) / 2, "messages of a form that it was not trained on, a quarter with new words"
        rollback(agent.store, "desk", 0)
        assert [agent.run(task.input).answer for task in val[:2]] == before
    assert time.process_time() - began < 180, "seconds of the processor, whatever else runs on the machine"
