"""The narrow interfaces between the state machine and what evolves.

A playbook and a case memory each have a `Recaller` (gives context to a prompt, before a run) and a `Learner` (takes a
finished run). The graph uses them only through these Protocols and works without them.
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
        shown: whether it is in the prompt; False if it was withheld at random.
        probability: the probability with which it was shown (the propensity that credit assignment needs).
        score: the retrieval score, if there was one.
        position: its place in the block, from 0; None if withheld.
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
        text: what the model sees, already escaped, so that it can't close its own block.
        offers: the bullets or cases that were considered, shown or withheld.
        coins: changes on probation that the run was given or denied at random; a block may consist of these alone.
        untrusted: whether it may contain text from outside, such as retrieved documents. A recaller sets it to False
            only if everything it gives has passed a gate or a person.
        turns: chat turns to place before the task, each an input and its right answer.
        choices: the answers that remain to choose from, where the task has choices.
        votes: answers of similar cases with their similarity, to be weighed against the model's own probabilities for
            the choices.
        alike: how much the input resembles each option, by its name and by solved tasks, to be weighed likewise.
        answer: the answer to the task, if no model needs to be asked.
        adapter: the adapter file that the explorer uses; empty for the base model.
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
    alike: tuple[tuple[str, float], ...] = ()
    answer: str | None = None
    adapter: str = ""

    @property
    def outside(self) -> list[str]:
        """The sources of outside text in the block; empty if there is none."""
        return ["-".join(f"{self.kind}:{self.target}".split())] if self.untrusted else []

    def to_json(self) -> JsonObject:
        dumped = asdict(self)
        return {name: value for name, value in dumped.items() if value or name not in ("adapter", "alike")}

    @classmethod
    def from_json(cls, data: JsonObject) -> Self:
        offers = {name: tuple(Offer(**offer) for offer in data.get(name, ())) for name in ("offers", "coins")}
        turns = tuple((asked, answer) for asked, answer in data.get("turns", ()))
        shares = {name: tuple((answer, share) for answer, share in data.get(name, ())) for name in ("votes", "alike")}
        return cls(**{**data, **offers, **shares, "turns": turns, "choices": tuple(data.get("choices", ()))})


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a trajectory as learners see it: who acted (`explorer`, `tool`, `evaluator`) and the text."""

    actor: str
    text: str
    name: str = ""
    ok: bool = True


APART = "~"
"""Separates a run's id from the hash of a later correction, which is learnt from as an episode of its own."""


@dataclass(frozen=True, kw_only=True)
class Episode:
    """A finished run, as it is passed to learners.

    Attributes:
        run_id: the run; learners learn from each id once. `RUN~…` is a correction that came later.
        task: includes its target only where `labels` is "gold".
        answer: None if the run abstained or failed.
        plan: the sub-tasks, or the tool calls in order where there was no plan.
        steps: the trajectory; text from tools and papers in it is data, not instructions.
        feedback: everything known about the answer, strongest channel first.
        blocks: the context the run was given.
        cited: ids of bullets or cases that the explorer said it used.
        untrusted: whether the trajectory contains text from outside (tools, web, papers).
        source: where that text came from.
        effort: the decision about how much the run may spend.
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
        """The id of the run itself, without a correction's suffix."""
        return self.run_id.partition(APART)[0]

    @property
    def score(self) -> float | None:
        """The score of the strongest feedback; None if nothing is known."""
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
    """A role's model call, journalled under the run: when repeated after a crash, it returns the recorded answer."""

    def __call__(
        self, role: str, messages: Sequence[BaseMessage], *, schema: type[BaseModel] | None = None
    ) -> Awaitable[ModelReply]: ...


Status = Literal["applied", "quarantined", "rejected", "waiting", "nothing"]


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """What a learner did with an episode: ids of ledger changes, the outcome, and a note where it did nothing."""

    status: Status
    changes: tuple[str, ...] = ()
    note: str = ""
    details: JsonObject = field(default_factory=dict)


class Recaller(Protocol):
    """Gives context to a run."""

    @property
    def name(self) -> str: ...

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        """The block for this task, or None to abstain. Idempotent: the same run always gets the same block."""
        ...


class Learner(Protocol):
    """Takes a finished run."""

    @property
    def name(self) -> str: ...

    async def learn(self, episode: Episode, *, call: CallModel) -> Learnt:
        """Learn from an episode: exactly once per run, however often this is called."""
        ...
