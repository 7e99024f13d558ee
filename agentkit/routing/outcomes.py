"""From a finished run and what is known of its answers to an outcome that routing learns from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentkit.routing.record import EffortOutcome
from agentkit.tasks import Task

Score = Callable[[str], float | None]
"""Tells of an answer's text how right it is; None where that is not known."""


def kind_in(task: Task, tools: Sequence[str]) -> str:
    """The kind of a task, apart for those with which tools can help.

    Args:
        tools: those that can matter.
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
        effort: what was decided about it, as the run's record holds it.
        calls: its model calls, as `RunLog.steps` gives them.
        answer, score: its answer and how right that is.
        confidence: how likely the answer seemed right.
        score_of: of answers that came before the last.

    Returns:
        None where no model answered, or the run is of a version that did not record modes.
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
