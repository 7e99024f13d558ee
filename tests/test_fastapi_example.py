"""The FastAPI example streams a run to whoever opens its page, over real HTTP."""

from __future__ import annotations

import importlib.util
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from agentkit.agent import Agent
from agentkit.errors import ModelError
from agentkit.store import Store
from agentkit.testing import ScriptedModel
from tests.conftest import ROOT
from tests.graph.test_runnable import Written

pytest.importorskip("fastapi", reason="FastAPI is not installed")
uvicorn = pytest.importorskip("uvicorn", reason="the server extra is not installed")


def example() -> Any:
    spec = importlib.util.spec_from_file_location("fastapi_app", ROOT / "examples" / "fastapi_app.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def model() -> ScriptedModel:
    return Written(["two", " and", " two"])


@pytest.fixture
def address(store: Store, model: ScriptedModel) -> Iterator[str]:
    with Agent(model, tools=[], store=store) as agent:
        config = uvicorn.Config(example().create_app(agent), port=0, log_level="error", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        server.should_exit = True
        thread.join()


def streamed(address: str) -> list[dict[str, Any]]:
    with httpx.stream("GET", f"{address}/runs", params={"question": "two and two?"}, timeout=60) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        return [json.loads(line.removeprefix("data: ")) for line in response.iter_lines() if line]


def test_the_page_is_there_and_its_stream_ends_with_the_answer(address: str) -> None:
    assert 'new EventSource("/runs?"' in httpx.get(address).text
    events = streamed(address)
    assert [event["text"] for event in events if event["type"] == "words"] == ["two", " and", " two"]
    assert events[0]["type"] == "run_started"
    assert (events[-1]["type"], events[-1]["answer"]) == ("run_ended", "two and two")


def test_what_goes_wrong_is_the_stream_s_last_event(address: str, model: ScriptedModel) -> None:
    def fail(_messages: object, *_args: object, **_more: object) -> Any:
        raise ModelError("the account has no money")

    object.__setattr__(model, "_astream", fail)
    assert streamed(address)[-1] == {"type": "failed", "error": "the account has no money"}
