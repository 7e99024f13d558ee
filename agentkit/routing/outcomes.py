"""Turns a finished run, and what is known about its answers, into an outcome that routing learns from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentkit.routing.record import EffortOutcome
from agentkit.tasks import Task

Score = Callable[[str], float | None]
"""Gives the score of an answer's text; None if unknown."""


def kind_in(task: Task, tools: Sequence[str]) -> str:
    """The kind of a task; tasks that tools can help with are a kind of their own.

    Args:
        tools: the tools that could help.
    """
    from agentkit.memory.kinds import kind_of

    return f"{kind_of(task) or 'plain'}{'+tools' if tools else ''}"


def outcome_of(
    run_id: str,
    task: Task,
    effort: Mapping[str, Any],
    calls: Sequence[Mapping[str, Any]],
    *,
    answer: str | None,
    score: float,
    confidence: float | None = None,
    score_of: Score = lambda text: None,
) -> EffortOutcome | None:
    """The outcome of a run.

    Args:
        effort: the decisions on its effort, from the run's record.
        calls: its model calls, as returned by `RunLog.steps`.
        answer, score: its answer and that answer's score.
        confidence: the estimated probability that the answer is right.
        score_of: gives the scores of earlier answers.

    Returns:
        None if no model answered, or the run is from a version that did not record modes.
    """
    own = [call for call in calls if not str(call["scope"]).startswith(("learn:", "check"))]
    asked = [call for call in own if call["role"] in ("explorer", "executor")]
    if not asked or "mode" not in effort:
        return None
    began = effort.get("before")
    earlier = [str(text) for text in effort.get("earlier", ())]
    judges = [str(call["model"]) for call in own if call["role"] == "evaluator"]
    texts = [*earlier, answer or ""]
    first, second = ((score if text == answer else score_of(text)) for text in (texts[0], texts[:2][-1]))
    return EffortOutcome(
        run=run_id,
        kind=kind_in(task, effort.get("tools", ())),
        model=str(asked[0]["model"]),
        mode=str(effort["mode"]),
        score=score,
        tokens=sum(call["input_tokens"] + call["output_tokens"] for call in own) / len(texts),
        seconds=sum(call["seconds"] for call in own) / len(texts),
        sure=began["confidence"] if began else confidence,
        up=began is not None,
        evaluator=judges[0] if judges else "",
        first=first if judges else None,
        second=second if judges else None,
    )
