"""RunDriver: takes a run through the graph from wherever it stopped, and records how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from langgraph.types import Command

from agentkit import telemetry
from agentkit.agent.parts import AgentParts
from agentkit.answer_type import AnswerType
from agentkit.errors import StoreError, UserError
from agentkit.graph.build import build_graph
from agentkit.graph.context import RunContext, RunOptions
from agentkit.graph.events import Asked, Event, RunEnded, RunStarted
from agentkit.graph.passing import through
from agentkit.graph.state import first_state
from agentkit.graph.waiting import question_of, reply_to
from agentkit.json_types import JsonObject
from agentkit.protocols import Recaller
from agentkit.result import Result, read_result, with_output, with_steps
from agentkit.routing import learners_of
from agentkit.store.run_log import FINISHED, RunRecord, Totals, stored_task
from agentkit.tasks import Task
from agentkit.tools import client_tools, one_of_each_name

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool
    from langgraph.types import StateSnapshot

    from agentkit.graph.build import Graph

_STATUS = {"abstain": "abstained", "decline": "declined"}
"""The final status of a run by the outcome in its state; any other outcome is "done"."""


def unheard(event: Event) -> None:
    """The default `emit`: ignores the event."""


@dataclass(frozen=True, kw_only=True)
class Driven:
    """A run to drive, with everything specific to it.

    Attributes:
        form: the form of the answer together with its Python type, if this process knows the type.
        fresh: the run has just been started, so nothing of it is stored yet.
        reply: the reply to what it waits for.
        recallers: used instead of the agent's own.
        emit: called with every event as it happens.
        on_words: called with the answer written so far.
    """

    run_id: str
    task: Task
    options: RunOptions
    form: AnswerType | None = None
    fresh: bool = False
    reply: Mapping[str, Any] | None = None
    recallers: Sequence[Recaller] | None = None
    emit: Callable[[Event], None] = field(default=unheard)
    on_words: Callable[[str], None] | None = None


class RunDriver:
    """Drives the runs of an agent."""

    def __init__(self, parts: AgentParts) -> None:
        self.parts, self.log = parts, parts.log

    async def drive(self, run: Driven) -> Result:
        """Run to the end, or until it waits; for a finished run, read the result from the store.

        Raises:
            UserError: a run with this id exists for another task, or it waits for something that was not given.
            RunError: the run stopped early.
        """
        if not run.fresh:
            record = self.log.get(run.run_id)
            if record.status in FINISHED:
                return self.result(record, run.form)
            if record.task != stored_task(run.task):
                raise UserError(f"run {run.run_id!r} already exists for another task")
        started = time.perf_counter()
        with (
            telemetry.span("invoke_agent", "agentkit", agent__name="agentkit", conversation__id=run.run_id),
            self.log.heartbeat.of(run.run_id),
        ):
            async with AsyncExitStack() as stack:
                try:
                    values, interrupts = await self._through_the_graph(stack, run)
                except BaseException as error:
                    await self._broke_off(run.run_id, error, started)
                    raise
        return self._ended(run, values, interrupts, time.perf_counter() - started)

    async def question(self, run_id: str) -> JsonObject | None:
        """What a waiting run asks of a person or of its client; None if it is not waiting."""
        return question_of(await self._snapshot(run_id))

    async def state(self, run_id: str) -> JsonObject:
        """The state of a run at its last checkpoint; empty before the first one."""
        return dict((await self._snapshot(run_id)).values)

    def result(self, record: RunRecord, form: AnswerType | None) -> Result:
        """The current state of a run, read from the store."""
        found = replace(read_result(self.log, record), sources=self.log.sources(record))
        return _with_output(found, record.task, form)

    @cached_property
    def _graph(self) -> Graph:
        return build_graph(self.parts.checkpoints)

    @cached_property
    def _graph_without_recall(self) -> Graph:
        return build_graph(self.parts.checkpoints, first="explore")

    async def _snapshot(self, run_id: str) -> StateSnapshot:
        return await self._graph.aget_state({"configurable": {"thread_id": run_id}})

    async def _through_the_graph(self, stack: AsyncExitStack, run: Driven) -> tuple[Mapping[str, Any], Sequence[Any]]:
        """Run the graph; returns its last state and its interrupts (what it asks of a person or a client)."""
        context = await self._context(stack, run)
        graph_input = first_state(run.run_id, run.task) if run.fresh else await self._input(run)
        if not run.fresh:
            self.log.take_up(run.run_id)
        resumed = graph_input is None or isinstance(graph_input, Command)
        model = self.parts.model_name
        run.emit(RunStarted(run_id=run.run_id, task_id=run.task.id, model=model, resumed=resumed))
        graph = self._graph if context.blocks is None else self._graph_without_recall
        output = await through(graph, graph_input, context, durability=self.parts.settings.durability)
        return output.value, output.interrupts

    async def _input(self, run: Driven) -> Any:
        """The graph's input: the first state, None to continue, or a person's reply."""
        snapshot = await self._snapshot(run.run_id)
        if not snapshot.values:
            return first_state(run.run_id, run.task)
        if (question := question_of(snapshot)) is not None:
            return Command(resume=reply_to(self.log, run.run_id, question, run.reply))
        return None

    async def _context(self, stack: AsyncExitStack, run: Driven) -> RunContext:
        """What the nodes of the run work with; MCP servers stay connected until the stack is closed."""
        parts, options = self.parts, run.options
        spent = Totals() if run.fresh else self.log.totals([run.run_id])
        recallers = parts.learning.recallers if run.recallers is None else run.recallers
        callers = parts.callers(run.run_id, fresh=run.fresh, spent=spent)
        checker = parts.checker_for(run.task, callers=callers)
        return RunContext(
            run_id=run.run_id,
            task=run.task,
            options=options,
            log=self.log,
            callers=callers,
            program=parts.program,
            router=parts.router,
            thrift=parts.learned,
            assessor=parts.assessor(options),
            likeness=parts.likeness,
            form=run.form,
            tools=await self._tools(stack, options),
            checker=checker,
            recallers=recallers,
            blocks=[] if run.fresh and not recallers else None,
            learners=learners_of(parts.learned, parts.learning.learners, options, checker),
            emit=run.emit,
            on_words=run.on_words,
            fresh=run.fresh,
        )

    async def _tools(self, stack: AsyncExitStack, options: RunOptions) -> dict[str, BaseTool]:
        own = list(self.parts.tools.loaded)
        if servers := self.parts.settings.mcp:
            from agentkit.tools.mcp import connect_mcp

            own += await stack.enter_async_context(connect_mcp(servers))
        offered = client_tools(options.client_tools, taken=[tool.name for tool in own])
        return one_of_each_name([*own, *offered])

    async def _broke_off(self, run_id: str, error: BaseException, started: float) -> None:
        """Record that a run failed, or that it was interrupted if it was cancelled from outside.

        A run that waits for a person, or that had failed and could not be continued, keeps its status.
        """
        stopped = not isinstance(error, Exception)
        status, line = ("interrupted", None) if stopped else ("failed", str(error).split("\n")[0] or repr(error))
        seconds = time.perf_counter() - started
        with suppress(StoreError):  # a broken database is already what the caller's error is about
            if self.log.get(run_id).status not in ("running", "interrupted"):
                return
            answer = None if stopped else (await self.state(run_id)).get("answer")
            self.log.finish(run_id, status, answer=answer, error=line, seconds=seconds)

    def _ended(self, run: Driven, values: Mapping[str, Any], interrupts: Sequence[Any], seconds: float) -> Result:
        """Record how a run ended, or that it waits, and emit the event for it."""
        question = dict(interrupts[0].value) if interrupts else None
        status = "waiting" if interrupts else _STATUS.get(values.get("outcome") or "", "done")
        ended = Result(
            run_id=run.run_id,
            task_id=run.task.id,
            status=status,
            answer=values.get("answer"),
            question=question,
            rounds=values.get("round", 0) + 1,
            seconds=seconds,
            sources=tuple(values.get("sources", ())),
            effort=values.get("effort"),
            confidence=values.get("confidence"),
        )
        steps = self.log.finish(
            ended.run_id,
            status,
            answer=ended.answer,
            rounds=ended.rounds,
            seconds=seconds,
            effort=ended.effort,
            confidence=ended.confidence,
        )
        if question is not None:
            run.emit(Asked(run_id=run.run_id, question=question["question"], details=question))
        else:
            run.emit(RunEnded(run_id=run.run_id, status=status, answer=ended.answer, seconds=seconds))
        return _with_output(with_steps(ended, steps), run.task, run.form)


def _with_output(result: Result, task: Task, known: AnswerType | None) -> Result:
    form = task.answer_type
    return with_output(result, None if form is None else form.backed_by(known))
