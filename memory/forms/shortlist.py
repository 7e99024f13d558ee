"""The choices of a closed answer, narrowed to the answers of the nearest cases."""

from __future__ import annotations

from agentkit.memory.forms.base import Help, RecallQuestion
from agentkit.memory.forms.demonstrations import Demonstrations

SHOWN = 4
"""How many of the cases are also shown as chat turns."""


class ShortlistForm:
    """The answers of the nearest cases become the choices, and the nearest few cases are shown as turns.

    This is done only above the similarity at which the right answer has been among them, since a right answer that is
    left out can't be given. The model's own first choice is not added on purpose: decoding token by token under a
    grammar, a model that still has its first choice takes it again, so nothing would have been narrowed.
    """

    name = "shortlist"
    sizes = (8,)
    prior = (4.0, 1.0)

    def __init__(self) -> None:
        self._shown = Demonstrations()

    def help(self, asked: RecallQuestion, k: int) -> Help | None:
        if asked.covered is None or not asked.near or asked.near[0].likeness < asked.covered:
            return None
        near = [item for item in asked.near[:k] if asked.comparable and item.answer in asked.choices]
        answers = {item.answer for item in near}
        shown = self._shown.help(RecallQuestion(task=asked.task, near=near), SHOWN)
        if len(answers) < 2 or shown is None:
            return None
        short = tuple(choice for choice in asked.choices if choice in answers)
        return Help(cases=tuple(reversed(near)), turns=shown.turns, choices=short)
