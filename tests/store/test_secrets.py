"""What is written down holds no secret of a known shape, wherever it came from; the run that is under way does."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from agentkit import Agent, tool
from agentkit.memory import Case, CaseMemory, HashEmbedder
from agentkit.models import Caller
from agentkit.models.journal import SqlJournal
from agentkit.redaction import redact_data
from agentkit.store import Store
from agentkit.tasks import Task
from agentkit.testing import ScriptedModel

KEYS = {
    "input": "sk-inputinputinput1",
    "instructions": "ghp_instructions12345",
    "metadata": "glpat-metadatametadata1",
    "arguments": "hf_argumentsargument1",
    "result": "xoxb-resultresult123",
    "answer": "npm_answeransweransw1",
}


def everything(store: Store) -> str:
    """All that the files of a database hold."""
    path = Path(str(store.engine.url.database))
    sqlite3.connect(path).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return path.read_bytes().decode("latin-1")


def agent_of(store: Store, seen: list[str], approve: Sequence[str] = ()) -> Agent:
    @tool
    def look(key: str) -> str:
        """Look something up."""
        seen.append(key)
        return f"Authorization: Bearer {KEYS['result']} was sent back"

    call = {"name": "look", "args": {"key": KEYS["arguments"]}, "id": "1"}
    model = ScriptedModel([AIMessage("", tool_calls=[call]), AIMessage(f"It is {KEYS['answer']}")])
    return Agent(model, tools=[look], store=store, effort="agentic", approve=approve,
                 instructions=f"Use {KEYS['instructions']}")  # fmt: skip


def test_nothing_of_a_run_that_holds_secrets_is_stored_and_the_run_works_with_them(store: Store) -> None:
    seen: list[str] = []
    agent = agent_of(store, seen)
    task = Task(id="t", input=f"Look with {KEYS['input']}", metadata={"k": KEYS["metadata"]})
    result = agent.run(task, run_id="r")
    assert (result.answer, seen) == (f"It is {KEYS['answer']}", [KEYS["arguments"]])
    text = everything(store)
    assert [name for name, key in KEYS.items() if key in text] == []
    assert "[redacted: an API key]" in text
    again = agent.run(task, run_id="r")  # a finished run of the same task is given back
    assert again.answer == "It is [redacted: an API key]"


def test_what_a_person_is_asked_is_kept_without_secrets(store: Store) -> None:
    seen: list[str] = []
    agent = agent_of(store, seen, approve=["look"])
    assert agent.run("hello", run_id="r").status == "waiting"
    text = everything(store)
    assert [name for name, key in KEYS.items() if key in text] == []
    assert agent.resume("r", True).status == "done" and seen == ["[redacted: an API key]"]


def test_feedback_of_people_and_cases_hold_no_secret(store: Store) -> None:
    CaseMemory.open(store, "m", embedder=HashEmbedder(32)).add(
        Case(state=f"mail {KEYS['input']}", plan=f"use {KEYS['arguments']}\nAnswer: {KEYS['answer']}",
             answer=KEYS["answer"], reward=1.0)
    )  # fmt: skip
    agent = agent_of(store, [])
    agent.run("hello", run_id="r")
    agent.feedback("r", score=0.0, answer=KEYS["metadata"], text=f"not {KEYS['result']}")
    text = everything(store)
    assert [name for name, key in KEYS.items() if key in text] == []


async def test_a_run_that_is_taken_up_finds_calls_that_were_made_with_a_secret(store: Store) -> None:
    prompt = f"the key is {KEYS['input']}"
    first = ScriptedModel([AIMessage("one")])
    await Caller(first, journal=SqlJournal(store, None, prefix="p")).call([HumanMessage(prompt)], scope="s")
    from_store = redact_data(prompt)
    reply = await Caller(first, journal=SqlJournal(store, None, prefix="p")).call([HumanMessage(from_store)], scope="s")
    assert (reply.text, reply.replayed) == ("one", True)


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ({"Authorization": "x"}, {"Authorization": "[redacted: a password]"}),
        ({"db_password": "hunter", "user": "ann"}, {"db_password": "[redacted: a password]", "user": "ann"}),
        ([("Bearer abcdefghijklmnop",)], [("Bearer [redacted: a token]",)]),
        ({"tokens": 5, "note": "the token is late"}, {"tokens": 5, "note": "the token is late"}),
    ],
)
def test_secrets_are_known_by_their_shape_or_by_the_name_they_stand_under(data: Any, wanted: Any) -> None:
    assert redact_data(data) == wanted and redact_data(wanted) == wanted
