"""A run killed at any named point goes on: no completed model call is repeated, every effect is there once."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from agentkit.ledger import Ledger
from agentkit.store import Store
from agentkit.store.run_log import RunLog
from agentkit.store.runs import FeedbackRow, ModelCallRow, ToolCallRow
from agentkit.testing import count_lines

RUN = """
from langchain_core.messages import HumanMessage
from agentkit.agent import Agent
from agentkit.ledger import Change, Ledger
from agentkit.protocols import Learnt
from agentkit.store import Store
from agentkit.testing import RecordedModel

url, recording, log, effects = ARGS
store = Store.open(url)

class Learner:
    name = "lessons"
    async def learn(self, episode, *, call):
        reply = await call("reflector", [HumanMessage("what is the lesson?")])
        change = Change(key=f"{episode.run_id}:lesson", kind="playbook", target="playbook:test", base=0,
                        operations=({"op": "add", "text": reply.text},), role="curator", run_id=episode.run_id)
        done = Ledger(store).commit(change, lambda connection, change: None)
        return Learnt(status="applied", changes=(done.id,))

def note(text: str) -> str:
    '''Write a line down.

    Args:
        text: the line.
    '''
    with open(effects, "a") as file:
        file.write(text + "\\n")
    return "written"

model = RecordedModel(recording, log=log)
with Agent(model, tools=["calculator", note], store=store, learners=[Learner()], evaluate=True) as agent:
    agent.run("What is 1234*5678?", run_id="r1")
"""

RECORD = """
from agentkit.testing import RecordedModel, ScriptedModel
real = ScriptedModel([
    {"tool": "calculator", "arguments": {"expression": "1234*5678"}},
    {"tool": "note", "arguments": {"text": "7006652"}},
    {"reasoning": "guess", "answer": "1"},
    {"reason": "that is not what the tool said", "verdict": "revise", "confidence": 0.9},
    {"reasoning": "the tool", "answer": "7006652"},
    {"reason": "it follows", "verdict": "accept", "confidence": 0.9},
    "use the calculator",
])
recording_model = RecordedModel(recording, real)
"""

CALLS = 7


@pytest.fixture
def recording(tmp_path: Path, kill_at: Callable[..., int]) -> Path:
    """An undisturbed run, recorded once."""
    path = tmp_path / "calls.jsonl"
    args = (str(tmp_path / "record.db"), str(path), str(tmp_path / "log0"), str(tmp_path / "effects0"))
    code = RUN.replace("ARGS", repr(args)).replace(
        "model = RecordedModel(recording, log=log)", RECORD + "\nmodel = recording_model"
    )
    assert kill_at(code, None) == 0
    assert count_lines(path) == CALLS
    return path


def points() -> list[str]:
    names = ["before:model.call", "after:model.call"]
    calls = [f"{name}#{nth}" for name in names for nth in range(1, CALLS + 1)]
    tools = [f"{when}:tool.call#{nth}" for when in ("before", "after") for nth in (1, 2)]
    saves = [f"{when}:checkpoint#{nth}" for when in ("before", "after") for nth in (1, 2, 3, 5, 8, 9)]
    return [*calls, *tools, *saves, "before:ledger.commit", "after:ledger.commit"]


@pytest.mark.kill
def test_a_run_killed_at_every_named_point_finishes_when_resumed(
    tmp_path: Path, recording: Path, forked: Callable[[list[tuple[str, str | None]]], list[int]]
) -> None:
    snippets: list[tuple[str, str | None]] = []
    Store.open(tmp_path / "empty.db").close()
    for number, point in enumerate(points()):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copy(tmp_path / "empty.db", folder / "a.db")
        args = (str(folder / "a.db"), str(recording), str(folder / "log"), str(folder / "effects"))
        code = RUN.replace("ARGS", repr(args))
        snippets += [(code, point), (code, None)]
    codes = forked(snippets)
    for number, point in enumerate(points()):
        assert codes[2 * number] == -9, f"{point} was not reached"
        assert codes[2 * number + 1] == 0, point
        check(tmp_path / str(number), point)


def check(folder: Path, point: str) -> None:
    store = Store.open(folder / "a.db")
    record = RunLog(store).get("r1")
    assert (record.status, record.answer) == ("done", "7006652"), point
    assert count_lines(folder / "log") == CALLS, point
    assert Ledger(store).verify("playbook:test") == 1, point
    with store.read() as connection:
        assert len(connection.execute(select(ModelCallRow.key)).all()) == CALLS, point
        tools = Counter(connection.execute(select(ToolCallRow.tool)).scalars())
        assert tools == {"calculator": 1, "note": 1}, point
        assert len(connection.execute(select(FeedbackRow.id)).all()) == 2, point
    assert (folder / "effects").read_text() == "7006652\n", point
    store.close()
