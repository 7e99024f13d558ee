"""Solved tasks as turns of the chat: the model sees itself give right answers in the very form that is wanted."""

from __future__ import annotations

from agentkit.memory.forms.base import Help, RecallQuestion


class Demonstrations:
    """The nearest cases as (input, right answer) turns, the most alike last, next to the task itself.

    Args:
        room: characters of all turns together; of long tasks fewer are shown.
    """

    name = "demonstrations"
    sizes = (2, 4)
    prior = (3.0, 2.0)

    def __init__(self, *, room: int = 6_000) -> None:
        self.room = room

    def help(self, asked: RecallQuestion, k: int) -> Help | None:
        chosen = []
        room = self.room
        for item in asked.near[:k]:
            room -= len(item.case.state) + len(item.answer)
            if room < 0:
                break
            chosen.append(item)
        if not chosen:
            return None
        chosen.reverse()
        return Help(cases=tuple(chosen), turns=tuple((item.case.state, item.answer) for item in chosen))
