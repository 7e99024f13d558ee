"""The narrow seams between the state machine and what evolves.

A playbook and a case memory are a `Recaller` (what they give to a prompt, before a run) and a `Learner` (what they take
from a finished run). The graph calls them through these Protocols alone and does nothing without them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from agentkit.json_types import JsonObject
from agentkit.tasks import Feedback, Labels, Task

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from pydantic import BaseModel


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One bullet or case that was considered for a prompt.

    Attributes:
        id: of the bullet or case.
        shown: whether it is in the prompt; False where it was withheld at random.
        probability: with which it was shown (the propensity that credit assignment needs).
        score: the retrieval score, if there was one.
        position: its place in the block, from 0; None when withheld.
    """

    id: str
    shown: bool = True
    probability: float = 1.0
    score: float | None = None
    position: int | None = None


@dataclass(frozen=True, kw_only=True)
class Block:
    """One delimited block of learnt context, fixed for a whole run.

    Attributes:
        kind: "playbook" or "cases"; names the block in the prompt.
        target: the ledger target it was rendered from, such as `playbook:default`.
        version: that target's version.
        text: what the model reads, already escaped; it can't close its own block.
        offers: what was considered, shown or withheld.
        coins: changes on probation that the run was given or denied at random; a block may hold nothing else.
        untrusted: whether text from outside may stand in it, as in documents that were looked up. A recaller has to say
            so where it gives only what has passed a gate or a person.
        turns: of the chat before the task: an input, and its right answer.
        choices: the answers that are left to choose from, where the task has choices.
        votes: answers of near cases with their likeness, to be weighed against what the model thinks of the choices.
        answer: the answer to the task; no model is asked.
        adapter: the file of the adapter that the explorer answers with; empty for the model as it is.
    """

    kind: str
    target: str
    version: int
    text: str
    offers: tuple[Offer, ...] = ()
    untrusted: bool = True
    coins: tuple[Offer, ...] = ()
    turns: tuple[tuple[str, str], ...] = ()
    choices: tuple[str, ...] = ()
    votes: tuple[tuple[str, float], ...] = ()
    answer: str | None = None
    adapter: str = ""

    @property
    def outside(self) -> list[str]:
        """Where text from outside in the block came from; empty where there is none."""
        return ["-".join(f"{self.kind}:{self.target}".split())] if self.untrusted else []

    def to_json(self) -> JsonObject:
        dumped = asdict(self)
        return dumped if self.adapter else {name: value for name, value in dumped.items() if name != "adapter"}

    @classmethod
    def from_json(cls, data: JsonObject) -> Self:
        offers = {name: tuple(Offer(**offer) for offer in data.get(name, ())) for name in ("offers", "coins")}
        turns = tuple((asked, answer) for asked, answer in data.get("turns", ()))
        votes = tuple((answer, likeness) for answer, likeness in data.get("votes", ()))
        return cls(**{**data, **offers, "turns": turns, "choices": tuple(data.get("choices", ())), "votes": votes})


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a trajectory as learning sees it: who acted (`explorer`, `tool`, `evaluator`), and what they said."""

    actor: str
    text: str
    name: str = ""
    ok: bool = True


APART = "~"
"""Stands between a run's id and the name of a correction, where that is learnt from by itself."""


@dataclass(frozen=True, kw_only=True)
class Episode:
    """A finished run, as it is handed to learners.

    Attributes:
        run_id: the run, under which it is learnt from once; `RUN~…` for a correction that came later.
        task: with its target only where `labels` is "gold".
        answer: None where the run abstained or failed.
        plan: the sub-tasks, or the tool calls in order where there was no plan.
        steps: the trajectory; text of tools and papers in it is data.
        feedback: everything known about the answer, strongest channel first.
        blocks: the context the run was given.
        cited: ids of bullets or cases that the explorer said it used.
        untrusted: whether text from outside (tools, web, papers) is in the trajectory.
        source: where such text came from.
        effort: what was decided about how much the run may spend.
    """

    run_id: str
    task: Task
    labels: Labels
    answer: str | None
    plan: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    feedback: tuple[Feedback, ...] = ()
    blocks: tuple[Block, ...] = ()
    cited: tuple[str, ...] = ()
    model: str = ""
    untrusted: bool = False
    source: str = ""
    effort: JsonObject = field(default_factory=dict)

    @property
    def run(self) -> str:
        """The run that it all comes from."""
        return self.run_id.partition(APART)[0]

    @property
    def score(self) -> float | None:
        """The strongest feedback's score; None where nothing is known."""
        return next((item.score for item in self.feedback if item.score is not None), None)

    def block(self, kind: str) -> Block | None:
        return next((block for block in self.blocks if block.kind == kind), None)


class ModelReply(Protocol):
    """What a model call returns: the text, and the parsed object where a schema was asked for."""

    @property
    def text(self) -> str: ...
    @property
    def parsed(self) -> Any: ...


class CallModel(Protocol):
    """A model call of a role, journalled under the run: repeated after a crash, it returns the recorded answer."""

    def __call__(
        self, role: str, messages: Sequence[BaseMessage], *, schema: type[BaseModel] | None = None
    ) -> Awaitable[ModelReply]: ...


Status = Literal["applied", "quarantined", "rejected", "waiting", "nothing"]


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """What a learner did with an episode: ids of ledger changes by outcome, and why where it did nothing."""

    status: Status
    changes: tuple[str, ...] = ()
    note: str = ""
    details: JsonObject = field(default_factory=dict)


class Recaller(Protocol):
    """Gives context to a run."""

    @property
    def name(self) -> str: ...

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        """The block for this task, or None to abstain. Idempotent: the same run gets the same block."""
        ...


class Learner(Protocol):
    """Takes a finished run."""

    @property
    def name(self) -> str: ...

    async def learn(self, episode: Episode, *, call: CallModel) -> Learnt:
        """Learn from an episode, exactly once per run, however often it is called."""
        ...
