"""Building an agent: turns names and objects into models, tools and learnt state, and records how it was built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from agentkit.confidence import Likeness
from agentkit.confidence.likeness import weighs_options
from agentkit.embedding import Embedder
from agentkit.errors import UserError
from agentkit.json_types import JsonObject
from agentkit.models import Budget, Caller, Limits, load_model
from agentkit.models.base import CHOOSE, takes_images
from agentkit.models.budget import Meter
from agentkit.models.caller import model_name
from agentkit.models.journal import SqlJournal
from agentkit.models.load import options_for
from agentkit.protocols import Learner, Recaller
from agentkit.settings import DailyGate, Settings
from agentkit.store import Store
from agentkit.store.run_log import Totals
from agentkit.tools import approved, load_tools
from agentkit.tools.database import without_password

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.tools import BaseTool

    from agentkit.files import File


class AgentModels:
    """The models of each role, a run's budget for them, and the callers that use them.

    Args:
        model, evaluator_model: a name, a chat model, or a list of either; None uses the settings'.
        options: for models given by name; they override the settings'.
        budget: limits for one run; None uses the settings'.

    Attributes:
        roles: the models of each role; all but the first are fallbacks.
        spec: the parts that were given by name, as runs record them.
        in_code: the parts that were given as objects.
        limits, budget: how many calls may be in flight at once, and what one run may use.
        meters: creates the meter that counts a run's calls; workers that share a budget replace it.
    """

    def __init__(
        self,
        settings: Settings,
        model: Any,
        evaluator_model: Any,
        *,
        options: Mapping[str, object] | None = None,
        budget: Budget | None = None,
    ) -> None:
        explorer, evaluator = model or settings.model, evaluator_model or settings.evaluator_model
        chosen = chosen_options(settings, options)
        self.spec: JsonObject = {"model": name_of(explorer), "evaluator_model": name_of(evaluator)}
        self.spec |= {"model_options": chosen} if chosen else {}  # omitted if empty: ids derive from it
        self.in_code = objects("model", [model, evaluator_model])
        roles = {"explorer": explorer} | ({"evaluator": evaluator} if evaluator else {})
        self.roles: dict[str, list[BaseChatModel]] = {
            role: [
                load_model(name, **options_for(name, chosen))
                for name in (names if isinstance(names, list | tuple) else [names])
            ]
            for role, names in roles.items()
        }
        self._timeout, self.limits = settings.timeout, Limits(concurrency=settings.concurrency)
        self.budget = budget or Budget(**settings.budget.model_dump())
        self.meters: Callable[..., Meter] = Meter

    @property
    def explorer(self) -> BaseChatModel:
        """The model that answers, unless a fallback has to."""
        return self.roles["explorer"][0]

    @property
    def name(self) -> str:
        """The explorer's name for records; the first one's if there are fallbacks."""
        name = self.spec["model"]
        return str(name[0] if isinstance(name, list) else name)

    @property
    def constrained(self) -> bool:
        """Whether any model that answers decodes under a grammar."""
        return any(getattr(model, "constrained", False) for model in self.roles["explorer"])

    def check_eyes(self, image: File, *, evaluated: bool) -> None:
        """Raises UserError if a model that must see an image can't."""
        roles = ("explorer", "evaluator") if evaluated else ("explorer",)
        for model in (model for role in roles for model in self.roles.get(role, ())):
            if not takes_images(model):
                raise UserError(f"{image.name} is an image, and {model_name(model)} reads text alone: {CHOOSE}")

    def unjournalled(self) -> Caller:
        """A caller for the explorer outside of runs, without a journal."""
        return Caller(self.roles["explorer"], limits=self.limits)

    def callers(
        self, store: Store, run_id: str, *, fresh: bool = False, spent: Totals | None = None
    ) -> dict[str, Caller]:
        """A caller for each role. They share one budget and journal every call under the run's id.

        Args:
            fresh: the run is new, so the journal need not be searched.
            spent: what the run has used so far.
        """
        used = spent or Totals()
        tokens = used.input_tokens + used.output_tokens
        budget = self.meters(self.budget, calls=used.calls, tokens=tokens, cost=used.cost)
        journal = SqlJournal(store, run_id, fresh=fresh)
        return {
            role: Caller(models, limits=self.limits, budget=budget, journal=journal, timeout=self._timeout)
            for role, models in self.roles.items()
        }


class AgentTools:
    """The tools of an agent's runs.

    Args:
        wanted: names of built-in tools, Python functions, or LangChain tools; None uses the settings'.
        root, database, http_hosts: what built-in tools may read and fetch.

    Attributes:
        loaded: the tools.
        spec, in_code: the tools given by name, and those given as objects.
    """

    def __init__(
        self,
        settings: Settings,
        wanted: Sequence[Any] | None,
        *,
        root: str | Path | None,
        database: str | Path | None,
        http_hosts: Sequence[str] | None,
    ) -> None:
        self._wanted = list(settings.tools if wanted is None else wanted)
        self._servers = settings.mcp
        hosts = list(settings.http_hosts if http_hosts is None else http_hosts)
        self.spec: JsonObject = {
            "tools": [name_of(tool) for tool in self._wanted],
            "root": None if root is None else str(root),
            "database": None if database is None else without_password(database),
        }
        self.spec |= {"http_hosts": hosts} if hosts else {}  # omitted if empty: ids derive from it
        self.in_code = objects("tool", self._wanted)
        self.loaded: list[BaseTool] = load_tools(self._wanted, root=root, database=database, allow_hosts=hosts)

    def approved(self, names: Sequence[str]) -> tuple[str, ...]:
        """The tools that need a person's approval, by the names that calls use.

        Raises:
            UserError: no tool has that name.
        """
        return approved(names, self._wanted, self.loaded, servers=self._servers)


