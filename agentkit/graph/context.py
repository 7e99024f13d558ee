"""What the nodes of one run work with. Nothing here is checkpointed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from agentkit.answer_type import AnswerType
from agentkit.confidence import Assessor, Likeness
from agentkit.graph.effort import Effort, Router, Rules, Samples, Situation, Thrift, tools_that_matter
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
    """The options of one run.

    Attributes:
        max_rounds: how many answers the explorer may give.
        max_steps: how many model turns one answer may take, including those of its sub-tasks.
        planning: offer the explorer a `plan` tool.
        effort: how much a run may spend; "auto" lets the router choose.
        samples: how many answers to ask for and vote on; "auto" stops when another one is not worth its cost.
        decline_below: answers with a lower confidence are declined; None declines none.
        max_error: the accepted share of wrong answers among those given; answers whose confidence is too low for it are
            declined.
        evaluate: whether the evaluator agent checks answers that no real checker can check; None asks it only where it
            was measured to help, which without measurements is nowhere.
        labels: how much of the target may appear in feedback within the run.
        approve: names of tools that need a person's approval; `answer` stands for the final answer.
        learn: pass the finished run to the learners.
        seed: for models that support one, and for randomised recall.
        temperature: for every model of the run; with None each uses its own.
        tool_timeout: seconds that one tool call may take.
        client_tools: tools that the caller carries out (`agentkit.tools.client_tools`); the run waits for their
            results.
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

    A `fresh` run has just been started: nothing of it is stored yet. `form` is the form of the task's answer with its
    Python type, if this process knows the type. `on_words` is called with the answer written so far, each time it
    grows, if nothing that follows can replace it. `scope` is the place within the run of a pass that is part of it.
    `likeness` weighs a choice among many options. `logprobs` asks for the log-probabilities of the explorer's words.
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
    likeness: Likeness | None = None
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

    @cached_property
    def situation(self) -> Situation:
        """What is known of the run when something about its effort is decided; the same throughout the run."""
        return Situation(
            run_id=self.run_id,
            task=self.task.model_copy(update={"target": None, "checker": None}),
            tools=tools_that_matter(self.task, self.tools),
            planning=self.options.planning,
            model=self.caller("explorer").name,
            explores=self.options.learn,
            resumed=not self.fresh,
            evaluator=self.caller("evaluator").name,
        )

    def fixed_blocks(self) -> list[Block]:
        """The context fixed by recall; read back from the store if the run was resumed in another process."""
        if self.blocks is None:
            self.blocks = self.log.blocks(self.run_id) or []
        return self.blocks
