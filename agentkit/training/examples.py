"""What a model is trained on: prompts as runs saw them, with the answer that is wanted, and where each came from."""

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
"""Turns of a chat as its template takes them: who speaks, and what."""


REPLAYED = "replayed"
"""The trust of what the bare model says where nothing is to change."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A prompt and the answer that is wanted.

    Attributes:
        answer: what the model is to say, in the very form in which it would have to say it.
        rejected: what it said instead, where that is known: the two are a preference pair.
        run_id: the run that it comes from.
        task: the input of the run's task, by its hash; examples of held-out tasks are found by it.
        source: who says that the answer is right.
        by: the person who says so, where it is a person.
        trust: "own" for the model's own answer that a check or a person accepted, "corrected" for somebody else's,
            "replayed" for what the bare model says where nothing is to change.
        bare: the prompt without what was recalled for it, where something was.
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
        """Names its content: what the model is trained on."""
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
    """A finished run of one call, with what is known of its answer.

    Attributes:
        said: the reply, word for word; empty where it was cut off, which can be corrected and never learnt.
        score: what the strongest word on it says; None where nobody knows. A judging model's word does not count.
        by: the person who said it, where it was a person.
        correction: the right answer, where the run's own was wrong and somebody gave it.
        sample: 0 for the answer as it is measured, other numbers for further ones.
        bare: the prompt without what was recalled for it, where something was.
        earlier: the attempt that this one refines, whose answer stands in its prompt.
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
        """The attempt that it refines in the end; itself where it refines none."""
        return self if self.earlier is None else self.earlier.first

    @property
    def right(self) -> bool:
        return bool(self.said) and self.score is not None and self.score >= RIGHT

    @property
    def wrong(self) -> bool:
        return self.score is not None and self.score < RIGHT

    def own(self) -> Example:
        """What it said, as an example; whether that is right is for the caller to know."""
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
        """The right answer beside what it said; None where nobody corrected it."""
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
    """Names what a task asks, whatever it is told beside."""
    return digest([task.input])[:24]


def in_form(task: Task, answer: str) -> str:
    """A right answer as the model would have to write it; of calls of client's tools the first."""
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
    """What the explorer reads at its first turn, as the model's chat template gets it."""
    work = Approach(reason=reason, tools=bool(tools))
    union = union_of({"tools": [openai_tool(tool) for tool in tools]})
    turns = to_chat(program.explorer_messages(task, blocks, work), union)
    return tuple((turn["role"], turn["content"]) for turn in turns)


class Unfit(ValueError):
    """A run that nothing can be trained on; says why in a few words."""


@dataclass(frozen=True, kw_only=True)
class Read:
    """A run as something can be trained on.

    Attributes:
        chat: its prompt.
        bare: the same without what was recalled for it; None where nothing was.
        said: what the model said to it; nothing where it was cut off.
        reason: whether it was to think first.
    """

    chat: Chat
    bare: Chat | None
    said: str
    reason: bool


def read_run(log: RunLog, record: RunRecord, program: Program) -> Read:
    """The prompt of a run and what the model said to it.

    Raises:
        Unfit: text from outside could have shaped it, or it took more than the one call that an example holds.
    """
    if sources := log.sources(record):
        raise Unfit(f"text from outside ({sources[0]})")
    if log.tool_calls(record.id):
        raise Unfit("it used tools")
    calls = [call for call in log.steps(record.id).model_calls if call["role"] == "explorer"]
    mode = (record.effort or {}).get("mode", "instant")
    tools = client_tools(record.options["run"].get("client_tools", ()))
    if len(calls) != 1 or (mode == "agentic" and (not tools or record.options.get("own_tools"))):
        raise Unfit("it took more than one call" if len(calls) > 1 else "it can't be told what the model was asked")
    reason, blocks = mode == "reasoning", log.blocks(record.id) or ()
    chat, bare = (prompt_of(record.task, given, program, reason=reason, tools=tools) for given in (blocks, ()))
    return Read(chat=chat, bare=bare if bare != chat else None, said=_said(calls[0]["response"]), reason=reason)


def _said(response: JsonObject) -> str:
    """A reply word for word, or the call that it is, as a local model writes it; nothing where it was cut off."""
    if response.get("response_metadata") or response.get("invalid_tool_calls"):
        return ""
    if calls := response.get("tool_calls"):
        return written({"name": calls[0]["name"], "arguments": calls[0]["args"]})
    return (response.get("content") or "").strip()


def written(call: JsonObject) -> str:
    """A call as a local model writes it."""
    return json.dumps({"name": call["name"], "arguments": call["arguments"]}, ensure_ascii=False)


def without_tasks(examples: Iterable[Example], held_out: Iterable[Task]) -> list[Example]:
    """Examples of none of these tasks, and each content once."""
    kept, hidden = dict[str, Example](), {task_hash(task) for task in held_out}
    for example in examples:
        if example.task not in hidden:
            kept.setdefault(example.hash, example)
    return list(kept.values())


def told(skipped: Counter[str]) -> str:
    """Why runs were left out, the most frequent reason first."""
    return ", ".join(f"{count} × {why}" for why, count in skipped.most_common())


def write_examples(examples: Sequence[Example], path: Path) -> None:
    """Examples as JSON Lines."""
    lines = [json.dumps(example.to_json(), ensure_ascii=False) for example in examples]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_examples(path: Path) -> list[Example]:
    """Examples of a file that `write_examples` wrote.

    Raises:
        DataError: a row that is none, or does not match its hash.
    """
    found = []
    for number, row in read_jsonl(path):
        try:
            example = Example.from_json(row)
        except (TypeError, KeyError, ValueError):
            raise DataError("this is no example", path=path, line=number) from None
        if example.hash != row.get("hash"):
            raise DataError("this example does not match its hash", path=path, line=number)
        found.append(example)
    return found
