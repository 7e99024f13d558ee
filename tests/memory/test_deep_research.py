"""The worked example: a plan over a folder of documents becomes a case and, once vouched for, guides the next run."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent
from agentkit.memory import CaseMemory, HashEmbedder, MemoryLearner, MemoryRecaller, RecallSettings
from agentkit.memory.trust import release
from agentkit.store import Store
from agentkit.testing import ScriptedModel
from agentkit.tools import connect_mcp

pytest.importorskip("mcp")
EXAMPLES = Path(__file__).parents[2] / "examples"
SERVER = [sys.executable, str(EXAMPLES / "deep_research.py"), "--serve", str(EXAMPLES / "library")]


def test_a_researched_plan_waits_for_a_person_and_then_guides_the_next_question(store: Store) -> None:
    memory = CaseMemory.open(store, "research", embedder=HashEmbedder())
    always = RecallSettings(learn=False)  # nothing is withheld by chance
    prompts: list[str] = []
    script = [
        {"tool": "Plan", "arguments": {"subtasks": ["find when leeks are due back", "give the number"]}},
        {"tool": "folder_search", "arguments": {"query": "leek seeds due back"}},
        {"reasoning": "loans.md says so", "answer": "26 months"},
        {"reasoning": "", "answer": "26"},
        {"reasoning": "both are done", "answer": "26"},
    ]

    def reply(messages: list[Any], tools: list[str]) -> Any:
        prompts.append("\n".join(str(message.content) for message in messages))
        return script[len(prompts) - 1] if len(prompts) <= len(script) else {"reasoning": "", "answer": "14"}

    async def ask(question: str) -> Any:
        async with connect_mcp({"folder": {"command": SERVER}}) as tools:
            agent = Agent(
                ScriptedModel(reply),
                tools=tools,
                planning=True,
                evaluate=False,
                max_steps=12,
                store=store,
                recallers=[MemoryRecaller(memory, settings=always)],
                learners=[MemoryLearner(memory)],
            )
            result = await agent.arun(question)
            agent.close()
        return result

    first = asyncio.run(ask("After how many months are borrowed leek seeds due back?"))
    assert first.answer == "26"
    assert any("26 months after the loan" in prompt for prompt in prompts)
    case = memory.get(first.run_id)
    assert (case.status, case.trusted, case.outcome) == ("quarantined", False, "unknown")
    assert "find when leeks are due back" in case.plan
    release(memory, [case.id], reward=1.0)
    asyncio.run(ask("After how many months are borrowed pea seeds due back?"))
    assert "1. find when leeks are due back" in prompts[len(script)]
