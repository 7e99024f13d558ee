"""Training examples: prompts exactly as runs saw them, with the wanted answer and the provenance of each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agentkit.errors import DataError
from agentkit.evolution.harness import CLIENT_TOOLS
from agentkit.graph.program import Program
from agentkit.json_types import JsonObject, digest
from agentkit.models.requests import openai_tool
from agentkit.models.union import to_chat, union_of
from agentkit.opinions import RIGHT
from agentkit.protocols import Block
from agentkit.roles.explorer import Approach
from agentkit.store.run_log import RunLog, RunRecord
from agentkit.tasks import Channel, Task, read_jsonl
from agentkit.tools import client_tools

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

Chat = tuple[tuple[str, str], ...]
"""Turns of a chat as the chat template takes them: role and content."""


REPLAYED = "replayed"
"""The trust of replayed examples: what the bare model says to tasks on which nothing should change."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A prompt and the wanted answer.

    Attributes:
        answer: the wanted answer, exactly in the form in which the model has to write it.
        rejected: what the model said instead, if known; the two form a preference pair.
        run_id: the run that the example comes from.
        task: a hash of the input of the run's task, used to find examples of held-out tasks.
        source: who says that the answer is right.
        by: the person who says so, if it is a person.
        trust: "own" for the model's own answer that a check or a person accepted, "corrected" for somebody else's,
            "replayed" for what the bare model says to a task on which nothing should change.
        bare: the prompt without recalled context, if there was any.
    """

    chat: Chat
    answer: str
    rejected: str | None = None
    run_id: str
    task: str
    source: Channel
    by: str = ""
    trust: str
    bare: Chat | None = None

    @property
    def hash(self) -> str:
        """A hash of the content that the model is trained on."""
        return digest([self.chat, self.answer, self.rejected])[:24]

    def to_json(self) -> JsonObject:
        chats = {name: [list(turn) for turn in chat] for name in ("chat", "bare") if (chat := getattr(self, name))}
        return asdict(self) | chats | {"hash": self.hash}

    @classmethod
    def from_json(cls, data: JsonObject) -> Example:
        fields = {name: value for name, value in data.items() if name != "hash"}
        chats = {
            name: tuple((role, text) for role, text in chat) for name in ("chat", "bare") if (chat := data.get(name))
        }
        return cls(**{**fields, **chats})


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A finished run with a single call, and what is known about its answer.

    Attributes:
        said: the reply, word for word; empty if it was cut off: such a reply can be corrected but never learned.
        score: from the strongest feedback, 0 to 1; None if there is none. A judging model's opinion does not count.
        by: the person who gave that feedback, if it was a person.
        correction: the right answer, if the run's own answer was wrong and somebody supplied it.
        sample: 0 for the answer that is measured, other numbers for additional samples.
        bare: the prompt without recalled context, if there was any.
        earlier: the attempt that this one refines; its answer is part of the prompt.
    """

    task: Task
    chat: Chat
    said: str
    answer: str
    run_id: str
    score: float | None
    source: Channel
    by: str = ""
    correction: str | None = None
    sample: int = 0
    bare: Chat | None = None
    earlier: Attempt | None = None

    @property
    def first(self) -> Attempt:
        """The attempt at the start of the chain of refinements; the attempt itself if it refines none."""
        return self if self.earlier is None else self.earlier.first

    @property
    def right(self) -> bool:
        """Whether the answer is known to be right."""
        return bool(self.said) and self.score is not None and self.score >= RIGHT

    @property
    def wrong(self) -> bool:
        """Whether the answer is known to be wrong; both are False if nobody knows."""
        return self.score is not None and self.score < RIGHT

    def own(self) -> Example:
        """Its own reply as an example; the caller must know whether it is right."""
        return Example(
            chat=self.chat,
            answer=self.said,
            run_id=self.run_id,
            task=task_hash(self.task),
            source=self.source,
            by=self.by,
            trust="own",
            bare=self.bare,
        )

    def corrected(self) -> Example | None:
        """The right answer, with the attempt's own as the rejected one; None if nobody corrected it."""
        if self.correction is None:
            return None
        return Example(
            chat=self.chat,
            answer=in_form(self.task, self.correction),
            rejected=self.said or None,
            run_id=self.run_id,
            task=task_hash(self.task),
            source=self.source,
            by=self.by,
            trust="corrected",
            bare=self.bare,
        )


def task_hash(task: Task) -> str:
    """A hash of what a task asks, independent of its context."""
    return digest([task.input])[:24]


