from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage

from agentkit.ledger import Ledger, Verdict
from agentkit.models.budget import Usage
from agentkit.models.caller import Reply
from agentkit.playbooks.batch_learner import BatchLessons, Lessons
from agentkit.playbooks.storage import PlaybookStore
from agentkit.protocols import Episode
from agentkit.store import Store
from agentkit.tasks import Feedback, Task

TEXTS = [
    "Profits rose from $60,000 to $100,000 within 365 days. What is the growth in percent of 100?",
    "Sales fell from 80 to 50 within 365 days. What is the growth in percent of 100?",
]


async def proposed(store: Store, lesson: str, texts: list[str], key: str = "k") -> list[str]:
    """What is proposed after wrong answers to such tasks, where this lesson is what the model found."""

    async def call(role: str, messages: Any, *, schema: Any = None) -> Reply:
        parsed = Lessons.model_validate({"lessons": [{"cause": "c", "content": lesson}]})
        return Reply(message=AIMessage(""), parsed=parsed, usage=Usage())

    book = PlaybookStore.open(store, "p")
    wrong = (Feedback(channel="label", score=0),)
    episodes = [
        Episode(run_id=f"r{n}", task=Task(id=str(n), input=text), answer="1", labels="gold", feedback=wrong)
        for n, text in enumerate(texts)
    ]
    learnt = await BatchLessons(book).learn_batch(episodes, key=key, call=call)
    ledger = Ledger(store)
    return [operation["content"] for id_ in learnt.changes for operation in ledger.get(id_).operations]


@pytest.mark.parametrize(
    ("lesson", "texts", "kept"),
    [
        ("Growth from 60,000 to 100,000 is 66.7.", TEXTS, False),
        ("Divide by the first amount, 80, and not by 50.", TEXTS, False),
        ("Multiply by 100 and divide by 365.", TEXTS, True),
        ("Divide by the first amount.", TEXTS[:1], True),
        ("Growth from 60,000 to 100,000 is 66.7.", TEXTS[:1], False),
    ],
)
async def test_a_lesson_that_tells_one_task_again_is_not_proposed(
    store: Store, lesson: str, texts: list[str], kept: bool
) -> None:
    assert await proposed(store, lesson, texts) == ([lesson] if kept else [])


async def test_a_lesson_that_waits_for_the_gate_or_did_not_pass_it_is_not_proposed_again(store: Store) -> None:
    lesson = "Divide by the first amount."
    assert await proposed(store, lesson, TEXTS) == [lesson]
    assert await proposed(store, lesson, TEXTS) == [lesson]  # the same batch, repeated after a crash
    assert await proposed(store, "divide by the first amount", TEXTS, key="later") == []
    (change,) = Ledger(store).history("playbook:p")
    Ledger(store).decide(change.id, Verdict(decision="reject", reason="no gain"))
    assert await proposed(store, lesson, TEXTS, key="later still") == []
