"""Agent: build one, run it, stream it, resume it. `agentkit.evolve` lets it learn from tasks."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

from agentkit.agent.parts import AgentParts
from agentkit.agent.runnable import RunnableAgent
from agentkit.agent.running import Driven, RunDriver, unheard
from agentkit.aio import run_sync
from agentkit.answer_type import AnswerType
from agentkit.errors import DataError, UserError
from agentkit.feedback import FeedbackDesk, Taught, corrected, study
from agentkit.graph.context import RunOptions
from agentkit.graph.events import Event
from agentkit.graph.waiting import calls_of, save_results
from agentkit.json_types import JsonObject
from agentkit.opinions import Opinion
from agentkit.protocols import Recaller
from agentkit.result import Result
from agentkit.settings import Settings, load_settings
from agentkit.store import Store
from agentkit.store.run_log import RunLog
from agentkit.tasks import Labels, Task
from agentkit.tools import client_tools as client_tools_of
from agentkit.tools import reads_outside

_KEPT = {
    "planning",
    "effort",
    "samples",
    "evaluate",
    "decline_below",
    "max_error",
    "max_rounds",
    "max_steps",
    "approve",
}
"""Options of a run that are restored when its agent is rebuilt."""


class Agent(AgentParts, RunnableAgent):
    """An explorer and an evaluator on a durable state machine, together with what they have learnt.

    It is built from the arguments of `AgentParts`: a model, tools, a playbook, a memory, and options for its runs.
    `run`, `resume`, `stream` and the like are wrappers around `arun` and `aresume`.

    Attributes:
        elsewhere: makes runs in other processes (`agentkit.distributed`); None makes them in this one.
    """

    elsewhere: Callable[[Driven, str | None], Awaitable[Result]] | None = None

    @classmethod
    def for_run(cls, run_id: str, *, settings: Settings | None = None) -> tuple[Self, str]:
        """Rebuild the agent of a stored run from the run's record, so that it can resume the run; also returns the
        run's full id.

        Raises:
            UserError: no such run, it is a paper's, or it was made in code with objects that can't be rebuilt from
                names.
        """
        settings = settings or load_settings()
        store = Store.open(settings.database_url)
        record = RunLog(store).get(run_id)
        if paper := record.options.get("curation"):
            mend = "continue it with the  agentkit curate  command that began it"
            raise UserError(f"run {record.id} is a paper of the knowledge base {paper['kb']!r}: {mend}")
        if parts := ", ".join(record.options.get("in_code", ())):
            call = f"Agent(…).resume({record.id!r})"
            raise UserError(f"run {record.id} was made in code, with its own {parts}: resume it there, with {call}")
        agent = cls.from_spec(record.options["agent"], record.options["run"], store=store, settings=settings)
        agent._owns_store = True
        return agent, record.id

    @classmethod
    def from_spec(
        cls, spec: Mapping[str, Any], options: Mapping[str, Any], *, store: Store, settings: Settings
    ) -> Self:
        """Rebuild an agent from another one's `spec` and the values of its `options`."""
        chosen = {name: options[name] for name in _KEPT if name in options}
        rest = {name: value for name, value in spec.items() if name != "model"}
        return cls(spec["model"], store=store, settings=settings, **rest, **chosen)

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
        """Solve a task. The run is stored as it proceeds, and can be resumed after a crash.

        Args:
            task: the input, or a `Task`.
            output_type: the form of this answer; overrides the task's and the agent's.
            run_id: names the run; if a run with this id exists, it is resumed, or its result returned if it has
                finished.
            batch: groups the runs of one evaluation.
            labels: how much of the task's target may appear in feedback.
            learn: pass the finished run to the learners.
            seed, temperature: for models that support them; with None each model uses its own temperature.
            recallers: sources of context for this run only, instead of the agent's own.
            client_tools: tools that the caller carries out, as `{"name", "description", "parameters"}`. A run that
                calls one waits; `result.question["calls"]` lists the calls, and `resume` takes their results.
            on_event: called with every event as it happens.
            on_words: called with the answer written so far, each time it grows. Only in runs whose answer can't be
                replaced afterwards: without tools, without an answer form, and without any check.

        Raises:
            DataError: the task is empty, or a client tool is invalid.
            UserError: an output type that can't be expressed as a schema or a grammar.
            RunError: the run stopped early; `resume` continues it.
        """
        form = None if output_type is None else AnswerType.of(output_type)
        asked = self.asked(task if isinstance(task, Task) else Task(id="task", input=task), form)
        asked = self.log.with_files(asked)
        options = replace(self.options, labels=labels, learn=learn, seed=seed, temperature=temperature)
        options = replace(options, client_tools=tuple(dict(spec) for spec in client_tools))
        run = Driven(run_id=run_id or uuid.uuid4().hex[:12], task=asked, options=options, form=form or self.output_type)
        run = replace(run, recallers=recallers, emit=on_event or unheard, on_words=on_words)
        return await self.drive(run, batch)

    async def drive(self, run: Driven, batch: str | None = None) -> Result:
        """Make a run that is prepared: in this process, or wherever `elsewhere` makes it."""
        if self.elsewhere is not None:
            return await self.elsewhere(run, batch)
        return await self._runs.drive(replace(run, fresh=self._start(run, batch)))

    def _start(self, run: Driven, batch: str | None) -> bool:
        """Record a run after making sure that its answer can be checked; returns whether the run is new."""
        checker = self.checker_for(run.task)
        hidden = batch is not None  # an evolution hides targets from its runs and checks the answers itself
        if checker is not None and checker.needs_target and run.task.target is None and not hidden:
            raise DataError(f"task {run.task.id!r}: its checker compares with a target, and it has none")
        loaded = self.tools.loaded
        client_tools_of(run.options.client_tools, taken=[tool.name for tool in loaded])
        own = [tool.name for tool in loaded if not reads_outside(tool)]
        recorded = {"agent": self.spec, "run": vars(run.options), "in_code": self.in_code, "own_tools": own}
        return self.log.start(run.run_id, run.task, model=self.model_name, options=recorded, batch=batch)

    async def aresume(
        self,
        run_id: str,
        reply: bool | Mapping[str, Any] | None = None,
        *,
        results: Mapping[str, str] | None = None,
        on_event: Callable[[Event], None] | None = None,
        on_words: Callable[[str], None] | None = None,
    ) -> Result:
        """Continue a run where it stopped; completed model calls and tool calls are not repeated.

        Args:
            run_id: the run's id, or a unique prefix of it.
            reply: a person's reply to a run that waits for one: True, False, or `{"accept": …, "text": …, "answer":
                …}`.
            results: results of client tool calls that the run waits for, by call id.
            on_event, on_words: as in `arun`.

        Raises:
            UserError: the run waits for a reply or a result that was not given.
        """
        record = self.log.get(run_id)
        stored = record.options["run"]
        lists = {name: tuple(stored.get(name, ())) for name in ("approve", "client_tools")}
        options = RunOptions(**{**stored, **lists})
        answer = {"accept": reply} if isinstance(reply, bool) else reply
        if results is not None:
            save_results(self.log, record.id, calls_of(await self.question(record.id)), results)
        asked = self.log.with_files(record.task)
        run = Driven(run_id=record.id, task=asked, options=options, form=self.output_type, reply=answer)
        return await self._runs.drive(replace(run, emit=on_event or unheard, on_words=on_words))

    def result(self, run_id: str) -> Result:
        """The current state of a run, read from the store."""
        return self._runs.result(self.log.get(run_id), self.output_type)

    async def question(self, run_id: str) -> JsonObject | None:
        """What a waiting run asks of a person or of its client; None if it is not waiting."""
        return await self._runs.question(run_id)

    async def state(self, run_id: str) -> JsonObject:
        """The state of a run at its last checkpoint; empty before the first one."""
        return await self._runs.state(run_id)

    def feedback(
        self, run_id: str, *, score: float | None = None, answer: str | None = None, text: str = "", by: str = "user"
    ) -> Taught:
        """Give feedback on a finished run, whenever it becomes available; each piece of feedback teaches once.

        Corrections are learnt from like failed runs: the reflector sees the wrong answer next to the right one, and its
        lessons go through the playbook's gate.

        Args:
            run_id: the run's id, or a unique prefix of it.
            score: 0 (wrong) to 1 (right).
            answer: the right answer, if the run's was wrong.
            text: the reason, in your own words.
            by: the author; each person's newest opinion counts, and `label` outweighs everybody.

        Raises:
            UserError: no such run, or it has not finished.
            DataError: the feedback is empty or contradicts itself.
        """
        opinion = Opinion(run_id=run_id, by=by, score=score, answer=answer, text=text)
        known = self.learning
        taught = FeedbackDesk(self.store, self.settings, memory=known.memory, playbook=known.playbook).take(opinion)
        if known.book is not None and taught.settled is not None:
            episode = corrected(self.log, taught.run_id, taught.settled)
            if episode is not None:
                callers = self.callers(taught.run_id, spent=self.log.totals([taught.run_id]))
                run_sync(study(known.book, episode, callers))
        return taught

    @cached_property
    def _runs(self) -> RunDriver:
        return RunDriver(self)
