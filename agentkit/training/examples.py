"""What a model is trained on: prompts as runs saw them, with the answer that is wanted, and where each came from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from agentkit.errors import DataError
from agentkit.graph.program import Program
from agentkit.json_types import JsonObject, digest
from agentkit.models.union import to_chat
from agentkit.opinions import RIGHT
from agentkit.protocols import Block
from agentkit.roles.explorer import Approach
from agentkit.store.run_log import RunLog, RunRecord
from agentkit.tasks import Channel, Task, read_jsonl

Chat = tuple[tuple[str, str], ...]
"""Turns of a chat as its template takes them: who speaks, and what."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A prompt and the answer that is wanted.

    Attributes:
        answer: what the model is to say, in the very form in which it would have to say it.
        rejected: what it said instead, where that is known: the two are a preference pair.
        run_id: the run that it comes from.
        task: the input of the run's task, by its hash; examples of held-out tasks are found by it.
        source: who says that the answer is right.
        trust: "own" for the model's own answer that a check or a person accepted, "corrected" for somebody else's.
    """

    chat: Chat
    answer: str
    rejected: str | None = None
    run_id: str
    task: str
    source: Channel
    trust: str

    @property
    def hash(self) -> str:
        """Names its content: what the model is trained on."""
        return digest([self.chat, self.answer, self.rejected])[:24]

    def to_json(self) -> JsonObject:
        return asdict(self) | {"chat": [list(turn) for turn in self.chat], "hash": self.hash}

    @classmethod
    def from_json(cls, data: JsonObject) -> Example:
        fields = {name: value for name, value in data.items() if name != "hash"}
        return cls(**{**fields, "chat": tuple((role, text) for role, text in data["chat"])})


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A finished run of one call, with what is known of its answer.

    Attributes:
        said: the reply, word for word; empty where it was cut off, which can be corrected and never learnt.
        score: what the strongest word on it says; None where nobody knows. A judging model's word does not count.
        correction: the right answer, where the run's own was wrong and somebody gave it.
        sample: 0 for the answer as it is measured, other numbers for further ones.
    """

    task: Task
    chat: Chat
    said: str
    answer: str
    run_id: str
    score: float | None
    source: Channel
    correction: str | None = None
    sample: int = 0

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
            trust="own",
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
            trust="corrected",
        )


def task_hash(task: Task) -> str:
    """Names what a task asks, whatever it is told beside."""
    return digest([task.input])[:24]


def in_form(task: Task, answer: str) -> str:
    """A right answer as the model would have to write it."""
    form = task.answer_type
    if form is None:
        return answer
    value = answer if form.choices else form.read(answer)
    return json.dumps({"answer": value} if form.choices else value, ensure_ascii=False)


def prompt_of(task: Task, blocks: Sequence[Block], program: Program, *, reason: bool) -> Chat:
    """What the explorer reads in a run without tools, as the model's chat template gets it."""
    turns = to_chat(program.explorer_messages(task, blocks, Approach(reason=reason)), None)
    return tuple((turn["role"], turn["content"]) for turn in turns)


class Unfit(ValueError):
    """A run that nothing can be trained on; says why in a few words."""


def read_run(log: RunLog, record: RunRecord, program: Program) -> tuple[Chat, str, bool]:
    """The prompt of a run, what the model said to it (nothing, where it was cut off), and whether it was to reason.

    Raises:
        Unfit: text from outside could have shaped it, or it took more than the one call that an example holds.
    """
    if sources := log.sources(record):
        raise Unfit(f"text from outside ({sources[0]})")
    if log.tool_calls(record.id):
        raise Unfit("it used tools")
    calls = [call for call in log.steps(record.id).model_calls if call["role"] == "explorer"]
    mode = (record.effort or {}).get("mode", "instant")
    if len(calls) != 1 or mode == "agentic":
        raise Unfit("it took more than one call" if len(calls) > 1 else "it can't be told what the model was asked")
    response = calls[0]["response"]
    said = "" if response.get("response_metadata") else (response.get("content") or "").strip()
    reason = mode == "reasoning"
    return prompt_of(record.task, log.blocks(record.id) or (), program, reason=reason), said, reason


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
