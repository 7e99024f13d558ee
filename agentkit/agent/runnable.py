"""Every way to call an agent, on top of `arun` and `aresume`: from synchronous code, as a stream of events, and as
LangChain's `Runnable` (a step of a chain, or a node of another graph, in one nested trace)."""

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
"""What an agent accepts as a task: the input, a task, a task's fields (`{"input": …}`), or a prompt of system and user
messages, whose images become files of the task."""


class StreamArguments(TypedDict, total=False):
    """What `Agent.arun` takes besides the task when its events are streamed."""

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
    """What `Agent.arun` takes besides the task."""

    on_event: Callable[[Event], None] | None
    on_words: Callable[[str], None] | None


class RunnableAgent(Runnable[Asked, Result]):
    """The other ways to call `arun` and `aresume`.

    LangChain requires `invoke` and `ainvoke`; `batch`, `|`, `with_retry` and the like are built on them. `stream` and
    `astream` yield the run's events. Within a chain, a run is a step that yields one whole result.
    """

    @abstractmethod
    async def arun(self, task: str | Task, **options: Unpack[RunArguments]) -> Result:
        """Solve a task; the run can be resumed."""

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
        """Continue a run where it stopped."""

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
        """Solve a task, yielding typed events as they happen; the last one is `RunEnded` or `Asked`.

        `event.to_json()` gives an event as JSON values. `Words` events carry the answer as it is written.
        """
        return pull(self.astream(task, config, **options))

    def stream_resume(self, run_id: str, reply: bool | Mapping[str, Any] | None = None) -> Iterator[Event]:
        """Resume a run, yielding typed events as they happen."""
        return pull(events_of(lambda see, hear: self.aresume(run_id, reply, on_event=see, on_words=hear)))

    def astream(  # type: ignore[override]
        self, task: Asked, config: RunnableConfig | None = None, **options: Unpack[StreamArguments]
    ) -> AsyncGenerator[Event]:
        """The asynchronous version of `stream`."""
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
            config: LangChain's configuration: callbacks, tags, metadata, a name for the run.
            options: those of `arun`.

        Raises:
            DataError: the input is not a task.
        """

        async def solve(asked: Asked) -> Result:
            return await self.arun(as_task(asked), **options)

        return await self._acall_with_config(solve, input, config, run_type="chain")

    def transform(
        self, input: Iterator[Asked], config: RunnableConfig | None = None, **options: Any
    ) -> Iterator[Result]:
        """Yield the result once the previous step has yielded all of its output."""
        yield self.invoke(_joined(list(input)), config, **options)

    async def atransform(
        self, input: AsyncIterator[Asked], config: RunnableConfig | None = None, **options: Any
    ) -> AsyncIterator[Result]:
        """The asynchronous version of `transform`."""
        yield await self.ainvoke(_joined([part async for part in input]), config, **options)


def as_task(asked: Asked) -> str | Task:
    """Convert what LangChain may pass to what `run` takes.

    Raises:
        DataError: fields that don't make a task, or messages other than instructions and one question.
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
        raise DataError("an agent takes system messages and one user message: runs have no memory of a conversation")
    return Task.model_validate({"id": "task", "input": questions[0], "instructions": "\n\n".join(told) or None})


def _joined(parts: list[Any]) -> Asked:
    """Join the pieces of a streamed text; of anything else take the last piece, which is complete."""
    if parts and all(isinstance(part, str) for part in parts):
        return "".join(parts)
    found: Asked = parts[-1] if parts else ""
    return found
