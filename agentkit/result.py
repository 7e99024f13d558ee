"""The result of a run: its answer, what is known about it, and every step, read from the store."""

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
    """The result of a run.

    Attributes:
        status: "done" (accepted), "abstained" (the last answer was not accepted), "declined" (confidence was too low to
            give the answer), or "waiting" (for a person).
        answer: the last answer as text, accepted or not.
        confidence: the probability that it is right, by the calibration in effect; None if unknown.
        output: the answer as a Python object of the requested output type, or the text if none was requested.
        effort: the mode the run took (`mode`), why, and the probability with which it was chosen.
        feedback: everything known about the answer.
        question: what a person is asked, if the run is waiting.
        trace: what happened, step by step, as JSON values.
        usage: of all model calls of the run, including those before an interruption.
        seconds: wall time of this call.
        sources: where the outside text that the run read came from. If there is any, a task built from the answer must
            not be trusted: `Task(…, untrusted=result.untrusted)`.
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
        """Whether text from outside could have influenced the answer."""
        return bool(self.sources)

    @property
    def accepted(self) -> bool:
        return self.status == "done"

    def to_json(self) -> JsonObject:
        plain = asdict(replace(self, output=None, feedback=(), trace=()))
        feedback = [item.model_dump() for item in self.feedback]
        return {**plain, "output": to_jsonable_python(self.output), "feedback": feedback, "trace": list(self.trace)}

    def _repr_html_(self) -> str:
        """The notebook view: status, cost, and one line per step."""
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
    """A step of a trace in words."""
    if step["type"] == "tool":
        return f"{step['arguments']} → {step['result']}"
    calls = [f"{call['name']}({call['args']})" for call in step["tool_calls"] or ()]
    return "\n".join(filter(None, [step["text"], *calls]))


def with_output(result: Result, form: AnswerType | None) -> Result:
    """A result with its answer as a Python object; None if the answer does not have that form."""
    if result.answer is None or form is None:
        return replace(result, output=result.answer)
    try:
        return replace(result, output=form.output(result.answer))
    except ValueError:  # a failed run, or one answered by a person, whose text may be anything
        return replace(result, output=None)


def read_result(log: RunLog, record: RunRecord) -> Result:
    """The current state of a run, read from the store."""
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
    """A result with its feedback, its steps and their usage."""
    return replace(
        ended,
        feedback=tuple(steps.feedback),
        trace=tuple(trace(steps.model_calls, steps.tool_calls)),
        usage=_totals(steps.model_calls),
    )


def trace(calls: Sequence[JsonObject], tools: Sequence[JsonObject]) -> list[JsonObject]:
    """A run's model and tool calls in order of completion, as JSON values."""
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
