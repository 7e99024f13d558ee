"""No recall: the task alone."""

from __future__ import annotations

from agentkit.memory.forms.base import Help, RecallQuestion


class Nothing:
    """The model is asked as if there were no memory."""

    name = "none"
    sizes = (0,)
    prior = (2.0, 2.0)

    def help(self, asked: RecallQuestion, k: int) -> Help | None:
        return Help()
