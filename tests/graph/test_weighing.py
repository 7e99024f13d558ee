"""Votes of near cases and the model's own likelihoods: what each can do, and that a resumed run decides the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from agentkit.agent import Agent
from agentkit.checkers import CHECKERS, CheckerParts
from agentkit.graph.weighing import likeliest
from agentkit.json_types import JsonObject
from agentkit.protocols import Block
from agentkit.store import Store
from agentkit.tasks import Feedback, Task
from agentkit.testing import ScriptedModel

CHOICES = ("card lost", "card late", "transfer", "other")
TASK = Task(id="t", input="It is not here.", choices=CHOICES)


@pytest.mark.parametrize(
    ("shares", "votes", "best"),
    [
        ({"card late": 0.6, "card lost": 0.4}, [], "card late"),
        ({"card late": 0.6, "card lost": 0.4}, [("card lost", 0.9)], "card lost"),
        ({"card late": 0.99, "card lost": 0.01}, [("card lost", 0.9)], "card late"),
        ({"card late": 0.9, "card lost": 0.1}, [("card lost", 0.9)] * 8, "card lost"),
        ({"card late": 0.6}, [("transfer", 0.9)] * 8, "card late"),
        ({"other": 1.0}, [("card lost", 0.9), ("card late", 0.8)], "other"),
    ],
)
def test_the_product_of_both_decides(shares: dict[str, float], votes: list[tuple[str, float]], best: str) -> None:
    assert likeliest(shares, votes, CHOICES) == best


class Doubting(ScriptedModel):
    """Says "card late", and how likely it thought "card lost" instead."""

    tells_logprobs: bool = True
    rival: float = 0.4

    def _answer(self, messages: list[Any], **kwargs: Any) -> AIMessage:
        super()._answer(messages, **kwargs)
        pieces = [('{"answer": "card l', 1.0, []), ("ate", 1 - self.rival, [("ost", self.rival)]), ('"}', 1.0, [])]
        told = [
            {
                "token": token,
                "logprob": math.log(share),
                "top_logprobs": [
                    {"token": other, "logprob": math.log(value)} for other, value in [(token, share), *others]
                ],
            }
            for token, share, others in pieces
        ]
        text = "".join(token for token, _share, _others in pieces)
        return AIMessage(text, response_metadata={"logprobs": {"content": told}})


class Near:
    """Recalls that the nearest cases were lost cards."""

    name = "near"

    def __init__(self, votes: Sequence[tuple[str, float]]) -> None:
        self.votes = tuple(votes)

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        return Block(kind="cases", target="cases:near", version=0, text="", votes=self.votes, untrusted=False)


def answered(store: Store, rival: float, votes: Sequence[tuple[str, float]]) -> tuple[str | None, Any]:
    with Agent(Doubting(["x"], rival=rival), tools=[], store=store, recallers=[Near(votes)]) as agent:
        result = agent.run(TASK)
        [kept] = agent.log.blocks(result.run_id) or ()
        assert kept.votes == tuple(votes)
        return result.answer, result.usage.calls


def test_votes_turn_a_doubtful_answer_over_and_leave_a_sure_one(store: Store) -> None:
    votes = [("card lost", 0.9)]
    assert answered(store, 0.4, []) == ("card late", 1)
    assert answered(store, 0.4, votes) == ("card lost", 1)
    assert answered(store, 0.01, votes) == ("card late", 1)


class Alike:
    """Recalls how much the input resembles each choice."""

    name = "alike"

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        alike = (("card lost", 0.8), ("card late", 0.7), ("transfer", 0.5))
        return Block(kind="cases", target="cases:alike", version=0, text="", alike=alike, untrusted=False)


@pytest.mark.parametrize(("rival", "answer"), [(0.4, "card lost"), (0.0001, "card lost")])
def test_what_solved_tasks_say_of_each_choice_is_weighed_too_and_leaves_the_choice_known(
    store: Store, rival: float, answer: str
) -> None:
    with Agent(Doubting(["x"], rival=rival), tools=[], store=store, recallers=[Alike()]) as agent:
        result = agent.run(TASK)
        record = agent.log.get(result.run_id).effort
    assert result.answer == answer and record is not None
    assert (record["weighed"]["by"], record["weighed"]["model"]) == ("cases", "card late")
    assert next(iter(record["weighed"]["logprobs"]["choices"])) == answer


class NotLost:
    """Objects to "card lost"."""

    name, needs_target, channel = "not-lost", False, "check"

    async def check(self, answer: str, task: Task) -> Feedback:
        return Feedback(channel="check", score=float(answer != "card lost"), text="it was found")


@CHECKERS.register("not-lost")
def not_lost(settings: JsonObject, parts: CheckerParts) -> NotLost:
    return NotLost()


@pytest.mark.parametrize("recaller", [Near([("card lost", 0.9)]), Alike()])
def test_what_was_objected_to_does_not_win_again(store: Store, recaller: Near | Alike) -> None:
    with Agent(Doubting(["x"], rival=0.4), tools=[], store=store, recallers=[recaller]) as agent:
        result = agent.run(TASK.model_copy(update={"checker": "not-lost"}))
    assert (result.answer, result.rounds, result.status) == ("card late", 2, "done")