def in_form(task: Task, answer: str) -> str:
    """A right answer in the form in which the model has to write it; of several client tool calls, the first."""
    if task.metadata.get(CLIENT_TOOLS):
        calls = json.loads(answer)
        return written(calls[0] if isinstance(calls, list) else calls)
    form = task.answer_type
    if form is None:
        return answer
    value = answer if form.choices else form.read(answer)
    return json.dumps({"answer": value} if form.choices else value, ensure_ascii=False)


def prompt_of(
    task: Task, blocks: Sequence[Block], program: Program, *, reason: bool, tools: Sequence[BaseTool] = ()
) -> Chat:
    """The prompt of the explorer's first turn, as passed to the model's chat template."""
    work = Approach(reason=reason, tools=bool(tools))
    union = union_of({"tools": [openai_tool(tool) for tool in tools]})
    turns = to_chat(program.explorer_messages(task, blocks, work), union)
    return tuple((turn["role"], turn["content"]) for turn in turns)


class Unfit(ValueError):
    """Raised for a run that can't be trained on; the message is the reason in a few words."""


@dataclass(frozen=True, kw_only=True)
class Read:
    """The parts of a run that training needs.

    Attributes:
        chat: its prompt.
        bare: the prompt without recalled context; None if there was none.
        said: the model's reply; empty if it was cut off.
        reason: whether the model was asked to think first.
    """

    chat: Chat
    bare: Chat | None
    said: str
    reason: bool


def read_run(log: RunLog, record: RunRecord, program: Program) -> Read:
    """The prompt of a run and the model's reply.

    Raises:
        Unfit: text from outside may have shaped the run, or it took more than one call, which an example can't hold.
    """
    if sources := log.sources(record):
        raise Unfit(f"text from outside ({sources[0]})")
    if log.tool_calls(record.id):
        raise Unfit("it used tools")
    calls = [call for call in log.steps(record.id).model_calls if call["role"] == "explorer"]
    mode = (record.effort or {}).get("mode", "instant")
    tools = client_tools(record.options["run"].get("client_tools", ()))
    if len(calls) != 1 or (mode == "agentic" and (not tools or record.options.get("own_tools"))):
        raise Unfit("it took more than one call" if len(calls) > 1 else "what the model was asked is unknown")
    reason, blocks = mode == "reasoning", log.blocks(record.id) or ()
    chat, bare = (prompt_of(record.task, given, program, reason=reason, tools=tools) for given in (blocks, ()))
    return Read(chat=chat, bare=bare if bare != chat else None, said=_said(calls[0]["response"]), reason=reason)


def _said(response: JsonObject) -> str:
    """A reply word for word, or, if it is a tool call, as a local model writes it; empty if it was cut off."""
    if response.get("response_metadata") or response.get("invalid_tool_calls"):
        return ""
    if calls := response.get("tool_calls"):
        return written({"name": calls[0]["name"], "arguments": calls[0]["args"]})
    return (response.get("content") or "").strip()


def written(call: JsonObject) -> str:
    """A tool call as a local model writes it."""
    return json.dumps({"name": call["name"], "arguments": call["arguments"]}, ensure_ascii=False)


def without_tasks(examples: Iterable[Example], held_out: Iterable[Task]) -> list[Example]:
    """The examples that are not of these tasks, without duplicates of the same content."""
    kept, hidden = dict[str, Example](), {task_hash(task) for task in held_out}
    for example in examples:
        if example.task not in hidden:
            kept.setdefault(example.hash, example)
    return list(kept.values())


def told(skipped: Counter[str]) -> str:
    """The reasons for which runs were left out, with counts, the most frequent first."""
    return ", ".join(f"{count} × {why}" for why, count in skipped.most_common())


def write_examples(examples: Sequence[Example], path: Path) -> None:
    """Write examples as JSON Lines."""
    lines = [json.dumps(example.to_json(), ensure_ascii=False) for example in examples]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_examples(path: Path) -> list[Example]:
    """Read examples from a file that `write_examples` wrote.

    Raises:
        DataError: a row is not an example, or does not match its hash.
    """
    found = []
    for number, row in read_jsonl(path):
        try:
            example = Example.from_json(row)
        except (TypeError, KeyError, ValueError):
            raise DataError("this is not an example", path=path, line=number) from None
        if example.hash != row.get("hash"):
            raise DataError("this example does not match its hash", path=path, line=number)
        found.append(example)
    return found
