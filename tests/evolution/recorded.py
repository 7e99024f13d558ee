"""An evolution of an agent on a recorded real model, for tests in this process and in ones that are killed.

`python -m tests.evolution.recorded --record local/qwen2.5-coder-0.5b` asks the model for what the recording lacks.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.tools import BaseTool
from pydantic import BaseModel, Field

from agentkit.agent import Agent
from agentkit.evolution.config import EvolveConfig
from agentkit.evolution.gate import GatePolicy
from agentkit.evolution.run import parts_of, prepare
from agentkit.graph.program import Solve
from agentkit.protocols import Block, ModelReply
from agentkit.roles.explorer import Approach
from agentkit.settings import Settings
from agentkit.tasks import Task
from agentkit.testing import RecordedModel
from agentkit.tools import tool
from agentkit.tools.calculator import Expression, rounded
from agentkit.tools.calculator import calculate as value_of
from tests.evolution.worlds import final_state

RECORDING = Path(__file__).parent.parent / "fixtures" / "evolve.jsonl"


class Answer(BaseModel):
    """Give the final answer to the task."""

    reasoning: str = Field(description="how the answer follows, in one to three short sentences")
    answer: str = Field(description="the answer alone, in the form that the task asks for")
    used: list[str] = Field(default_factory=list, description="ids of the playbook bullets or cases that helped")


class Prompts(Solve):
    """Prompts and a form of the test's own, so that the recording outlives changes of the explorer's."""

    def answer_form(self, task: Task, work: Approach) -> type[BaseModel]:
        return Answer

    def read_answer(self, task: Task, reply: ModelReply, work: Approach) -> str:
        return str(reply.parsed.answer)

    def explorer_messages(self, task: Task, blocks: Sequence[Block], work: Approach | None = None) -> list[BaseMessage]:
        known = "".join(f"\n{block.text}" for block in blocks)
        return [SystemMessage(f"Solve the task by writing an arithmetic expression.{known}"), HumanMessage(task.input)]


def calculate() -> BaseTool:
    """A tool of the test's own, described as the built-in one was when the answers were recorded."""

    def calculate_answer(expression: Expression, decimals: int) -> str:
        """Give the exact value of an arithmetic expression as the final answer.

        Args:
            expression: such as 1234*5678, (17.5 - 3) / 2, sqrt(2)**3 or 15% * 200.
            decimals: digits after the point, as many as the task asks for.
        """
        return rounded(value_of(expression), decimals)

    made = tool(calculate_answer)
    made.return_direct = True
    return made


def tasks(first: int, count: int) -> list[Task]:
    """Shares and margins, some wanted as fractions and some in percent, as the wording of the kind says."""
    made = []
    for number in range(first, first + count):
        cost, price, kind = 40 + 7 * number, 90 + 13 * number, number % 3
        margin = (price - cost) / price
        text, value = [
            (f"An item costs {cost} and sells for {price}. Give its margin as a fraction, two decimals.", margin),
            (f"An item costs {cost} and sells for {price}. Give its margin in percent, two decimals.", 100 * margin),
            (f"{cost} thousand items are sold at {price} each. Give the revenue, two decimals.", 1000 * cost * price),
        ][kind]
        made.append(Task(id=f"t{number}", input=text, target=f"{value:.2f}", checker="numeric"))
    return made


async def evolve(home: Path, *, concurrency: int = 4, model: Any = None) -> dict[str, Any]:
    """Run the evolution to its end; returns everything that must not depend on interruptions or on concurrency."""
    recorded = RecordedModel(RECORDING, model, name="recorded")
    settings = Settings(home=home, concurrency=concurrency)
    database = f"sqlite:///{home}/agentkit.db"
    options: dict[str, Any] = {"tools": [calculate()], "program": Prompts(), "evaluate": False, "max_rounds": 1,
                               "effort": "agentic"}  # fmt: skip
    with Agent(recorded, settings=settings, store=database, **options) as agent:
        evolvables, learners = parts_of(agent, playbook="p")
        gate = GatePolicy(level=0.4, control="each", chunk=4)
        config = EvolveConfig(batch=3, epochs=2, selection=0.4, patience=0, gate=gate)
        evolution = prepare(agent, tasks(0, 6), val=tasks(20, 10), evolvables=evolvables, learners=learners,
                            config=config)  # fmt: skip
        return final_state(agent.store, await evolution.run())


def main(home: str, concurrency: str = "4") -> None:
    print(json.dumps(asyncio.run(evolve(Path(home), concurrency=int(concurrency))), sort_keys=True))


def record(name: str) -> None:
    import tempfile

    from agentkit.models import load_model

    with tempfile.TemporaryDirectory() as home:
        state = asyncio.run(evolve(Path(home), concurrency=1, model=load_model(name)))
    print(json.dumps(state, indent=1))


if __name__ == "__main__":
    record(sys.argv[2]) if sys.argv[1] == "--record" else main(*sys.argv[1:])