class AgentLearning:
    """What an agent recalls from and learns into.

    Args:
        playbook, memory: names; None uses the settings'.
        gate: what happens to what its runs teach; None uses the settings'.
        recallers, learners: additional ones, as objects.

    Attributes:
        recallers, learners: those given, plus those of the playbook and the memory.
        book: the learner of the playbook.
        spec, in_code: the parts given by name, and those given as objects.

    Raises:
        UserError: an unknown gate.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        playbook: str | None = None,
        memory: str | None = None,
        gate: DailyGate | None = None,
        *,
        recallers: Sequence[Recaller] = (),
        learners: Sequence[Learner] = (),
    ) -> None:
        self._settings, self._store = settings, store
        chosen = gate or settings.gate
        if chosen not in get_args(DailyGate):
            raise UserError(f"{chosen!r} is not a gate: use one of {', '.join(get_args(DailyGate))}")
        self.playbook, self.memory, self.gate = playbook or settings.playbook, memory or settings.memory, chosen
        self.spec: JsonObject = {"playbook": self.playbook, "memory": self.memory, "gate": chosen}
        self.in_code = [*objects("recaller", recallers), *objects("learner", learners)]
        self.recallers, self.learners = list(recallers), list(learners)
        self.book: Learner | None = None
        if self.playbook:
            self._attach_playbook(self.playbook)
        if self.memory:
            self._attach_memory(self.memory)

    def attach_adapter(self, name: str | None, explorer: BaseChatModel) -> None:
        """Have the explorer answer with the adapter of a name; None leaves it the bare model.

        Raises:
            UserError: there is no such adapter, or the model can't take it.
        """
        from agentkit.adapters import AdapterRecaller, AdapterStore

        if not name:
            return
        if not getattr(explorer, "takes_adapters", False):
            raise UserError(f"{model_name(explorer)} takes no adapter: adapters are for local/ models")
        adapters = AdapterStore.open(self._store, name, settings=self._settings)
        recaller = AdapterRecaller(adapters, base=getattr(explorer, "path", None))
        if recaller.chosen()[1] is None and not adapters.ledger.history(adapters.target, limit=1):
            raise UserError(f"there is no adapter {name!r}: train one with  agentkit train TASKS --adapter {name}")
        self.spec |= {"adapter": name}
        self.recallers.append(recaller)

    def _attach_playbook(self, name: str) -> None:
        from agentkit.playbooks import PlaybookLearner, PlaybookRecaller, PlaybookStore, StreamGate, Withholding

        book = PlaybookStore.open(self._store, name)
        trials = StreamGate(book) if self.gate == "probation" else None
        self.recallers.append(PlaybookRecaller(book, withholding=Withholding(), trials=trials))
        self.book = PlaybookLearner(book, gate=self.gate)
        self.learners.append(self.book)

    def _attach_memory(self, name: str) -> None:
        from agentkit.memory import FormRecaller, FormSettings, MemoryLearner, open_cases

        memory = open_cases(self._store, name, settings=self._settings)
        self.recallers.append(FormRecaller(memory, settings=FormSettings(weighs=self._settings.weigh_choices)))
        self.learners.append(MemoryLearner(memory, hold=self.gate in ("strict", "quarantine")))


def likeness_of(settings: Settings) -> Likeness:
    """What compares inputs with the options of closed answers, by an embedder that runs here and costs nothing."""
    name = settings.embedder

    def load() -> Embedder:
        from agentkit.memory.opening import named_embedder

        if not name.startswith(("local/", "hash")):
            raise UserError(f"{name} is not asked about options: only an embedder that runs here is")
        return named_embedder(name)

    return Likeness(load, weighs=settings.weigh_choices and weighs_options(name))


def chosen_options(settings: Settings, given: Mapping[str, object] | None) -> dict[str, object]:
    """The model options: those given override the settings'.

    Raises:
        UserError: an API key among them, since options are stored with every run.
    """
    address = {} if settings.api_base is None else {"api_base": settings.api_base}
    options = {**address, **settings.model_options, **(given or {})}
    if "api_key" in options:
        raise UserError("api_key can't be an option, as options are stored with every run: set the provider's variable")
    return options


def name_of(part: Any) -> Any:
    """The name of a model or tool, or the names in a list of them; None for None."""
    if part is None or isinstance(part, str):
        return part
    if isinstance(part, list | tuple):
        return [name_of(item) for item in part]
    return str(getattr(part, "name", None) or getattr(part, "__name__", None) or type(part).__name__)


def objects(what: str, parts: Sequence[Any]) -> list[str]:
    """Descriptions of the parts that were given as objects rather than by name, so that only the code that made them
    can make them again."""
    flat = [item for part in parts for item in (part if isinstance(part, list | tuple) else [part])]
    return [f"{what} {name_of(item)}" for item in flat if item is not None and not isinstance(item, str)]
