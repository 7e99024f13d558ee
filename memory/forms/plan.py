"""Solved tasks as a block of text with the ways they were solved (AgentFly, arXiv 2508.16153 §4.1)."""

from __future__ import annotations

from agentkit.memory.forms.base import Help, RecallQuestion
from agentkit.memory.rendering import render


class PlanForm:
    """The nearest cases that have a recorded way of working; a case with only an answer offers no plan to follow."""

    name = "plan"
    sizes = (3,)
    prior = (2.0, 2.0)

    def help(self, asked: RecallQuestion, k: int) -> Help | None:
        chosen = [item for item in asked.near if item.case.way and item.case.correction is None][:k]
        if not chosen:
            return None
        return Help(cases=tuple(chosen), text=render([item.case for item in chosen]))
