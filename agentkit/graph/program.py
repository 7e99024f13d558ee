"""Program: the prompts and schemas that the state machine uses, so that they can vary while the graph stays the same.

`Solve` is the default; an agent takes another one as `Agent(program=…)`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from agentkit.answer_type import AnswerType, answer_text
from agentkit.graph.state import Outcome
from agentkit.models.speech import wrapped_answer
from agentkit.protocols import Block, ModelReply, Step
from agentkit.roles.evaluator import Evaluation, evaluator_messages
from agentkit.roles.explorer import Approach, answer_of, explorer_messages, reasoned, revision_message
from agentkit.tasks import Feedback, Task

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from pydantic import BaseModel

    from agentkit.models.requests import Schema


_ASKS_FOR_JSON = re.compile(r"json|[\"'`{]\s*reasoning\b", re.IGNORECASE)


def _asked(task: Task) -> str:
    return f"{task.instructions or ''}\n{task.input}"


class Program(Protocol):
    """Prompts and schemas of the explorer and the evaluator."""

    @property
    def evaluation_schema(self) -> type[BaseModel]: ...

    def answer_form(self, task: Task, work: Approach) -> Schema | None:
        """The form that the explorer's final reply must have; None for free text."""
        ...

    def explorer_messages(self, task: Task, blocks: Sequence[Block], work: Approach) -> list[BaseMessage]: ...

    def read_answer(self, task: Task, reply: ModelReply, work: Approach) -> str:
        """The answer as text."""
        ...

    def evaluator_messages(self, task: Task, answer: str, steps: Sequence[Step], round: int) -> list[BaseMessage]: ...

    def read_evaluation(self, parsed: Any) -> tuple[Outcome, Feedback]: ...

    def revision_message(self, objection: str) -> BaseMessage: ...


WORDS = AnswerType({"type": "string", "description": "Give the final answer."})
"""The form of a free-text answer that is given as a tool call."""


class Solve:
    """The default program: solve a task, check the answer."""

    evaluation_schema = Evaluation

    def answer_form(self, task: Task, work: Approach) -> Schema | None:
        form = task.answer_type
        if form is None:
            return WORDS if work.calculate else None
        return reasoned(form) if work.reason else form

    def explorer_messages(self, task: Task, blocks: Sequence[Block], work: Approach) -> list[BaseMessage]:
        return explorer_messages(task, blocks, work)

    def read_answer(self, task: Task, reply: ModelReply, work: Approach) -> str:
        if task.answer_type is not None:
            return answer_text(reply.parsed["answer"] if work.reason else reply.parsed)
        if work.calculate and reply.parsed is not None:
            return answer_text(reply.parsed).strip()
        if (answer := wrapped_answer(reply.text)) is not None and not _ASKS_FOR_JSON.search(_asked(task)):
            return answer
        return answer_of(reply.text) if work.reason else reply.text.strip()

    def evaluator_messages(self, task: Task, answer: str, steps: Sequence[Step], round: int) -> list[BaseMessage]:
        return evaluator_messages(task, answer, steps)

    def read_evaluation(self, parsed: Evaluation) -> tuple[Outcome, Feedback]:
        """The score is the probability, in the judge's view, that the answer is right; unknown if it abstains."""
        right = parsed.confidence if parsed.verdict == "accept" else 1 - parsed.confidence
        score = None if parsed.verdict == "abstain" else right
        return parsed.verdict, Feedback(channel="judge", score=score, text=parsed.reason)

    def revision_message(self, objection: str) -> BaseMessage:
        return revision_message(objection)
