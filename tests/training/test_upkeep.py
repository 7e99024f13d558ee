"""Comparing, adding up and forgetting adapters, with real trainings of a small model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentkit.adapters import Adapter, AdapterStore, hash_of
from agentkit.agent import Agent
from agentkit.changes import decide
from agentkit.errors import UserError
from agentkit.ledger import Verdict
from agentkit.models.llamacpp import LlamaCppChat
from agentkit.models.lora_files import read_adapter
from agentkit.models.transformers import open_transformers
from agentkit.training import Edits, TrainConfig, compare, forget, merge, train_adapter
from agentkit.training.upkeep import add_up, examples_of
from tests.training.small import LORA, agent_of, question, tasks

CONFIG = TrainConfig(recipe=Edits(), lora=LORA)


def accepted(agent: Agent, name: str, rows: list[Any]) -> AdapterStore:
    """An adapter that was trained on these tasks, put in force by a person."""
    report = train_adapter(agent, rows, name, config=CONFIG, probes=())
    decide(agent.store, report.rounds[0].change.id, accept=True, reason="seen")
    return AdapterStore(agent.store, name, folder=agent.settings.home / "adapters")


@pytest.fixture
def agent(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AGENTKIT_HOME", str(tmp_path))
    with agent_of(tmp_path, tiny) as made:
        yield made


def test_versions_are_compared_by_what_they_learned_from(agent: Agent) -> None:
    adapters = accepted(agent, "a", tasks(0, 16))
    accepted(agent, "a", tasks(4, 18))
    found = compare(adapters, 1, 2)
    assert (found["shared"], len(found["removed"]), len(found["added"])) == (12, 4, 6)
    assert found["removed"][0]["asked"].endswith("say 0") and found["removed"][0]["answer"] == '{"answer": "ok"}'
    assert found["changed"]["examples"] == [16, 18] and "rank" not in found["changed"]
    bare = compare(adapters, 0, 1)
    assert bare["shared"] == 0 and len(bare["added"]) == 16 and bare["changed"]["rank"] == [None, 4]


def test_what_came_from_a_source_is_trained_out_and_what_learned_from_it_is_deleted(agent: Agent) -> None:
    adapters = accepted(agent, "a", tasks(0, 20))
    first = adapters.at(1)
    assert first is not None
    file, folder = adapters.path(first), examples_of(adapters, first).parent
    with pytest.raises(UserError, match="learned nothing from 'somebody'"):
        forget(agent, "a", "somebody")
    done = forget(agent, "a", "t3")
    assert (done.examples, done.left, done.versions, done.version) == (1, 19, (1,), 2)
    now = adapters.at(2)
    assert now is not None and len(now.examples) == 19 and now.sha256 != first.sha256
    assert not file.exists() and not folder.exists()
    assert "say 3\\n" not in examples_of(adapters, now).read_text().replace('"]', "\\n")
    with pytest.raises(UserError, match="is gone; train it again"):
        adapters.path(first)
    everything = forget(agent, "a", "label")
    assert (everything.examples, everything.left, everything.version) == (19, 0, 3)
    assert adapters.at(3) is None, "too few are left: the bare model is in force"
    with pytest.raises(UserError, match="is at version 0, which has learned nothing"):
        forget(agent, "a", "label")


def test_forgetting_makes_the_very_adapter_that_never_learned_from_it(agent: Agent, tiny: Path, tmp_path: Path) -> None:
    adapters = accepted(agent, "a", tasks(0, 18))
    forget(agent, "a", "t17")
    other = tmp_path / "other"
    other.mkdir()
    with agent_of(other, tiny) as never:
        report = train_adapter(never, tasks(0, 17), "a", config=CONFIG, probes=())
        made = AdapterStore(never.store, "a", folder=other / "adapters")
        change = made.ledger.get(report.rounds[0].change.id)
    now = adapters.at(adapters.version())
    assert now is not None and change.operations[0]["adapter"]["sha256"] == now.sha256


def test_two_adapters_add_up_to_one_that_says_what_both_teach(agent: Agent, tiny: Path, tmp_path: Path) -> None:
    one, other = accepted(agent, "a", tasks(0, 16)), accepted(agent, "b", tasks(40, 16, target="no"))
    third = AdapterStore(agent.store, "c", folder=one.folder)
    change = merge(one, other, third, weights=(1.0, 0.0))
    assert change.status == "quarantined" and change.note == "merge of a@1 × 1 and b@1 × 0, 32 examples"
    assert merge(one, other, third, weights=(1.0, 0.0)).id == change.id
    decide(agent.store, change.id, accept=True, reason="tried")
    same = [agent_of(tmp_path, tiny, adapter=name).run(question(555)).answer for name in ("a", "c")]
    assert same == ["ok", "ok"]
    with pytest.raises(UserError, match="is a merge of a@1"):
        forget(agent, "c", "label")
    adapter = Adapter(sha256="0" * 64, base="1" * 64, model="x", recipe="own", training="t", examples=(), settings={})
    odd = AdapterStore(agent.store, "d", folder=one.folder)
    (odd.folder / "files").mkdir(exist_ok=True)
    (odd.folder / "files" / adapter.file_name).write_bytes(b"")
    wrong = odd.propose(adapter)
    odd.ledger.apply(wrong.id, lambda connection, applied: None, verdict=Verdict(decision="accept", reason="x"))
    with pytest.raises(UserError, match="adapter:d on another model"):
        merge(one, odd, third)


def test_the_sum_of_files_is_the_sum_of_their_matrices(agent: Agent, tmp_path: Path) -> None:
    import numpy as np

    adapters = accepted(agent, "a", tasks(0, 16))
    adapter = adapters.at(1)
    assert adapter is not None
    file = adapters.path(adapter)
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
    import asyncio

    from agentkit.models.batching import by_adapter
    from agentkit.models.rows import Request

    adapters = accepted(agent, "a", tasks(0, 16))
    adapter = adapters.at(1)
    assert adapter is not None and hash_of(tiny) == adapter.base
    file = str(adapters.path(adapter))
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
