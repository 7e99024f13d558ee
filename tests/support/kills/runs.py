"""Runs with tools, an evaluator and a learner: each ends whole, with the calls and the lesson of one run, once."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from pathlib import Path

from langchain_core.messages import HumanMessage
from sqlalchemy import select

from agentkit.agent import Agent
from agentkit.ledger import Change, Ledger
from agentkit.protocols import CallModel, Episode, Learnt
from agentkit.store import Store
from agentkit.store.run_log import RunLog
from agentkit.store.runs import ModelCallRow, ToolCallRow
from agentkit.testing import RecordedModel, ScriptedModel, count_lines
from tests.support.kills.work import Say, Work, number_of

TASK = "How many grams are 17 parcels of 250 g?"
REPLIES = [
    {"tool": "calculator", "arguments": {"expression": "17*250"}},
    {"reasoning": "a guess", "answer": "1"},
    {"reason": "the tool says otherwise", "verdict": "revise", "confidence": 0.9},
    {"reasoning": "the tool", "answer": "4250"},
    {"reason": "it follows", "verdict": "accept", "confidence": 0.9},
    "read what the calculator says",
]
TARGET = "playbook:kills"


class Lessons:
    """A learner that asks the model for a lesson and stores it."""

    name = "lessons"

    def __init__(self, store: Store) -> None:
        self.store = store

    async def learn(self, episode: Episode, *, call: CallModel) -> Learnt:
        reply = await call("reflector", [HumanMessage("What is the lesson?")])
        change = Change(
            key=f"{episode.run_id}:lesson", kind="playbook", target=TARGET, base=0, role="curator",
            operations=({"op": "add", "text": reply.text},), run_id=episode.run_id,
        )  # fmt: skip
        done = Ledger(self.store).commit(change, lambda connection, change: None)
        return Learnt(status="applied", changes=(done.id,))


def run(folder: Path, database: str, model: RecordedModel, numbers: itertools.count[int] | range, say: Say) -> None:
    store = Store.open(folder / database)
    with Agent(model, tools=["calculator"], store=store, learners=[Lessons(store)], evaluate=True) as agent:
        for number in numbers:
            agent.run(TASK, run_id=f"r{number}")
            say(str(number))


def prepare(folder: Path) -> None:
    """Record one run, which all others replay."""
    run(folder, "recorded.db", RecordedModel(folder / "calls.jsonl", ScriptedModel(REPLIES)), range(1), lambda _: None)


def work(folder: Path, said: list[str], say: Say) -> None:
    model = RecordedModel(folder / "calls.jsonl", log=str(folder / "made"))
    run(folder, "a.db", model, itertools.count(number_of(said)), say)


def problems(folder: Path, said: list[str], stops: int, rng: random.Random) -> list[str]:
    """Calls are made again only where one was cut off between its answer and the journal: one a stop at most."""
    store, found = Store.open(folder / "a.db"), list[str]()
    done = {f"r{line}" for line in said}
    with store.read() as connection:
        calls = Counter(connection.execute(select(ModelCallRow.run_id)).scalars())
        tools = Counter(connection.execute(select(ToolCallRow.run_id)).scalars())
    lessons = Counter(change.run_id for change in Ledger(store).applied(TARGET))
    records = {record.id: record for record in RunLog(store).runs(limit=None)}
    for id in sorted(done):
        record = records.get(id)
        if record is None or (record.status, record.answer) != ("done", "4250"):
            found.append(f"{id} is {record and record.status}")
        counts = (calls[id], tools[id], lessons[id])
        if counts != (len(REPLIES), 1, 1):
            found.append(f"{id} has {counts} calls, tool calls and lessons")
    found += [f"{id} is running" for id, record in records.items() if record.status == "running"]
    if (again := count_lines(folder / "made") - calls.total()) > stops:
        found.append(f"{again} calls were made again after {stops} stops")
    Ledger(store).verify(TARGET)
    store.close()
    return found


WORK = Work(name="runs", prepare=prepare, work=work, problems=problems)
