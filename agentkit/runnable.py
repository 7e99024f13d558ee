"""An agent as a LangChain `Runnable`: a step of a chain or a node of somebody else's graph, in one nested trace."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import ValidationError

from agentkit.aio import run_sync
from agentkit.errors import DataError
from agentkit.result import Result
from agentkit.tasks import Task

Asked = str | Task | Mapping[str, Any] | PromptValue | list[BaseMessage]
"""What may be asked: the input, a task, a task's fields (`{"input": …}`), or a prompt of system and user messages, of
which images become files of the task."""


class RunnableAgent(Runnable[Asked, Result]):
    """What LangChain asks of a step: `invoke` and `ainvoke`; `batch`, `|`, `with_retry` and the like follow from them.

    `stream` and `astream` give the run's events. Within a chain a run is a step that gives its whole result.
    """

    arun: Callable[..., Coroutine[Any, Any, Result]]
    """Solves a task, with options of its own."""

    def invoke(self, input: Asked, config: RunnableConfig | None = None, **options: Any) -> Result:
        """Solve a task; see `ainvoke`."""

        def solve(asked: Asked) -> Result:
            return run_sync(self.arun(as_task(asked), **options))

        return self._call_with_config(solve, input, config, run_type="chain")

    async def ainvoke(self, input: Asked, config: RunnableConfig | None = None, **options: Any) -> Result:
        """Solve a task as a step of a trace.

        Args:
            config: LangChain's: callbacks, tags, metadata, a name for the run.
            options: as `arun` takes them.

        Raises:
            DataError: an input that is no task.
        """

        async def solve(asked: Asked) -> Result:
            return await self.arun(as_task(asked), **options)

        return await self._acall_with_config(solve, input, config, run_type="chain")

    def transform(
        self, input: Iterator[Asked], config: RunnableConfig | None = None, **options: Any
    ) -> Iterator[Result]:
        """The result, once the step before has given all of its input."""
        yield self.invoke(_joined(list(input)), config, **options)

    async def atransform(
        self, input: AsyncIterator[Asked], config: RunnableConfig | None = None, **options: Any
    ) -> AsyncIterator[Result]:
        """The asynchronous twin of `transform`."""
        yield await self.ainvoke(_joined([part async for part in input]), config, **options)


def as_task(asked: Asked) -> str | Task:
    """What is asked, as `run` takes it.

    Raises:
        DataError: fields that make no task, or messages that are not instructions and one question.
    """
    if isinstance(asked, str | Task):
        return asked
    if isinstance(asked, PromptValue):
        asked = asked.to_messages()
    if isinstance(asked, Mapping):
        try:
            return Task.model_validate({"id": "task", **asked})
        except ValidationError as error:
            first = error.errors()[0]
            raise DataError(f"not a task: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    told = [message.text for message in asked if message.type == "system"]
    questions = [message.content for message in asked if message.type == "human"]
    if len(questions) != 1 or len(told) + 1 != len(asked):
        raise DataError("an agent takes system messages and one user message: its runs remember no conversation")
    return Task.model_validate({"id": "task", "input": questions[0], "instructions": "\n\n".join(told) or None})


def _joined(parts: list[Any]) -> Asked:
    """The pieces of a streamed text as one; of anything else the last, which is whole."""
    if parts and all(isinstance(part, str) for part in parts):
        return "".join(parts)
    found: Asked = parts[-1] if parts else ""
    return found
