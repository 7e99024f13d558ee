"""Agent: build one, run it, stream it, resume it. `agentkit.evolve` lets it learn from tasks."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
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
"""Options of a run that an agent is built again with."""


class Agent(AgentParts, RunnableAgent):
    """An explorer and an evaluator on a durable state machine, with what they have learnt.

    It is built of what `AgentParts` takes: a model, tools, a playbook, a memory, and how runs are to go. `run`,
    `resume`, `stream` and the like are `arun` and `aresume` called in other ways.
    """

    @classmethod
    def for_run(cls, run_id: str, *, settings: Settings | None = None) -> tuple[Self, str]:
        """The agent that can resume a stored run, built as the run recorded it, and the run's full id.

        Raises:
            UserError: no such run, a paper's, or it was made in code with parts that only that code has.
        """
        settings = settings or load_settings()
        store = Store.open(settings.database_url)
        record = RunLog(store).get(run_id)
        if paper := record.options.get("curation"):
            mend = "go on with it by the  agentkit curate  command that began it"
            raise UserError(f"run {record.id} is a paper of the knowledge base {paper['kb']!r}: {mend}")
        if parts := ", ".join(record.options.get("in_code", ())):
            call = f"Agent(…).resume({record.id!r})"
            raise UserError(f"run {record.id} was made in code, with its own {parts}: go on with it there, by {call}")
        agent = cls.from_spec(record.options["agent"], record.options["run"], store=store, settings=settings)
        agent._owns_store = True
        return agent, record.id

    @classmethod
    def from_spec(
        cls, spec: Mapping[str, Any], options: Mapping[str, Any], *, store: Store, settings: Settings
    ) -> Self:
        """An agent built again of what another one said of itself: its `spec`, and the values of its `options`."""
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
        options = replace(self.options, labels=labels, learn=learn, seed=seed, temperature=temperature)
        options = replace(options, client_tools=tuple(dict(spec) for spec in client_tools))
        run = Driven(run_id=run_id or uuid.uuid4().hex[:12], task=asked, options=options, form=form or self.output_type)
        run = replace(run, recallers=recallers, emit=on_event or unheard, on_words=on_words)
        return await self._runs.drive(replace(run, fresh=self._start(run, batch)))

    def _start(self, run: Driven, batch: str | None) -> bool:
        """Write a run down, once it is sure that it can be checked; returns whether it is new."""
        checker = self.checker_for(run.task)
        hidden = batch is not None  # an evolution keeps targets from its runs, and checks their answers itself
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
        """Go on where a run stopped; no completed model call or tool call is repeated.

        Args:
            run_id: the run's id, or a unique beginning of it.
            reply: to a run that waits for a person: True, False, or `{"accept": …, "text": …, "answer": …}`.
            results: of calls of client's tools that the run waits for, by the ids of the calls.
            on_event, on_words: as in `arun`.

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
        asked = self.log.with_files(record.task)
        run = Driven(run_id=record.id, task=asked, options=options, form=self.output_type, reply=answer)
        return await self._runs.drive(replace(run, emit=on_event or unheard, on_words=on_words))

    def result(self, run_id: str) -> Result:
        """How a run stands, from the store alone."""
        return self._runs.result(self.log.get(run_id), self.output_type)

    async def question(self, run_id: str) -> JsonObject | None:
        """What a run that waits asks of a person or of its client; None where it does not wait."""
        return await self._runs.question(run_id)

    async def state(self, run_id: str) -> JsonObject:
        """The state of a run as its last checkpoint holds it; empty before the first."""
        return await self._runs.state(run_id)

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
