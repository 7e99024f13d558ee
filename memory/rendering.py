"""Cases as text for a planner, with successes and failures separate and labelled."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agentkit.memory.case import ANSWER, WRONG, Case
from agentkit.memory.text import plan_steps
from agentkit.text import defuse

STATE_LIMIT, PLAN_LIMIT = 1200, 1600


def render(cases: Sequence[Case]) -> str:
    """A block of successes to follow and failures to avoid (AgentFly §4.1); nothing in it can close the block."""
    good = [case for case in cases if case.outcome == "success"]
    bad = [case for case in cases if case.outcome == "failure"]
    rest = [case for case in cases if case.outcome == "unknown"]
    parts = []
    if good:
        parts.append("Earlier tasks that were solved. Reuse their way of working, not their answers:\n" + _list(good))
    if bad:
        parts.append("Earlier tasks that FAILED this way. Do not repeat it:\n" + _list(bad))
    if rest:
        parts.append("Earlier tasks whose outcome is unknown:\n" + _list(rest))
    return "\n\n".join(parts)


def _list(cases: Sequence[Case]) -> str:
    return "\n".join(f"[{_id(case)}] Task: {_clip(case.state, STATE_LIMIT)}\n{_plan(case)}" for case in cases)


def _id(case: Case) -> str:
    """Ids stored before ids were validated may contain anything."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", case.id[:64])


def _plan(case: Case) -> str:
    """How the task was done, and the answer: the one known to be right, or the run's own, marked as wrong if it was."""
    steps = plan_steps(case.way)
    if case.correction is not None:
        steps = (f"{ANSWER}{case.correction}",)  # its steps led to the wrong answer
    elif case.answer is not None and case.way != case.plan:
        steps = (*steps, f"{WRONG if case.outcome == 'failure' else ANSWER}{case.answer}")
    if len(steps) < 2:
        return f"How: {_clip(' '.join(steps), PLAN_LIMIT)}"
    lines = "\n".join(f"  {number}. {' '.join(step.split())}" for number, step in enumerate(steps, 1))
    return "How:\n" + defuse(lines if len(lines) <= PLAN_LIMIT else lines[:PLAN_LIMIT] + " …")


def _clip(text: str, limit: int) -> str:
    text = " ".join(text.split())
    return defuse(text if len(text) <= limit else f"{text[: limit // 2]} … {text[-limit // 2 :]}")
