"""From attempts to an adapter in force: the gate, the ledger, the way back, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentkit.adapters import AdapterStore
from agentkit.agent import Agent
from agentkit.changes import decide, rollback
from agentkit.errors import IntegrityError, UserError
from agentkit.evolution.gate import GatePolicy
from agentkit.ledger import Ledger
from agentkit.testing import ScriptedModel
from agentkit.training.making import TrainEvent
from agentkit.training.recipes import Edits, Own
from agentkit.training.run import TrainConfig, TrainingReport, train_adapter
from tests.models.tiny_gguf import make_tiny_gguf
from tests.training.small import LORA, agent_of, question, tasks

CONFIG = TrainConfig(recipe=Edits(), lora=LORA, gate=GatePolicy(level=0.2))


def trained(home: Path, tiny: Path, **more: Any) -> TrainingReport:
    with agent_of(home, tiny) as agent:
        options: Any = {"val": tasks(100, 16), "probes": (), "config": CONFIG, **more}
        return train_adapter(agent, tasks(0, 20), "a", **options)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A home in which an adapter was trained and accepted."""
    found = tmp_path_factory.mktemp("trained")
    events: list[TrainEvent] = []
    report = trained(found, tiny, on_event=events.append)
    (done,) = report.rounds
    assert done.verdict.decision == "accept" and done.kinds == {
        "all": {"won": done.verdict.evidence["wins"], "lost": 0}
    }
    assert (report.version, done.examples, done.agreement[:37]) == (1, 20, "same greedy answer on 4 of 4 prompts ")
    assert done.collected == "of 20 answers 0 were right and 20 corrected"
    steps = [event.step for event in events if event.step]
    assert steps[-1].step == steps[-1].steps == 18 and steps[-1].tokens_per_second > 0
    assert {"report.html", "report.json", "loss.png"} <= {path.name for path in report.folder.iterdir()}
    return found


def test_an_accepted_adapter_answers_daily_runs_until_it_is_rolled_back(home: Path, tiny: Path) -> None:
    with agent_of(home, tiny) as bare, agent_of(home, tiny, adapter="a") as agent:
        before = bare.run(question(777), run_id="bare").answer
        assert agent.run(question(777), run_id="with").answer == "ok" != before
        (block,) = agent.log.blocks("with") or ()
        assert (block.target, block.version, block.text) == ("adapter:a", 1, "")
        assert agent.result("with").sources == ()
        rollback(agent.store, "adapter:a", 0)
        assert agent.run(question(777), run_id="back").answer == before
        AdapterStore(agent.store, "a").rollback(1)
        assert agent.run(question(777), run_id="again").answer == "ok"
        assert Ledger(agent.store).verify("adapter:a") == 3


def test_the_ledger_holds_what_it_was_trained_on_and_why_it_was_accepted(home: Path, tiny: Path) -> None:
    with agent_of(home, tiny) as agent:
        adapters = AdapterStore(agent.store, "a", folder=home / "adapters")
        adapter = adapters.at(1)
        assert adapter is not None and len(adapter.examples) == 20 and adapter.recipe == "edits"
        change = adapters.ledger.applied("adapter:a")[0]
        verdict = adapters.ledger.events(change.id)[-1].verdict or {}
        assert verdict["evidence"]["wins"] >= 4 and verdict["evidence"]["losses"] == 0


def test_an_agent_is_the_same_whatever_adapters_there_are_beside_its_own(home: Path, tiny: Path) -> None:
    with agent_of(home, tiny) as bare, agent_of(home, tiny, adapter="a") as agent:
        assert "adapter:a" in Ledger(bare.store).targets()
        assert "adapter:a" not in bare.describe()["versions"]
        assert agent.describe()["versions"]["adapter:a"] == Ledger(agent.store).version("adapter:a")


def test_the_same_training_again_repeats_nothing(home: Path, tiny: Path) -> None:
    events: list[TrainEvent] = []
    report = trained(home, tiny, on_event=events.append)
    assert report.rounds[0].verdict.decision == "accept" and not [event for event in events if event.step]


def told(agent: Agent) -> list[tuple[str, float]]:
    """What an agent's model says to three prompts, token by token, with how likely it took each to be."""
    answers = [agent.explorer.invoke(f"say {n}", logprobs=True, max_tokens=6) for n in (5, 77, 123)]
    tokens = [token for answer in answers for token in answer.response_metadata["logprobs"]["content"]]
    return [(token["token"], token["logprob"]) for token in tokens]


