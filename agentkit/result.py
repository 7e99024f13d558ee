"""How a run ended: its answer, what is known about it, and every step, read from the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pydantic_core import to_jsonable_python

from agentkit.answer_type import AnswerType
from agentkit.json_types import JsonObject
from agentkit.notebook import table
from agentkit.store.run_log import RunLog, RunRecord, Steps, Totals
from agentkit.tasks import Feedback


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a run ended.

    Attributes:
        status: "done" (accepted), "abstained" (the last answer was not accepted), "declined" (the
            answer was not sure enough to be given), or "waiting" (for a person).
        answer: the last answer as text, accepted or not.
        confidence: how likely it is right, by the calibration in force; None where that is not known.
        output: the answer as the Python object of the output type that was asked for; else the text.
        effort: the mode the run took (`mode`), why, and with which probability it was chosen.
        feedback: everything known about it.
        question: what a person is asked, where the run waits.
        trace: what happened, step by step, as JSON values.
        usage: what all model calls of the run used, those before an interruption included.
        seconds: wall time of this call.
        sources: where text from outside came from that the run read; a task that is made from the answer is not trusted
            where there are any: `Task(…, untrusted=result.untrusted)`.
    """

    run_id: str
    task_id: str
    status: str
    answer: str | None
    output: Any = None
    effort: JsonObject | None = None
    confidence: float | None = None
    feedback: tuple[Feedback, ...] = ()
    question: JsonObject | None = None
    trace: tuple[JsonObject, ...] = ()
    usage: Totals = field(default_factory=Totals)
    seconds: float = 0.0
    rounds: int = 0
    sources: tuple[str, ...] = ()

    @property
    def untrusted(self) -> bool:
        """Whether text from outside could have shaped the answer."""
        return bool(self.sources)

    @property
    def accepted(self) -> bool:
        return self.status == "done"

    def to_json(self) -> JsonObject:
        plain = asdict(replace(self, output=None, feedback=(), trace=()))
        feedback = [item.model_dump() for item in self.feedback]
        return {**plain, "output": to_jsonable_python(self.output), "feedback": feedback, "trace": list(self.trace)}

    def _repr_html_(self) -> str:
        """What a notebook shows: how it ended, what it cost, and its steps, a line each."""
        used = self.usage
        facts = [
            ("answer", self.answer),
            ("status", self.status),
            ("confidence", None if self.confidence is None else f"{self.confidence:.0%}"),
            *((f"feedback: {item.channel}", f"{item.score} {item.text}") for item in self.feedback),
            (
                "used",
                f"{used.calls} model calls, {used.input_tokens:,} + {used.output_tokens:,} tokens, ${used.cost:.4f}",
            ),
            ("sources", "\n".join(self.sources) or None),
        ]
        steps = [(step["type"], step.get("tool") or step.get("role"), _said(step)) for step in self.trace]
        told = table(f"run {self.run_id}", [fact for fact in facts if fact[1] is not None])
        return told + (table("steps", steps, ("step", "by", "what")) if steps else "")


def _said(step: JsonObject) -> str:
    """What a step of a trace was, in words."""
    if step["type"] == "tool":
        return f"{step['arguments']} → {step['result']}"
    calls = [f"{call['name']}({call['args']})" for call in step["tool_calls"] or ()]
    return "\n".join(filter(None, [step["text"], *calls]))


def with_output(result: Result, form: AnswerType | None) -> Result:
    """A result with its answer as a Python object; None where there is no answer of that form."""
    if result.answer is None or form is None:
        return replace(result, output=result.answer)
    try:
        return replace(result, output=form.output(result.answer))
    except ValueError:  # a run that failed or was answered by a person, whose text may be anything
        return replace(result, output=None)


def read_result(log: RunLog, record: RunRecord) -> Result:
    """How a run stands, from the store alone."""
    ended = Result(
        run_id=record.id,
        task_id=record.task.id,
        status=record.status,
        answer=record.answer,
        rounds=record.rounds,
        seconds=record.seconds,
        effort=record.effort,
        confidence=record.confidence,
    )
    return with_steps(ended, log.steps(record.id))


def with_steps(ended: Result, steps: Steps) -> Result:
    """A result with its feedback, its steps and what they used."""
    return replace(
        ended,
        feedback=tuple(steps.feedback),
        trace=tuple(trace(steps.model_calls, steps.tool_calls)),
        usage=_totals(steps.model_calls),
    )


def trace(calls: Sequence[JsonObject], tools: Sequence[JsonObject]) -> list[JsonObject]:
    """A run's model and tool calls in the order in which they were completed, as JSON values."""
    counts = ("role", "model", "input_tokens", "output_tokens", "cached_tokens", "seconds")
    steps = [
        (
            call["created_at"],
            {
                "type": "model",
                "text": call["response"]["content"],
                "tool_calls": call["response"]["tool_calls"],
                "logprobs": call["response"].get("logprobs"),
                **{name: call[name] for name in counts},
            },
        )
        for call in calls
    ]
    names = ("tool", "arguments", "result", "ok", "seconds")
    steps += [(row["created_at"], {"type": "tool", **{name: row[name] for name in names}}) for row in tools]
    return [step for _, step in sorted(steps, key=lambda item: item[0])]


def _totals(calls: Sequence[JsonObject]) -> Totals:
    names = ("input_tokens", "output_tokens", "cached_tokens", "cost")
    sums = {name: sum(call[name] for call in calls) for name in names}
    return Totals(calls=len(calls), model_seconds=sum(call["seconds"] for call in calls), **sums)
