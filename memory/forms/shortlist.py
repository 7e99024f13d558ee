"""A closed answer's choices narrowed to those that the nearest cases had."""

from __future__ import annotations

from agentkit.memory.forms.base import Help, RecallQuestion
from agentkit.memory.forms.demonstrations import Demonstrations

SHOWN = 4
"""Of the cases, those that are turns of the chat too."""


class ShortlistForm:
    """The answers of the nearest cases are the choices, and the nearest of them are shown as turns.

    Only above the likeness from which the right answer has been among them: a right answer that is left out can't be
    given. The model's own first choice need not be added. Decoded token by token under a grammar, a model that is left
    its first choice takes it again, so that nothing would have been narrowed.
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
