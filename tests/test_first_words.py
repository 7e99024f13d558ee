"""What a newcomer types first, on the real default model."""

from __future__ import annotations

import re

import pytest

from agentkit import Agent
from agentkit.graph.events import ToolStarted
from agentkit.models.catalog import find

MODEL = "qwen2.5-coder-1.5b"


@pytest.mark.model
@pytest.mark.timeout(900)  # the 1.5b model, on whatever machine this is
@pytest.mark.parametrize("greeting", ["hi", "hello there"])
def test_a_greeting_is_answered_in_words_with_no_tool_call(greeting: str) -> None:
    if not find(MODEL).present:
        pytest.skip(f"{MODEL} is not downloaded: agentkit models pull {MODEL}")
    with Agent(f"local/{MODEL}") as agent:
        events = list(agent.stream(greeting))
        answer = agent.result(events[0].run_id).answer or ""
    assert not [event for event in events if isinstance(event, ToolStarted)]
    assert re.search(r"[A-Za-z]{2}", answer) and not re.search(r"\d", answer)
