"""Solved tasks as chat turns: the model sees itself giving right answers in exactly the required form."""

from __future__ import annotations

import re
from collections import Counter

from agentkit.memory.forms.base import Help, RecallQuestion
from agentkit.memory.neighbours import Neighbour

TOLD = 0.1
"""Similarity bonus of corrected cases: they contain what the model did not know, unlike those it got right by itself.
On GeoQuery, a small model's own right answers keep it in its own style, with names that are not the database's."""
_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|\d+(?:\.\d+)?")


class Demonstrations:
    """The nearest cases as (input, right answer) turns, the most similar one last, next to the task itself.

    Among answers that differ only in the values they quote, as queries do, the two nearest are shown: two show how a
    value follows from the question, and a third would add nothing.

    Where the input can be compared with many choices, this form abstains: a small model that has seen a few of them
    answered chooses worse than `OptionsForm` (along 218 messages of Banking77: .45 right of 55, and .71 of 147).

    Args:
        room: maximum characters of all turns together; fewer long tasks are shown.
        repeats: how many answers that differ only in their values are shown; None means all.
    """

    name = "demonstrations"
    sizes = (2, 3)
    prior = (3.0, 2.0)

    def __init__(self, *, room: int = 6_000, repeats: int | None = 2) -> None:
        self.room, self.repeats = room, repeats

    def help(self, asked: RecallQuestion, k: int) -> Help | None:
        if asked.resemblance is not None:
            return None
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
    """An answer with its values masked; empty if it is short, or nothing but a value or a name."""
    masked = " ".join(_VALUES.sub("?", answer).split())
    return masked if "?" in masked and len(re.findall(r"[^\W\d_]+", masked)) > 2 else ""
