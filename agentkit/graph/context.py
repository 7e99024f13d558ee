"""What the nodes of one run work with. Nothing here is checkpointed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from agentkit.answer_type import AnswerType
from agentkit.confidence import Assessor
from agentkit.graph.effort import Effort, Router, Rules, Samples, Thrift
from agentkit.graph.events import Event
from agentkit.protocols import Block, Learner, Recaller
from agentkit.tasks import Feedback, Labels, Task

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from agentkit.checkers import Checker
    from agentkit.graph.program import Program
    from agentkit.models import Caller
    from agentkit.store.run_log import ToolCall


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How one run is to go.

    Attributes:
        max_rounds: answers the explorer may give.
        max_steps: model turns one answer may take, over all its sub-tasks.
        planning: offer the explorer a `plan` tool.
        effort: how much a run may spend; "auto" lets the router choose.
        samples: answers that are asked for and voted on; "auto" stops when another one is not worth it.
        decline_below: the confidence below which an answer is declined; None declines none.
        max_error: the share of wrong answers that may be given; those of less confidence than it takes are declined.
        evaluate: let the evaluator agent check answers that no real checker can; None asks it where it was measured to
            help, which without measurements is nowhere.
        labels: how much of the target feedback may carry into the run.
        approve: names of tools that a person must approve; `answer` stands for the final answer.
        learn: hand the finished run to the learners.
        seed: for models that take one, and for randomised recall.
        temperature: of every model of the run; None leaves each its own.
        tool_timeout: seconds one tool call may take.
        client_tools: tools of whoever asks (`agentkit.tools.client_tools`), whose results the run waits for.
    """

    max_rounds: int = 3
    max_steps: int = 12
    planning: bool = False
    effort: Effort = "auto"
    samples: Samples = 1
    evaluate: bool | None = None
    decline_below: float | None = None
    max_error: float | None = None
    labels: Labels = "none"
    approve: tuple[str, ...] = ()
    learn: bool = True
    seed: int = 0
    temperature: float | None = None
    tool_timeout: float = 60.0
    client_tools: tuple[Mapping[str, Any], ...] = ()


class NodeLog(Protocol):
    """What the nodes write down and find again: a `RunLog`, or the `PassLog` of a pass that is a part of a run."""

    def blocks(self, run_id: str) -> list[Block] | None: ...
    def save_blocks(self, run_id: str, blocks: Sequence[Block]) -> None: ...
    def feedback(self, run_id: str) -> list[Feedback]: ...
    def save_feedback(self, run_id: str, feedback: Feedback, *, round: int = 0) -> None: ...
    def tool_calls(self, run_id: str) -> list[ToolCall]: ...
    def save_tool_call(self, run_id: str, call: ToolCall) -> None: ...


@dataclass(kw_only=True)
class RunContext:
    """Everything a node needs besides the state.

    A `fresh` run has just been started: nothing of it is stored yet. `form` is the form of the task's answer with the
    Python type behind it, where this process knows it. `on_words` gets the answer, as far as it is written, each time
    it grows, where nothing can follow that replaces it. `scope` is the place in the run where a pass stands that is a
    part of it. `logprobs` has the explorer's words told with their log-probabilities.
    """

    run_id: str
    task: Task
    options: RunOptions
    log: NodeLog
    callers: Mapping[str, Caller]
    program: Program
    router: Router = field(default_factory=Rules)
    thrift: Thrift | None = None
    assessor: Assessor = field(default_factory=Assessor)
    form: AnswerType | None = None
    tools: Mapping[str, BaseTool] = field(default_factory=dict)
    checker: Checker | None = None
    recallers: Sequence[Recaller] = ()
    learners: Sequence[Learner] = ()
    emit: Callable[[Event], None] = lambda event: None
    on_words: Callable[[str], None] | None = None
    blocks: list[Block] | None = None
    fresh: bool = False
    scope: str = ""
    logprobs: bool = True

    def caller(self, role: str) -> Caller:
        return self.callers.get(role) or self.callers["explorer"]

    def fixed_blocks(self) -> list[Block]:
        """The context fixed by recall; read back from the store where the run goes on in another process."""
        if self.blocks is None:
            self.blocks = self.log.blocks(self.run_id) or []
        return self.blocks
