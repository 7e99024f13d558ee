"""Comparing, adding up and forgetting adapters, with real trainings of a small model."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agentkit.adapters import Adapter, AdapterStore
from agentkit.agent import Agent
from agentkit.changes import decide
from agentkit.errors import UserError
from agentkit.ledger import Verdict
from agentkit.models.batching import by_adapter
from agentkit.models.llamacpp import LlamaCppChat
from agentkit.models.lora_files import read_adapter
from agentkit.models.rows import Request
from agentkit.models.transformers import open_transformers
from agentkit.tasks import Task
from agentkit.training import Edits, TrainConfig, compare, forget, merge, train_adapter
from agentkit.training.examples import read_examples
from agentkit.training.upkeep import add_up, examples_of
from tests.training.small import LORA, agent_of, question, tasks

QUICK = TrainConfig(recipe=Edits(), lora=replace(LORA, epochs=1))


def adapters_of(agent: Agent, name: str = "a") -> AdapterStore:
    return AdapterStore(agent.store, name, folder=agent.settings.home / "adapters")


def in_force(adapters: AdapterStore) -> Adapter:
    found = adapters.at(adapters.version())
    assert found is not None
    return found


def trained(agent: Agent, rows: list[Task]) -> Adapter:
    """A quick training of `a` on these tasks as the bare model attempts them, in force."""
    adapters = adapters_of(agent)
    if adapters.version():
        adapters.rollback(0, reason="begin with the bare model")
    report = train_adapter(agent, rows, "a", config=QUICK, probes=())
    decide(agent.store, report.rounds[0].change.id, accept=True, reason="seen")
    return in_force(adapters)


def test_versions_are_compared_by_what_they_learned_from(agent: Agent) -> None:
    adapters = adapters_of(agent)
    trained(agent, tasks(4, 18))
    found = compare(adapters, 1, 3)
    assert (found["shared"], len(found["removed"]), len(found["added"])) == (16, 4, 2)
    assert found["removed"][0]["asked"].endswith("say 0") and found["removed"][0]["answer"] == '{"answer": "ok"}'
    assert found["changed"]["examples"] == [20, 18] and "rank" not in found["changed"]
    assert found["changed"]["epochs"] == [6, 1]
    bare = compare(adapters, 0, 1)
    assert bare["shared"] == 0 and len(bare["added"]) == 20 and bare["changed"]["rank"] == [None, 4]


def test_what_came_from_a_source_is_trained_out_and_what_learned_from_it_is_deleted(agent: Agent) -> None:
    adapters, first = adapters_of(agent), in_force(adapters_of(agent))
    file, folder = adapters.path(first), examples_of(adapters, first).parent
    with pytest.raises(UserError, match="learned nothing from 'somebody'"):
        forget(agent, "a", "somebody")
    done = forget(agent, "a", "t3")
    assert (done.examples, done.left, done.versions, done.version) == (1, 19, (1,), 2)
    now = in_force(adapters)
    assert len(now.examples) == 19 and now.sha256 != first.sha256
    assert not file.exists() and not folder.exists()
    assert "say 3" not in [item.chat[-1][1] for item in read_examples(examples_of(adapters, now))]
    with pytest.raises(UserError, match="is gone; train it again"):
        adapters.path(first)
    everything = forget(agent, "a", "label")
    assert (everything.examples, everything.left, everything.version) == (19, 0, 3)
    assert adapters.at(3) is None, "too few are left: the bare model is in force"
    with pytest.raises(UserError, match="is at version 0, which has learned nothing"):
        forget(agent, "a", "label")


def test_forgetting_makes_the_very_adapter_that_never_learned_from_it(agent: Agent) -> None:
    never = trained(agent, tasks(0, 17))
    trained(agent, tasks(0, 18))
    done = forget(agent, "a", "t17")
    assert done.left == 17 and in_force(adapters_of(agent)).sha256 == never.sha256


def named(agent: Agent, name: str, adapter: Adapter) -> AdapterStore:
    """The same adapter under another name, in force."""
    adapters = adapters_of(agent, name)
    accept = Verdict(decision="accept", reason="x")
    adapters.ledger.apply(adapters.propose(adapter).id, lambda connection, applied: None, verdict=accept)
    return adapters


def test_two_adapters_add_up_to_a_candidate_of_a_third(agent: Agent, tiny: Path) -> None:
    one, home = adapters_of(agent), agent.settings.home
    other = named(agent, "b", in_force(one))
    third = adapters_of(agent, "c")
    change = merge(one, other, third, weights=(0.25, 0.75))
    assert change.status == "quarantined" and change.note == "merge of a@1 × 0.25 and b@1 × 0.75, 20 examples"
    assert merge(one, other, third, weights=(0.25, 0.75)).id == change.id and third.version() == 0
    decide(agent.store, change.id, accept=True, reason="tried")
    with agent_of(home, tiny, adapter="c") as merged:
        assert merged.run(question(555)).answer == "ok" != agent.run(question(555), run_id="bare").answer
    with pytest.raises(UserError, match="is a merge of a@1"):
        forget(agent, "c", "label")
    odd = named(agent, "d", replace(in_force(one), base="1" * 64))
    with pytest.raises(UserError, match="adapter:d on another model"):
        merge(one, odd, third)
    with pytest.raises(UserError, match=r"adapter:d was trained on local/.*, not on local/"):
        forget(agent, "d", "label")
    other.rollback(0)
    with pytest.raises(UserError, match="adapter:b is at version 0"):
        merge(one, other, third)


def test_the_sum_of_files_is_the_sum_of_their_matrices(agent: Agent, tmp_path: Path) -> None:
    import numpy as np

    file = adapters_of(agent).path(in_force(adapters_of(agent)))
    add_up([file, file], (0.5, 2.0), tmp_path / "sum.gguf")
    before, after = read_adapter(file), read_adapter(tmp_path / "sum.gguf")
    for name, (down, up) in before.matrices.items():
        more_down, more_up = after.matrices[name]
        wanted = 2.5 * (before.alpha / down.shape[0]) * (up @ down)
        assert np.allclose(after.alpha / more_down.shape[0] * (more_up @ more_down), wanted, atol=1e-5)
    (tmp_path / "none.gguf").write_bytes(b"x")
    with pytest.raises(UserError, match="is no adapter in GGUF"):
        read_adapter(tmp_path / "none.gguf")


async def test_on_torch_calls_are_answered_in_groups_of_one_adapter_each_as_if_alone(agent: Agent, tiny: Path) -> None:
    file = str(adapters_of(agent).path(in_force(adapters_of(agent))))
    chat = open_transformers(str(tiny), max_tokens=6, window=0.5)
    assert chat.takes_adapters and chat.path == tiny
    asked = ["say 555", "say 777"]
    bare = [chat.invoke(text).text for text in asked]
    mixed = await asyncio.gather(
        *(chat.ainvoke(text, adapter=name) for text in asked for name in (file, "")),
        chat.model_copy(update={"adapter": Path(file), "scale": 0.0}).ainvoke(asked[0]),
    )
    said = [message.text for message in mixed]
    assert [said[1], said[3], said[4]] == [*bare, bare[0]] and said[0] != bare[0]
    served = LlamaCppChat(full_name="local/tiny", path=tiny, n_ctx=500, n_threads=1, max_tokens=6, temperature=0.0)
    assert [said[0], said[2]] == [served.invoke(text, adapter=file).text for text in asked]

    def request(name: str, scale: float = 1.0) -> Request:
        return Request(chat=[], grammar=None, temperature=0, max_tokens=1, seed=0, stop=(), adapter=name, scale=scale)

    groups = by_adapter([request("a"), request(""), request("a"), request("", 0.5), request("a", 0.5)])
    assert [[item.adapter for item in group] for group in groups] == [["a", "a"], ["", ""], ["a"]]
    with pytest.raises(UserError, match="takes no adapter"):
        open_transformers("repo/x", adapter=file).invoke("x")