def test_a_gate_that_rejects_leaves_the_served_model_as_it_was_bit_by_bit(tmp_path: Path, tiny: Path) -> None:
    held_out = tasks(100, 12, target="green")
    with agent_of(tmp_path, tiny) as agent:
        before = told(agent)
    report = trained(tmp_path, tiny, val=held_out)
    assert report.rounds[0].verdict.decision in ("reject", "quarantine") and report.version == 0
    with agent_of(tmp_path, tiny) as agent:
        assert told(agent) == before and len(before) >= 3
    with agent_of(tmp_path, tiny, adapter="a") as agent, agent_of(tmp_path, tiny) as bare:
        assert agent.run(question(5)).answer == bare.run(question(5)).answer


def test_an_adapter_that_makes_probes_worse_is_refused(tmp_path: Path, tiny: Path) -> None:
    with agent_of(tmp_path, tiny) as agent:
        said = agent.run(question(900)).answer
    assert said is not None
    kept = [task.model_copy(update={"target": said, "input": "say 900"}) for task in tasks(900, 8)]
    report = trained(tmp_path, tiny, probes=kept)
    (done,) = report.rounds
    assert done.verdict.decision == "reject" and "probes got worse" in done.verdict.reason
    assert report.version == 0


def test_without_held_out_tasks_it_is_a_candidate_that_a_person_may_accept(tmp_path: Path, tiny: Path) -> None:
    report = trained(tmp_path, tiny, val=())
    assert report.rounds[0].verdict.decision == "quarantine" and report.version == 0
    with agent_of(tmp_path, tiny, adapter="a") as agent:
        assert agent.run(question(5)).answer != "ok"
        adapters = AdapterStore(agent.store, "a", folder=home_of(tmp_path))
        adapters.apply(Ledger(agent.store).get(report.rounds[0].change.id), report.rounds[0].verdict)
        assert agent.run(question(5), run_id="then").answer == "ok"


def home_of(path: Path) -> Path:
    return path / "adapters"


def test_a_person_may_decide_from_anywhere(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTKIT_HOME", str(tmp_path))
    report = trained(tmp_path, tiny, val=())
    with agent_of(tmp_path, tiny) as agent:
        assert decide(agent.store, report.rounds[0].change.id, accept=True, reason="seen").version == 1


def test_an_adapter_of_another_base_is_refused_in_one_line(home: Path, tmp_path: Path) -> None:
    make_tiny_gguf(tmp_path / "other.gguf", context=256)
    with pytest.raises(UserError, match=r"adapter:a was trained on local/.*tiny\.gguf, not on other\.gguf"):
        agent_of(home, tmp_path / "other.gguf", adapter="a")


def test_what_can_t_be_trained_is_told_in_one_line(tmp_path: Path, tiny: Path) -> None:
    with agent_of(tmp_path, tiny) as agent:
        with pytest.raises(UserError, match="recipe 'own' finds nothing to learn: of 4 answers 0 were right"):
            train_adapter(agent, tasks(0, 4), "a", config=TrainConfig(recipe=Own(attempts=1), lora=LORA))
        with pytest.raises(UserError, match="6 examples are too few to train on: 16 are needed"):
            train_adapter(agent, tasks(0, 6), "a", config=CONFIG)
        with pytest.raises(UserError, match="no name of an adapter"):
            train_adapter(agent, tasks(0, 6), "../a", config=CONFIG)
    with pytest.raises(UserError, match="there is no adapter 'b'"):
        agent_of(tmp_path, tiny, adapter="b")
    model = ScriptedModel(["x"], name="scripted")
    with agent_of(tmp_path, tiny) as agent:
        agent.models.roles["explorer"] = [model]
        with pytest.raises(UserError, match="adapters are for local/ models"):
            train_adapter(agent, tasks(0, 6), "a", config=CONFIG)


def test_a_file_that_was_altered_is_not_served(home: Path, tiny: Path, tmp_path: Path) -> None:
    with agent_of(home, tiny) as agent:
        adapters = AdapterStore(agent.store, "a", folder=tmp_path)
        adapter = adapters.at(1)
        assert adapter is not None
        with pytest.raises(UserError, match="is gone"):
            adapters.path(adapter)
        (tmp_path / "files").mkdir()
        (tmp_path / "files" / adapter.file_name).write_bytes(b"GGUF")
        with pytest.raises(IntegrityError, match="does not match its hash"):
            adapters.path(adapter)


def test_a_second_round_adds_to_the_examples_of_the_first(tmp_path: Path, tiny: Path) -> None:
    config = replace(CONFIG, rounds=2, lora=replace(LORA, epochs=4))
    report = trained(tmp_path, tiny, config=config)
    first, second = report.rounds
    assert first.verdict.decision == "accept" and second.collected.startswith("of 20 answers 20 were right")
    assert second.examples >= first.examples
