"""What an agent is: models, tools, options, what it has learnt; and all that can be said of it without a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from agentkit.agent.building import AgentLearning, AgentModels, AgentTools, likeness_of, objects
from agentkit.answer_type import AnswerType
from agentkit.checkers import get_checker
from agentkit.confidence import Assessor, CalibrationStore, Likeness, assessor_for, check_share
from agentkit.errors import DataError, UserError
from agentkit.graph.checkpoints import open_checkpoints
from agentkit.graph.context import RunOptions
from agentkit.graph.effort import Effort, Router, Samples, known_effort, known_samples
from agentkit.graph.program import Program, Solve
from agentkit.json_types import JsonObject
from agentkit.ledger import Ledger
from agentkit.models import Budget, Caller, Reply
from agentkit.models.caller import model_name
from agentkit.models.union import check_grammar
from agentkit.protocols import Learner, Recaller
from agentkit.routing import LearnedRouter
from agentkit.settings import DailyGate, Settings, load_settings
from agentkit.store import Store
from agentkit.store.run_log import RunLog, Totals
from agentkit.tasks import Task

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

    from agentkit.checkers import Checker


class AgentParts:
    """What an agent is made of.

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
            (tools and plans), or "auto", the cheapest of them that can do the task, by rules and by what past runs of
            its kind have shown.
        samples: answers to ask for and to vote on; "auto" stops when another one is not worth it.
        planning: offer the explorer a plan of sub-tasks.
        evaluate: let the evaluator agent check what no real checker can; None asks it where it was measured to help.
        decline_below: the confidence below which a run declines to answer (`agentkit calibrate` first).
        max_error: the share of wrong answers that may be given, instead.
        calibration: the name of what turns a model's own doubt into confidence.
        max_rounds, max_steps: answers that a run may give, and turns that one of them may take; None takes the
            settings'.
        approve: tools that a person must approve; `"answer"` stands for the final answer.
        playbook, memory: names of a playbook and a case memory to recall from and to learn into.
        adapter: the name of a trained adapter that the explorer answers with; for local models.
        gate: what becomes of what its runs teach (`agentkit.settings.DailyGate`); None takes the settings'.
        recallers, learners: more of them, as objects.
        budget: limits of one run; None takes the settings'.
        store: a `Store` or a database URL; None takes the settings'.
        program: prompts and schemas, where they are not those of solving tasks.
        router: what chooses the mode of runs whose effort is "auto"; None takes what past runs have shown.

    Attributes:
        options: how runs go unless told otherwise.
        store, log, checkpoints: where everything is kept, its runs, and how far each has come.
        models, tools, learning: the parts as they were built.
        learned: what past runs have shown about modes and about the evaluator.

    Raises:
        AgentKitError: a model, tool or database that can't be had, or a checker without a name, in one line.
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
        checker: str | JsonObject | None = None,
        instructions: str | None = None,
        output_type: Any = None,
        effort: Effort = "auto",
        samples: Samples = 1,
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
        adapter: str | None = None,
        gate: DailyGate | None = None,
        recallers: Sequence[Recaller] = (),
        learners: Sequence[Learner] = (),
        budget: Budget | None = None,
        store: Store | str | None = None,
        settings: Settings | None = None,
        program: Program | None = None,
        router: Router | None = None,
    ) -> None:
        self.settings = kept = settings or load_settings()
        self.store, self._owns_store = _opened(store, kept)
        self.log, self._ledger, self.learned = RunLog(self.store), Ledger(self.store), LearnedRouter(self.store)
        self.checker, self.instructions, self._calibration = _named(checker), instructions, calibration
        self.output_type = None if output_type is None else AnswerType.of(output_type)
        self.models = AgentModels(kept, model, evaluator_model, options=model_options, budget=budget)
        self.tools = AgentTools(kept, tools, root=root, database=database, http_hosts=http_hosts)
        self.learning = AgentLearning(kept, self.store, playbook, memory, gate, recallers=recallers, learners=learners)
        self.learning.attach_adapter(adapter, self.models.explorer)
        self.program, self.router = program or Solve(), router or self.learned
        self._also_in_code = [*objects("program", [program]), *objects("router", [router])]
        going = RunOptions(planning=planning, evaluate=evaluate, decline_below=decline_below, max_error=max_error)
        going = replace(going, samples=known_samples(samples))
        self.options = self._going(going, effort, max_rounds or kept.max_rounds, max_steps or kept.max_steps, approve)
        self.checkpoints = open_checkpoints(self.store)

    def _going(self, options: RunOptions, effort: str, rounds: int, steps: int, approve: Sequence[str]) -> RunOptions:
        """How runs go unless told otherwise; says at once what declining lacks."""
        options = replace(options, max_rounds=rounds, max_steps=steps, effort=known_effort(effort))
        options = replace(options, approve=self.tools.approved(approve))
        check_share("decline_below", options.decline_below)
        check_share("max_error", options.max_error)
        self.assessor(options)
        return options

    @property
    def explorer(self) -> BaseChatModel:
        """The model that answers, as long as none of its fallbacks must."""
        return self.models.explorer

    @property
    def tells_confidence(self) -> bool:
        """Whether its model tells log-probabilities, off which confidence is read."""
        return bool(getattr(self.explorer, "tells_logprobs", False))

    @cached_property
    def likeness(self) -> Likeness:
        """What compares inputs with the options of closed answers, by the settings' embedder."""
        return likeness_of(self.settings)

    @property
    def calibration(self) -> str:
        """The name of its calibration."""
        return self._calibration

    @property
    def model_name(self) -> str:
        return self.models.name

    @property
    def spec(self) -> JsonObject:
        """What it was built of, as JSON values: objects by their names, no key and no password."""
        return {
            **self.models.spec,
            **self.tools.spec,
            **self.learning.spec,
            "checker": self.checker,
            "instructions": self.instructions,
            "output_type": None if self.output_type is None else dict(self.output_type.schema),
            "calibration": self.calibration,
        }

    @property
    def in_code(self) -> list[str]:
        """What of it only the code that made it can make again."""
        return [*self.models.in_code, *self.tools.in_code, *self.learning.in_code, *self._also_in_code]

    def describe(self) -> JsonObject:
        """What makes this agent's answers its own, as JSON values: models, tools, options, what it has learnt from."""
        others = ("calibration:", "adapter:")  # it answers the same, whatever adapters there are beside its own
        own = f"adapter:{self.learning.spec.get('adapter')}"
        versions = {
            name: self._ledger.version(name)
            for name in self._ledger.targets()
            if name == own or not name.startswith(others)
        }
        unsaid = (("client_tools", ()), ("samples", 1))  # a run's own; what came later and says nothing
        options = {name: value for name, value in vars(self.options).items() if (name, value) not in unsaid}
        return {"agent": self.spec, "run": options, "versions": versions}

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
            self.models.check_eyes(image, evaluated=bool(self.options.evaluate))
        told = "\n\n".join(text for text in (self.instructions, task.instructions) if text and text.strip())
        update: JsonObject = {"instructions": told or None}
        if form is not None or task.answer_type is None:
            wanted = form or self.output_type
            update |= {"choices": None, "answer_schema": None if wanted is None else dict(wanted.schema)}
        found = task.model_copy(update=update)
        if (wanted := found.answer_type) is not None and self.models.constrained:
            check_grammar(wanted)
        return found

    def callers(self, run_id: str, *, fresh: bool = False, spent: Totals | None = None) -> dict[str, Caller]:
        """What calls the models of each role, journalled under a run's id; see `AgentModels.callers`."""
        return self.models.callers(self.store, run_id, fresh=fresh, spent=spent)

    def checker_for(
        self,
        task: Task,
        default: str | JsonObject | None = None,
        *,
        callers: Mapping[str, Caller] | None = None,
    ) -> Checker | None:
        """The checker of a task: its own, else the agent's, else a default; None where there is none.

        Args:
            callers: what a checker that asks a model asks; None asks the explorer outside of any run.

        Raises:
            DataError: an unknown checker or a wrong setting.
        """
        spec = task.own_checker or self.checker or default
        if spec is None:
            return None
        callers = callers or {"explorer": self.models.unjournalled()}
        judge = callers.get("evaluator") or callers["explorer"]

        async def call(role: str, messages: Sequence[BaseMessage], *, schema: Any = None) -> Reply:
            return await judge.call(messages, schema=schema, role=role, scope="check")

        return get_checker(spec, call=call)

    def assessor(self, options: RunOptions) -> Assessor:
        """What tells how likely an answer is right.

        Raises:
            UserError: answers are to be declined, and there is no calibration for that, or nothing to calibrate.
        """
        name, below, error = model_name(self.explorer), options.decline_below, options.max_error
        if not self.tells_confidence:
            if below is not None or error is not None:
                raise UserError(f"{name} tells no log-probabilities, so that it can't decline by them")
            return Assessor()
        return assessor_for(
            CalibrationStore(self.store, self.calibration),
            name,
            likeness=self.likeness,
            decline_below=below,
            max_error=error,
        )

    def close(self) -> None:
        """Close the checkpoints, and the database if this agent opened it."""
        saver: Any = self.checkpoints
        saver.conn.close()
        if self._owns_store:
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _named(checker: str | JsonObject | None) -> str | JsonObject | None:
    """The checker as runs record it, which is by its name."""
    if checker is not None and not isinstance(checker, str | dict):
        raise UserError(
            f"checker={type(checker).__name__} is an object, and runs record a checker by its name: register it "
            "(agentkit.checkers.CHECKERS) and give the name"
        )
    return checker


def _opened(store: Store | str | None, settings: Settings) -> tuple[Store, bool]:
    """The store to use, and whether it was opened here."""
    return (store, False) if isinstance(store, Store) else (Store.open(store or settings.database_url), True)
