"""Solved tasks as turns of the chat: the model sees itself give right answers in the very form that is wanted."""

from __future__ import annotations

import re
from collections import Counter

from agentkit.memory.forms.base import Help, RecallQuestion
from agentkit.memory.neighbours import Neighbour

TOLD = 0.1
"""Likeness that a corrected case is ahead: it holds what the model did not know, and what it got right alone does not.
On GeoQuery its own right answers keep a small model in its own style, in which names are not those of the database."""
_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|\d+(?:\.\d+)?")


class Demonstrations:
    """The nearest cases as (input, right answer) turns, the most alike last, next to the task itself.

    Of answers that differ in nothing but the values they quote, as queries do, the two nearest are shown: they tell how
    a value follows from the question, and a third would tell nothing new.

    Args:
        room: characters of all turns together; of long tasks fewer are shown.
        repeats: how many answers that differ in their values alone are shown; None is all.
    """

    name = "demonstrations"
    sizes = (2, 3)
    prior = (3.0, 2.0)

    def __init__(self, *, room: int = 6_000, repeats: int | None = 2) -> None:
        self.room, self.repeats = room, repeats

    def help(self, asked: RecallQuestion, k: int) -> Help | None:
        chosen: list[Neighbour] = []
        shown: Counter[str] = Counter()
        room = self.room
        for item in sorted(asked.near, key=lambda item: -_worth(item)):
            pattern = _pattern(item.answer)
            if pattern and self.repeats is not None and shown[pattern] >= self.repeats:
                continue
            room -= len(item.case.state) + len(item.answer)
            if room < 0 or len(chosen) == k:
                break
            chosen.append(item)
            shown[pattern] += 1
        if not chosen:
            return None
        chosen.sort(key=lambda item: item.likeness)
        return Help(cases=tuple(chosen), turns=tuple((item.case.state, item.answer) for item in chosen))


def _worth(item: Neighbour) -> float:
    return item.likeness + (TOLD if item.case.correction is not None else 0.0)


def _pattern(answer: str) -> str:
    """An answer with the values in it masked; empty where it is short, and nothing but a value or a name."""
    masked = " ".join(_VALUES.sub("?", answer).split())
    return masked if "?" in masked and len(re.findall(r"[^\W\d_]+", masked)) > 2 else ""
