"""A program: what differs between solving a task and, say, curating a paper on the one state machine.

Solving is the default. Curation brings its own prompts and schemas, and the graph stays the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from agentkit.graph.state import Outcome
from agentkit.protocols import Block, Step
from agentkit.roles.evaluator import Evaluation, evaluator_messages
from agentkit.roles.explorer import Answer, explorer_messages, revision_message
from agentkit.tasks import Feedback, Task

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from pydantic import BaseModel


class Program(Protocol):
    """Prompts and schemas of the explorer and the evaluator."""

    @property
    def answer_schema(self) -> type[BaseModel]:
        """What the explorer must return when it is done."""
        ...

    @property
    def evaluation_schema(self) -> type[BaseModel]: ...

    def explorer_messages(self, task: Task, blocks: Sequence[Block], *, planning: bool) -> list[BaseMessage]: ...

    def read_answer(self, parsed: Any) -> tuple[str, list[str]]:
        """The answer as text, and the ids of bullets and cases that were used."""
        ...

    def evaluator_messages(self, task: Task, answer: str, steps: Sequence[Step], round: int) -> list[BaseMessage]: ...

    def read_evaluation(self, parsed: Any) -> tuple[Outcome, Feedback]: ...

    def revision_message(self, objection: str) -> BaseMessage: ...


class Solve:
    """The default program: solve a task, check the answer."""

    answer_schema = Answer
    evaluation_schema = Evaluation

    def explorer_messages(self, task: Task, blocks: Sequence[Block], *, planning: bool) -> list[BaseMessage]:
        return explorer_messages(task, blocks, planning=planning)

    def read_answer(self, parsed: Answer) -> tuple[str, list[str]]:
        return parsed.answer, parsed.used

    def evaluator_messages(self, task: Task, answer: str, steps: Sequence[Step], round: int) -> list[BaseMessage]:
        return evaluator_messages(task, answer, steps)

    def read_evaluation(self, parsed: Evaluation) -> tuple[Outcome, Feedback]:
        """The score is how likely the judge thinks the answer is right; unknown where it abstains."""
        right = parsed.confidence if parsed.verdict == "accept" else 1 - parsed.confidence
        score = None if parsed.verdict == "abstain" else right
        return parsed.verdict, Feedback(channel="judge", score=score, text=parsed.reason)

    def revision_message(self, objection: str) -> BaseMessage:
        return revision_message(objection)
