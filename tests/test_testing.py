"""The models that AgentKit ships for tests."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import ClassVar

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from agentkit.errors import DataError
from agentkit.models import Caller, load_model
from agentkit.testing import RecordedModel, ScriptedModel, count_lines, no_network


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


def test_a_script_is_answered_in_turn_and_its_last_reply_repeats() -> None:
    model = ScriptedModel(["one", {"tool": "add", "arguments": {"a": 1, "b": 2}}])
    assert model.invoke("x").text == "one"
    for _ in range(2):
        assert model.bind_tools([add]).invoke("x").tool_calls[0]["args"] == {"a": 1, "b": 2}
    assert model.calls == 3


def test_a_script_that_calls_a_tool_not_on_offer_fails_loudly() -> None:
    with pytest.raises(AssertionError, match="on offer"):
        ScriptedModel([{"tool": "sub"}]).bind_tools([add]).invoke("x")


def test_a_function_may_be_the_script() -> None:
    model = ScriptedModel(lambda messages, tools: f"{messages[-1].text} {tools}")
    assert model.bind_tools([add]).invoke("hi").text == "hi ['add']"


def test_calls_are_counted_in_a_file_across_models(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    for _ in range(2):
        ScriptedModel(["x"], log=str(log)).invoke("hi")
    assert count_lines(log) == 2


def test_a_recording_replays_by_request_and_turn_with_its_usage(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    real = ScriptedModel(["first", "second", "other"])
    recording = RecordedModel(file, real)
    said = [recording.invoke(text) for text in ("a", "a", "b")]
    replay = load_model(f"replay/{file}")
    heard = [replay.invoke(text) for text in ("b", "a", "a")]
    assert [message.text for message in heard] == ["other", "first", "second"]
    assert heard[1].usage_metadata == said[0].usage_metadata
    assert real.calls == 3


def test_a_recording_knows_whether_its_answers_were_held_to_their_schema(tmp_path: Path) -> None:
    class Held(ScriptedModel):
        constrained: ClassVar[bool] = True

    for real, held in ((Held(["x"]), True), (ScriptedModel(["x"]), False)):
        file = tmp_path / f"{held}.jsonl"
        RecordedModel(file, real).invoke("a")
        assert Caller(RecordedModel(file)).constrained is Caller(real).constrained is held


def test_a_recording_is_safe_to_use_from_many_threads(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    recording = RecordedModel(file, ScriptedModel(lambda messages, tools: messages[-1].text))
    threads = [threading.Thread(target=recording.invoke, args=(f"question {number}",)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len({row["key"] for row in rows}) == 16
    assert RecordedModel(file).invoke("question 7").text == "question 7"


def test_tools_and_their_calls_are_recorded(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    reply = AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1, "b": 2}, "id": "c"}])
    RecordedModel(file, ScriptedModel([reply])).bind_tools([add]).invoke("x")
    assert RecordedModel(file).bind_tools([add]).invoke("x").tool_calls[0]["name"] == "add"
    with pytest.raises(DataError):
        RecordedModel(file).invoke("x")


def test_a_request_that_was_not_recorded_names_the_file_and_the_question(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_text("", encoding="utf-8")
    with pytest.raises(DataError, match=r"r\.jsonl.*what now"):
        load_model(f"replay/{file}").invoke([HumanMessage("what now")])


def test_a_recording_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.jsonl"):
        load_model(f"replay/{tmp_path / 'missing.jsonl'}")


def test_no_network_refuses_to_leave_the_machine() -> None:
    import socket

    with no_network(), socket.socket() as leaving, pytest.raises(AssertionError, match=r"192\.0\.2\.1"):
        leaving.connect(("192.0.2.1", 80))


def test_no_network_lets_loopback_through() -> None:
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with no_network(), socket.create_connection(server.getsockname(), timeout=5):
            pass
