"""Every way to call an agent, over `arun` and `aresume`: from synchronous code, as a stream of events, and as
LangChain's `Runnable`, a step of a chain or a node of somebody else's graph, in one nested trace."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from langchain_core.messages import BaseMessage
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import ValidationError

from agentkit.aio import run_sync
from agentkit.errors import DataError
from agentkit.graph.events import Event
from agentkit.graph.streaming import events_of, pull
from agentkit.protocols import Recaller
from agentkit.result import Result
from agentkit.tasks import Labels, Task

Asked = str | Task | Mapping[str, Any] | PromptValue | list[BaseMessage]
"""What may be asked: the input, a task, a task's fields (`{"input": …}`), or a prompt of system and user messages, of
which images become files of the task."""


class StreamArguments(TypedDict, total=False):
    """What `Agent.arun` takes beside the task, where its events are streamed."""

    output_type: Any
    run_id: str | None
    batch: str | None
    labels: Labels
    learn: bool
    seed: int
    temperature: float | None
    recallers: Sequence[Recaller] | None
    client_tools: Sequence[Mapping[str, Any]]


class RunArguments(StreamArguments, total=False):
    """What `Agent.arun` takes beside the task."""

    on_event: Callable[[Event], None] | None
    on_words: Callable[[str], None] | None


class RunnableAgent(Runnable[Asked, Result]):
    """What `arun` and `aresume` do, called in other ways.

    LangChain asks `invoke` and `ainvoke` of a step; `batch`, `|`, `with_retry` and the like follow from them. `stream`
    and `astream` give the run's events. Within a chain a run is a step that gives its whole result.
    """

    @abstractmethod
    async def arun(self, task: str | Task, **options: Unpack[RunArguments]) -> Result:
        """Solve a task durably."""

    @abstractmethod
    async def aresume(
        self,
        run_id: str,
        reply: bool | Mapping[str, Any] | None = None,
        *,
        results: Mapping[str, str] | None = None,
        on_event: Callable[[Event], None] | None = None,
        on_words: Callable[[str], None] | None = None,
    ) -> Result:
        """Go on where a run stopped."""

    def run(self, task: str | Task, **options: Unpack[RunArguments]) -> Result:
        """Solve a task; see `arun`."""
        return run_sync(self.arun(task, **options))

    def resume(
        self,
        run_id: str,
        reply: bool | Mapping[str, Any] | None = None,
        *,
        results: Mapping[str, str] | None = None,
    ) -> Result:
        """Resume an interrupted or waiting run; see `aresume`."""
        return run_sync(self.aresume(run_id, reply, results=results))

    def stream(  # type: ignore[override]  # its events, not its result alone
        self, task: Asked, config: RunnableConfig | None = None, **options: Unpack[StreamArguments]
    ) -> Iterator[Event]:
        """Solve a task, yielding typed events as they happen; the last is `RunEnded` or `Asked`.

        `event.to_json()` is the event as JSON values. `Words` are the answer as it is written.
        """
        return pull(self.astream(task, config, **options))

    def stream_resume(self, run_id: str, reply: bool | Mapping[str, Any] | None = None) -> Iterator[Event]:
        """Resume a run, yielding typed events as they happen."""
        return pull(events_of(lambda see, hear: self.aresume(run_id, reply, on_event=see, on_words=hear)))

    def astream(  # type: ignore[override]
        self, task: Asked, config: RunnableConfig | None = None, **options: Unpack[StreamArguments]
    ) -> AsyncGenerator[Event]:
        """The asynchronous twin of `stream`."""
        if config is None:
            return events_of(lambda see, hear: self.arun(as_task(task), on_event=see, on_words=hear, **options))
        return events_of(lambda see, hear: self.ainvoke(task, config, on_event=see, on_words=hear, **options))

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
