"""Agent: build one, run it, stream it, resume it. `agentkit.evolve` lets it learn from tasks."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args

from langgraph.errors import GraphRecursionError
from langgraph.types import Command

from agentkit import telemetry
from agentkit.aio import run_sync
from agentkit.answer_type import AnswerType
from agentkit.checkers import get_checker
from agentkit.confidence import Assessor, CalibrationStore, assessor_for, check_share
from agentkit.errors import DataError, RunError, StoreError, UserError
from agentkit.feedback import FeedbackDesk, Taught, corrected
from agentkit.graph.build import build_graph
from agentkit.graph.checkpoints import open_checkpoints
from agentkit.graph.context import RunContext, RunOptions
from agentkit.graph.effort import Effort, Router, Rules, known_effort
from agentkit.graph.events import Asked, Event, RunEnded, RunStarted
from agentkit.graph.program import Program, Solve
from agentkit.graph.state import first_state
from agentkit.graph.streaming import events_of, pull
from agentkit.graph.waiting import calls_of, question_of, reply_to, save_results
from agentkit.ledger import Ledger
from agentkit.models import Budget, Caller, Limits, Reply, load_model
from agentkit.models.base import CHOOSE, takes_images
from agentkit.models.caller import model_name
from agentkit.models.journal import SqlJournal
from agentkit.models.load import options_for
from agentkit.models.union import check_grammar
from agentkit.opinions import Opinion, Settled
from agentkit.protocols import Learner, Recaller
from agentkit.result import Result, read_result, with_output, with_steps
from agentkit.runnable import Asked as AskedFor
from agentkit.runnable import RunnableAgent, as_task
from agentkit.settings import DailyGate, Settings, load_settings
from agentkit.store import Store
from agentkit.store.run_log import FINISHED, RunLog, RunRecord, Totals, stored_task
from agentkit.tasks import Labels, Task
from agentkit.tools import approved, load_tools, one_of_each_name, reads_outside
from agentkit.tools import client_tools as client_tools_of
from agentkit.tools.database import without_password

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.runnables import RunnableConfig
    from langchain_core.tools import BaseTool
    from pydantic import BaseModel

    from agentkit.checkers import Checker
    from agentkit.files import File
    from agentkit.graph.build import Graph


class Agent(RunnableAgent):
    """An explorer and an evaluator on a durable state machine, with what they have learnt.

    Args:
        model: a name for `load_model`, a chat model, or a list of either: the later ones are fallbacks.
        evaluator_model: the evaluator's; None takes `model`.
        tools: names of built-in tools, Python functions, or LangChain tools.
        root: the folder that `read_file` and `search` may see.
        database: the SQLite file or the URL that `sql` and `schema` read; its password is not kept with the run.
        http_hosts: the hosts that `http_get` may fetch; None takes the settings'.
        model_options: options of the models that are given by name, such as `temperature`, `max_tokens` and, for hosted
            ones, `api_base`; they go before the settings'.
        checker: what checks answers of tasks that name no checker of their own (a name or `{"name": …}`).
        instructions: what to do with every input. They stand in the prompt's lasting part; what is remembered, embedded
            and compared of a task is its input alone.
        output_type: the form of answers: a Pydantic model, a dataclass, `Literal[…]`, an `Enum`, `int`, `float`,
            `bool`, `date`, `list[…]` or a JSON schema; None for words. A task's own form goes before it.
        effort: how much a run may spend: "instant" (one call, the answer alone), "reasoning" (thinks first), "agentic"
            (tools and plans), or "auto", the cheapest of them that can do the task.
        planning: offer the explorer a plan of sub-tasks.
        evaluate: let the evaluator agent check what no real checker can; None asks it where it was measured to help.
        decline_below: the confidence below which a run declines to answer (`agentkit calibrate` first).
        max_error: the share of wrong answers that may be given, instead.
        calibration: the name of what turns a model's own doubt into confidence.
        approve: tools that a person must approve; `"answer"` stands for the final answer.
        playbook, memory: names of a playbook and a case memory to recall from and to learn into.
        gate: what becomes of what its runs teach (`agentkit.settings.DailyGate`); None takes the settings'.
        recallers, learners: more of them, as objects.
        budget: limits of one run; None takes the settings'.
        store: a `Store` or a database URL; None takes the settings'.
        program: prompts and schemas, where they are not those of solving tasks.
        router: what chooses the mode of runs whose effort is "auto"; None takes `Rules`.

    Attributes:
        options: how runs go unless told otherwise.
        store, log: where everything is kept, and its runs.

    Raises:
        AgentKitError: a model, tool or database that can't be had, in one line.
    """

    def __init__(
        self,
        model: Any = None,
        *,
        evaluator_model: Any = None,
        tools: Sequence[Any] | None = None,
        root: str | Path | None = None,
        database: str | Path | None = None,
        http_hosts: Sequence[str] | None = None,
        model_options: Mapping[str, object] | None = None,
        checker: str | dict[str, Any] | None = None,
        instructions: str | None = None,
        output_type: Any = None,
        effort: Effort = "auto",
        planning: bool = False,
        evaluate: bool | None = None,
        decline_below: float | None = None,
        max_error: float | None = None,
        calibration: str = "default",
        max_rounds: int | None = None,
        max_steps: int | None = None,
        approve: Sequence[str] = (),
        playbook: str | None = None,
        memory: str | None = None,
        gate: DailyGate | None = None,
        recallers: Sequence[Recaller] = (),
        learners: Sequence[Learner] = (),
        budget: Budget | None = None,
        store: Store | str | None = None,
        settings: Settings | None = None,
        program: Program | None = None,
        router: Router | None = None,
    ) -> None:
        self.settings = settings or load_settings()
        self.store = store if isinstance(store, Store) else Store.open(store or self.settings.database_url)
        self._owns_store = not isinstance(store, Store)
        self.log, self._ledger = RunLog(self.store), Ledger(self.store)
        chosen = list(self.settings.tools if tools is None else tools)
        self.output_type = None if output_type is None else AnswerType.of(output_type)
        self.instructions = instructions
        self._spec = {
            "model": _name(model or self.settings.model),
            "evaluator_model": _name(evaluator_model or self.settings.evaluator_model),
            "tools": [_name(tool) for tool in chosen],
            "root": None if root is None else str(root),
            "database": None if database is None else without_password(database),
            "checker": checker,
            "instructions": instructions,
            "output_type": None if self.output_type is None else dict(self.output_type.schema),
            "playbook": playbook or self.settings.playbook,
            "memory": memory or self.settings.memory,
            "gate": gate or self.settings.gate,
            "calibration": calibration,
        }
        hosts = list(self.settings.http_hosts if http_hosts is None else http_hosts)
        self._model_options = chosen_options(self.settings, model_options)
        # left out where they say nothing: ids made of this stay what they were
        self._spec |= {"http_hosts": hosts} if hosts else {}
        self._spec |= {"model_options": self._model_options} if self._model_options else {}
        self._limits = Limits(concurrency=self.settings.concurrency)
        self._models = self._load_models(model, evaluator_model)
        self._tools = load_tools(chosen, root=root, database=database, allow_hosts=hosts)
        self.checker = checker
        self._budget = budget or Budget(**self.settings.budget.model_dump())
        self.options = RunOptions(
            max_rounds=max_rounds or self.settings.max_rounds,
            max_steps=max_steps or self.settings.max_steps,
            planning=planning,
            effort=known_effort(effort),
            evaluate=evaluate,
            decline_below=decline_below,
            max_error=max_error,
            approve=approved(approve, chosen, self._tools, servers=self.settings.mcp),
        )
        self.program, self.router = program or Solve(), router or Rules()
        self._in_code = [*_objects("model", [model, evaluator_model]), *_objects("tool", chosen),
                         *_objects("recaller", recallers), *_objects("learner", learners),
                         *_objects("program", [program]), *_objects("router", [router])]  # fmt: skip
        self._recallers, self._learners = list(recallers), list(learners)
        self._book: Learner | None = None
        self._attach_learning()
        check_share("decline_below", decline_below)
        check_share("max_error", max_error)
        self._assessor(self.options)  # says at once what declining lacks
        self._checkpoints = open_checkpoints(self.store)

    @classmethod
    def for_run(cls, run_id: str, *, settings: Settings | None = None) -> tuple[Self, str]:
        """The agent that can resume a stored run, built as the run recorded it, and the run's full id.

        Raises:
            UserError: no such run, or it was made in code with parts that only that code has.
        """
        settings = settings or load_settings()
        store = Store.open(settings.database_url)
        record = RunLog(store).get(run_id)
        if parts := ", ".join(record.options.get("in_code", ())):
            call = f"Agent(…).resume({record.id!r})"
            raise UserError(f"run {record.id} was made in code, with its own {parts}: go on with it there, by {call}")
        spec, options = dict(record.options["agent"]), record.options["run"]
        names = ("planning", "effort", "evaluate", "decline_below", "max_error", "max_rounds", "max_steps", "approve")
        chosen = {name: options[name] for name in names if name in options}
        agent = cls(spec.pop("model"), store=store, settings=settings, **spec, **chosen)
        agent._owns_store = True
        return agent, record.id

    def run(self, task: str | Task, **options: Any) -> Result:
        """Solve a task; see `arun`."""
        return run_sync(self.arun(task, **options))

    async def arun(
        self,
        task: str | Task,
        *,
        output_type: Any = None,
        run_id: str | None = None,
        batch: str | None = None,
        labels: Labels = "none",
        learn: bool = True,
        seed: int = 0,
        temperature: float | None = None,
        recallers: Sequence[Recaller] | None = None,
        client_tools: Sequence[Mapping[str, Any]] = (),
        on_event: Callable[[Event], None] | None = None,
        on_words: Callable[[str], None] | None = None,
    ) -> Result:
        """Solve a task durably.

        Args:
            task: the input, or a `Task`.
            output_type: the form of this answer, instead of the task's and the agent's.
            run_id: names the run; a run of that id is resumed, or returned if it has finished.
            batch: groups runs of one evaluation.
            labels: how much of the task's target feedback may carry.
            learn: hand the finished run to the learners.
            seed, temperature: for models that take them; a temperature of None is each model's own.
            recallers: context for this run alone, instead of the agent's own.
            client_tools: tools that you carry out yourself, as `{"name", "description", "parameters"}`: a run that
                calls one waits, `result.question["calls"]` says for what, and `resume` takes the results.
            on_event: sees every event as it happens.
            on_words: gets the answer as far as it is written, each time it grows, in runs in which nothing can follow
                that replaces it: without tools, a form, or anything that checks.

        Raises:
            DataError: the task is empty, or a client's tool is none.
            UserError: an output type that no schema or no grammar can hold.
            RunError: the run could not go on; `resume` takes it up again.
        """
        form = None if output_type is None else AnswerType.of(output_type)
        asked = self.asked(task if isinstance(task, Task) else Task(id="task", input=task), form)
        asked = self.log.with_files(asked)
        checker = self.checker_for(asked)
        hidden = batch is not None  # an evolution keeps targets from its runs, and checks their answers itself
        if checker is not None and checker.needs_target and asked.target is None and not hidden:
            raise DataError(f"task {asked.id!r}: its checker compares with a target, and it has none")
        run_id = run_id or uuid.uuid4().hex[:12]
        offered = tuple(dict(spec) for spec in client_tools)
        client_tools_of(offered, taken=[tool.name for tool in self._tools])
        options = replace(self.options, labels=labels, learn=learn, seed=seed, temperature=temperature,
                          client_tools=offered)  # fmt: skip
        own = [tool.name for tool in self._tools if not reads_outside(tool)]
        recorded = {"agent": self._spec, "run": vars(options), "in_code": self._in_code, "own_tools": own}
        fresh = self.log.start(run_id, asked, model=_shown(self._spec["model"]), options=recorded, batch=batch)
        known = form or self.output_type
        return await self._drive(
            run_id, asked, options, known=known, fresh=fresh, recallers=recallers, on_event=on_event, on_words=on_words
        )

    def asked(self, task: Task, form: AnswerType | None = None) -> Task:
        """A task as a run of this agent takes it: with the agent's instructions, and with the form of its answer.

        Args:
            form: goes before the task's own form.

        Raises:
            DataError: the task is empty.
            UserError: a form that no grammar can hold, where the model decodes under one; an image for a model without
                eyes.
        """
        if not task.input.strip():
            raise DataError("the task is empty")
        if (image := next((file for file in task.files if file.is_image), None)) is not None:
            self._check_eyes(image)
        told = "\n\n".join(text for text in (self.instructions, task.instructions) if text and text.strip())
        update: dict[str, Any] = {"instructions": told or None}
        if form is not None or task.answer_type is None:
            wanted = form or self.output_type
            update |= {"choices": None, "answer_schema": None if wanted is None else dict(wanted.schema)}
        found = task.model_copy(update=update)
        if (wanted := found.answer_type) is not None and any(
            getattr(model, "constrained", False) for model in self._models["explorer"]
        ):
            check_grammar(wanted)
        return found

    def _check_eyes(self, image: File) -> None:
        """Raises UserError where a model that is to see an image can't."""
        roles = ("explorer", "evaluator") if self.options.evaluate else ("explorer",)
        for model in (model for role in roles for model in self._models.get(role, ())):
            if not takes_images(model):
                raise UserError(f"{image.name} is an image, and {model_name(model)} reads text alone: {CHOOSE}")

    def resume(
        self,
        run_id: str,
        reply: bool | Mapping[str, Any] | None = None,
        *,
        results: Mapping[str, str] | None = None,
    ) -> Result:
        """Resume an interrupted or waiting run; see `aresume`."""
        return run_sync(self.aresume(run_id, reply, results=results))

    async def aresume(
        self,
        run_id: str,
        reply: bool | Mapping[str, Any] | None = None,
        *,
        results: Mapping[str, str] | None = None,
        on_event: Callable[[Event], None] | None = None,
        on_words: Callable[[str], None] | None = None,
    ) -> Result:
        """Go on where a run stopped; no completed model call or tool call is repeated.

        Args:
            run_id: the run's id, or a unique beginning of it.
            reply: to a run that waits for a person: True, False, or `{"accept": …, "text": …, "answer": …}`.
            results: of calls of client's tools that the run waits for, by the ids of the calls.

        Raises:
            UserError: the run waits for something that was not given.
        """
        record = self.log.get(run_id)
        stored = record.options["run"]
        lists = {name: tuple(stored.get(name, ())) for name in ("approve", "client_tools")}
        options = RunOptions(**{**stored, **lists})
        answer = {"accept": reply} if isinstance(reply, bool) else reply
        if results is not None:
            save_results(self.log, record.id, calls_of(await self.question(record.id)), results)
        task = self.log.with_files(record.task)
        return await self._drive(record.id, task, options, reply=answer, on_event=on_event, on_words=on_words)

    def stream(  # type: ignore[override]  # its events, not its result alone
        self, task: AskedFor, config: RunnableConfig | None = None, **options: Any
    ) -> Iterator[Event]:
        """Solve a task, yielding typed events as they happen; the last is `RunEnded` or `Asked`.

        `event.to_json()` is the event as JSON values. `Words` are the answer as it is written.
        """
        return pull(self.astream(task, config, **options))

    def stream_resume(self, run_id: str, reply: bool | Mapping[str, Any] | None = None) -> Iterator[Event]:
        """Resume a run, yielding typed events as they happen."""
        return pull(events_of(lambda see, hear: self.aresume(run_id, reply, on_event=see, on_words=hear)))

    def astream(  # type: ignore[override]
        self, task: AskedFor, config: RunnableConfig | None = None, **options: Any
    ) -> AsyncGenerator[Event]:
        """The asynchronous twin of `stream`."""
        if config is None:
            return events_of(lambda see, hear: self.arun(as_task(task), on_event=see, on_words=hear, **options))
        return events_of(lambda see, hear: self.ainvoke(task, config, on_event=see, on_words=hear, **options))

    @property
    def explorer(self) -> BaseChatModel:
        """The model that answers, as long as none of its fallbacks must."""
        found: BaseChatModel = self._models["explorer"][0]
        return found

    @property
    def tells_confidence(self) -> bool:
        """Whether its model tells log-probabilities, off which confidence is read."""
        return bool(getattr(self.explorer, "tells_logprobs", False))

    @property
    def calibration(self) -> str:
        """The name of its calibration."""
        return str(self._spec["calibration"])

    @property
    def model_name(self) -> str:
        return _shown(self._spec["model"])

    def describe(self) -> dict[str, Any]:
        """What makes this agent's answers its own, as JSON values: models, tools, options, what it has learnt from."""
        versions = {
            name: self._ledger.version(name) for name in self._ledger.targets() if not name.startswith("calibration:")
        }
        options = {name: value for name, value in vars(self.options).items() if name != "client_tools"}  # a run's own
        return {"agent": self._spec, "run": options, "versions": versions}

    def checker_for(self, task: Task, default: str | dict[str, Any] | None = None) -> Checker | None:
        """The checker of a task: its own, else the agent's, else a default; None where there is none.

        Raises:
            DataError: an unknown checker or a wrong setting.
        """
        return self._checker_for(task, {"explorer": Caller(self._models["explorer"], limits=self._limits)}, default)

    def callers(self, run_id: str, *, fresh: bool = False, spent: Totals | None = None) -> dict[str, Caller]:
        """What calls the models of each role under one budget, with every call journalled under a run's id.

        Args:
            fresh: the run is new, so that there is nothing to look up in the journal.
            spent: what the run has used before.
        """
        used = spent or Totals()
        budget = self._budget.start(calls=used.calls, tokens=used.input_tokens + used.output_tokens, cost=used.cost)
        journal = SqlJournal(self.store, run_id, fresh=fresh)
        return {
            role: Caller(models, limits=self._limits, budget=budget, journal=journal, timeout=self.settings.timeout)
            for role, models in self._models.items()
        }

    def result(self, run_id: str) -> Result:
        """How a run stands, from the store alone."""
        return self._result(self.log.get(run_id), self.output_type)

    def _result(self, record: RunRecord, known: AnswerType | None) -> Result:
        found = replace(read_result(self.log, record), sources=self.log.sources(record))
        return self._with_output(found, record.task, known)

    def feedback(
        self, run_id: str, *, score: float | None = None, answer: str | None = None, text: str = "", by: str = "user"
    ) -> Taught:
        """Say how a finished run went, whenever that becomes known; it teaches once what the run can teach.

        A correction is learnt from as a failed run is: the reflector sees the wrong answer beside the right one, and
        its lessons take the playbook's gate.

        Args:
            run_id: the run's id, or a unique beginning of it.
            score: 0 (wrong) to 1 (right).
            answer: the right answer, where the run's own was wrong.
            text: why, in your own words.
            by: who says so; the newest word of each person counts, and `label` outweighs everybody.

        Raises:
            UserError: no such run, or one that has not finished.
            DataError: nothing is said, or something contradictory.
        """
        opinion = Opinion(run_id=run_id, by=by, score=score, answer=answer, text=text)
        desk = FeedbackDesk(self.store, self.settings, memory=self._spec["memory"], playbook=self._spec["playbook"])
        taught = desk.take(opinion)
        if self._book is not None and taught.settled is not None:
            run_sync(self._study(self._book, taught.run_id, taught.settled))
        return taught

    async def _study(self, learner: Learner, run_id: str, settled: Settled) -> None:
        """Draw lessons from a correction, once."""
        episode = corrected(self.log, run_id, settled)
        if episode is None:
            return
        callers = self.callers(run_id, spent=self.log.totals([run_id]))

        async def call(role: str, messages: Sequence[BaseMessage], *, schema: type[BaseModel] | None = None) -> Reply:
            caller = callers.get(role) or callers["explorer"]
            return await caller.call(messages, schema=schema, role=role, scope=f"learn:{episode.run_id}")

        await learner.learn(episode, call=call)

    def close(self) -> None:
        """Close the database, if this agent opened it."""
        saver: Any = self._checkpoints
        saver.conn.close()
        if self._owns_store:
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @cached_property
    def _graph(self) -> Graph:
        return build_graph(self._checkpoints)

    @cached_property
    def _graph_without_recall(self) -> Graph:
        return build_graph(self._checkpoints, first="explore")

    async def _drive(
        self,
        run_id: str,
        task: Task,
        options: RunOptions,
        *,
        known: AnswerType | None = None,
        fresh: bool = False,
        reply: Mapping[str, Any] | None = None,
        recallers: Sequence[Recaller] | None = None,
        on_event: Callable[[Event], None] | None = None,
        on_words: Callable[[str], None] | None = None,
    ) -> Result:
        known = known or self.output_type
        if not fresh:
            record = self.log.get(run_id)
            if record.status in FINISHED:
                return self._result(record, known)
            if record.task != stored_task(task):
                raise UserError(f"run {run_id!r} is already there for another task")
        emit = on_event or (lambda event: None)
        started = time.perf_counter()
        with (
            telemetry.span("invoke_agent", "agentkit", agent__name="agentkit", conversation__id=run_id),
            self.log.heartbeat.of(run_id),
        ):
            async with AsyncExitStack() as stack:
                try:
                    context = await self._context(stack, run_id, task, options, recallers, emit, fresh)
                    context.form, context.on_words = known, on_words
                    graph_input = first_state(run_id, task) if fresh else await self._input(run_id, task, reply)
                    if not fresh:
                        self.log.take_up(run_id)
                    resumed = graph_input is None or isinstance(graph_input, Command)
                    emit(RunStarted(run_id=run_id, task_id=task.id, model=_shown(self._spec["model"]), resumed=resumed))
                    values, interrupts = await self._invoke(context, graph_input)
                except BaseException as error:
                    await self._broke_off(run_id, error, started)
                    raise
        ways = {"abstain": "abstained", "decline": "declined"}
        status = "waiting" if interrupts else ways.get(values.get("outcome") or "", "done")
        seconds = time.perf_counter() - started
        answer, rounds = values.get("answer"), values.get("round", 0) + 1
        effort, confidence = values.get("effort"), values.get("confidence")
        steps = self.log.finish(
            run_id, status, answer=answer, rounds=rounds, seconds=seconds, effort=effort, confidence=confidence
        )
        question = dict(interrupts[0].value) if interrupts else None
        if question is not None:
            emit(Asked(run_id=run_id, question=question["question"], details=question))
        else:
            emit(RunEnded(run_id=run_id, status=status, answer=answer, seconds=seconds))
        ended = Result(
            run_id=run_id,
            task_id=task.id,
            status=status,
            answer=answer,
            question=question,
            rounds=rounds,
            seconds=seconds,
            sources=tuple(values.get("sources", ())),
            effort=effort,
            confidence=confidence,
        )
        return self._with_output(with_steps(ended, steps), task, known)

    def _with_output(self, result: Result, task: Task, known: AnswerType | None) -> Result:
        form = task.answer_type
        return with_output(result, None if form is None else form.backed_by(known))

    async def _invoke(self, context: RunContext, graph_input: Any) -> tuple[Mapping[str, Any], Sequence[Any]]:
        """Run the graph; gives its last state and what it asks of a person."""
        options = context.options
        limit = 10 + 3 * options.max_rounds * (options.max_steps + 2)
        config: Any = {"configurable": {"thread_id": context.run_id}, "recursion_limit": limit}
        graph = self._graph if context.blocks is None else self._graph_without_recall
        try:
            output = await graph.ainvoke(
                graph_input, config, context=context, durability=self.settings.durability, version="v2"
            )
        except GraphRecursionError:
            raise RunError(f"run {context.run_id} took more than {limit} steps") from None
        return output.value, output.interrupts

    async def _broke_off(self, run_id: str, error: BaseException, started: float) -> None:
        """Record that a run failed, or was interrupted where it was cancelled from outside.

        One that waits for a person, or has failed before and could not be taken up, stays so.
        """
        stopped = not isinstance(error, Exception)
        status, line = ("interrupted", None) if stopped else ("failed", str(error).split("\n")[0] or repr(error))
        seconds = time.perf_counter() - started
        with suppress(StoreError):  # what is wrong with the database is what comes out already
            if self.log.get(run_id).status not in ("running", "interrupted"):
                return
            answer = None if stopped else (await self.state(run_id)).get("answer")
            self.log.finish(run_id, status, answer=answer, error=line, seconds=seconds)

    async def _input(self, run_id: str, task: Task, reply: Mapping[str, Any] | None) -> Any:
        """What to give the graph: the first state, nothing (go on), or a person's reply."""
        config: Any = {"configurable": {"thread_id": run_id}}
        snapshot = await self._graph.aget_state(config)
        if not snapshot.values:
            return first_state(run_id, task)
        if (question := question_of(snapshot)) is not None:
            return Command(resume=reply_to(self.log, run_id, question, reply))
        return None

    async def question(self, run_id: str) -> dict[str, Any] | None:
        """What a run that waits asks of a person or of its client; None where it does not wait."""
        config: Any = {"configurable": {"thread_id": run_id}}
        return question_of(await self._graph.aget_state(config))

    async def state(self, run_id: str) -> dict[str, Any]:
        """The state of a run as its last checkpoint holds it; empty before the first."""
        config: Any = {"configurable": {"thread_id": run_id}}
        return dict((await self._graph.aget_state(config)).values)

    async def _context(
        self,
        stack: AsyncExitStack,
        run_id: str,
        task: Task,
        options: RunOptions,
        recallers: Sequence[Recaller] | None,
        emit: Callable[[Event], None],
        fresh: bool,
    ) -> RunContext:
        spent = Totals() if fresh else self.log.totals([run_id])
        recallers = self._recallers if recallers is None else recallers
        callers = self.callers(run_id, fresh=fresh, spent=spent)
        own = [*self._tools, *await self._mcp_tools(stack)]
        offered = client_tools_of(options.client_tools, taken=[tool.name for tool in own])
        tools = one_of_each_name([*own, *offered])
        return RunContext(
            run_id=run_id,
            task=task,
            options=options,
            log=self.log,
            callers=callers,
            program=self.program,
            router=self.router,
            assessor=self._assessor(options),
            tools=tools,
            checker=self._checker_for(task, callers),
            recallers=recallers,
            blocks=[] if fresh and not recallers else None,
            learners=self._learners if options.learn else (),
            emit=emit,
            fresh=fresh,
        )

    def _assessor(self, options: RunOptions) -> Assessor:
        """What tells how likely an answer is right.

        Raises:
            UserError: answers are to be declined, and there is no calibration for that, or nothing to calibrate.
        """
        name, below, error = model_name(self.explorer), options.decline_below, options.max_error
        if not self.tells_confidence:
            if below is not None or error is not None:
                raise UserError(f"{name} tells no log-probabilities, so that it can't decline by them")
            return Assessor()
        return assessor_for(CalibrationStore(self.store, self.calibration), name, decline_below=below, max_error=error)

    async def _mcp_tools(self, stack: AsyncExitStack) -> list[BaseTool]:
        if not self.settings.mcp:
            return []
        from agentkit.tools.mcp import connect_mcp

        return list(await stack.enter_async_context(connect_mcp(self.settings.mcp)))

    def _checker_for(
        self, task: Task, callers: Mapping[str, Caller], default: str | dict[str, Any] | None = None
    ) -> Checker | None:
        spec = task.own_checker or self.checker or default
        if spec is None:
            return None
        judge = callers.get("evaluator") or callers["explorer"]

        async def call(role: str, messages: Sequence[BaseMessage], *, schema: Any = None) -> Reply:
            return await judge.call(messages, schema=schema, role=role, scope="check")

        return get_checker(spec, call=call)

    def _load_models(self, model: Any, evaluator_model: Any) -> dict[str, list[Any]]:
        chosen = {"explorer": model or self.settings.model}
        if other := evaluator_model or self.settings.evaluator_model:
            chosen["evaluator"] = other
        return {
            role: [
                load_model(name, **options_for(name, self._model_options))
                for name in (names if isinstance(names, list | tuple) else [names])
            ]
            for role, names in chosen.items()
        }

    def _attach_learning(self) -> None:
        """Open the named playbook and memory and add them to what recalls and what learns."""
        gate = self._spec["gate"]
        if gate not in get_args(DailyGate):
            raise UserError(f"{gate!r} is no gate: there are {', '.join(get_args(DailyGate))}")
        if name := self._spec["playbook"]:
            from agentkit.playbooks import PlaybookLearner, PlaybookRecaller, PlaybookStore, StreamGate, Withholding

            book = PlaybookStore.open(self.store, name)
            trials = StreamGate(book) if gate == "probation" else None
            self._recallers.append(PlaybookRecaller(book, withholding=Withholding(), trials=trials))
            self._book = PlaybookLearner(book, gate=gate)
            self._learners.append(self._book)
        if name := self._spec["memory"]:
            from agentkit.memory import FormRecaller, MemoryLearner, open_cases

            memory = open_cases(self.store, name, settings=self.settings)
            self._recallers.append(FormRecaller(memory))
            self._learners.append(MemoryLearner(memory, hold=gate in ("strict", "quarantine")))


def chosen_options(settings: Settings, given: Mapping[str, object] | None) -> dict[str, object]:
    """The options of models: those given, before the settings'.

    Raises:
        UserError: a key among them, which would be stored with every run.
    """
    address = {} if settings.api_base is None else {"api_base": settings.api_base}
    options = {**address, **settings.model_options, **(given or {})}
    if "api_key" in options:
        raise UserError("api_key is no option, since options are stored with every run: set the provider's variable")
    return options


def _name(model: Any) -> Any:
    if model is None or isinstance(model, str):
        return model
    if isinstance(model, list | tuple):
        return [_name(item) for item in model]
    return str(getattr(model, "name", None) or getattr(model, "__name__", None) or type(model).__name__)


def _objects(what: str, parts: Sequence[Any]) -> list[str]:
    """What of an agent is no name, so that only the code that made it can make it again."""
    flat = [item for part in parts for item in (part if isinstance(part, list | tuple) else [part])]
    return [f"{what} {_name(item)}" for item in flat if item is not None and not isinstance(item, str)]


def _shown(name: Any) -> str:
    """A model's name for records: the first, where there are fallbacks."""
    return str(name[0] if isinstance(name, list) else name)
