"""Task and Feedback: what an agent is asked, and what is known about its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

from agentkit.answer_type import AnswerType, answer_text
from agentkit.errors import AgentKitError, DataError
from agentkit.files import MAX_FILES, File, as_file, read_parts
from agentkit.json_types import JsonObject
from agentkit.text import clean_data, parse_json, read_text

Channel = Literal["label", "check", "judge", "user"]
"""Where feedback comes from: a gold label, a check that needs no label, a judge model, a person."""

Labels = Literal["gold", "check", "none"]
"""How much of a task's target learning may use: the target itself, only whether the answer was right, or nothing."""


class Task(BaseModel):
    """An input to solve.

    Attributes:
        id: unique within its file; stored with every run of the task.
        input: the question or instruction, as the model sees it. Only this is remembered, embedded and compared. If
            given as a list of content blocks, their texts become the input and the other blocks its files.
        files: texts and images that belong to the input, given by path, as `agentkit.files.File`, or as content blocks.
            A run keeps their bytes. What is learnt from such a run is quarantined, since others may have written the
            files.
        instructions: what to do with inputs of this kind; added to the agent's own instructions.
        choices: the possible answers, if the answer is one of several texts.
        answer_schema: the JSON schema of the answer; `schema` in files.
        target: the right answer. No model ever sees it while solving the task.
        checker: the name of a checker (`"numeric"`) or an object with its settings (`{"name": "numeric", …}`). Tasks
            are data, so they can't name a function; functions are passed to the agent.
        untrusted: whether the input contains text that somebody else wrote (a page, a mail, a paper). What is learnt
            from such a run is quarantined.
        source: where such text came from, such as an address, for `forget --source`; setting it makes the task
            untrusted.
        metadata: anything else; `category` groups reports, and `context` is the full text for control arms.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    id: str
    input: str
    files: tuple[File, ...] = ()
    instructions: str | None = None
    choices: tuple[str, ...] | None = None
    answer_schema: JsonObject | None = Field(default=None, alias="schema")
    target: str | None = None
    checker: str | JsonObject | None = None
    untrusted: bool = False
    source: str = ""
    metadata: JsonObject = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _parts(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or not isinstance(given.get("input"), list | tuple):
            return given
        text, files = read_parts(given["input"])
        return {**given, "input": text, "files": [*(given.get("files") or ()), *files]}

    @field_validator("files", mode="before")
    @classmethod
    def _as_files(cls, given: Any) -> Any:
        if not isinstance(given, list | tuple):
            raise DataError("files: expected a list")
        if len(given) > MAX_FILES:
            raise DataError(f"files: {len(given)} are too many: a task may have {MAX_FILES}")
        return tuple(as_file(item) for item in given)

    @field_serializer("files")
    def _without_bytes(self, files: tuple[File, ...]) -> list[JsonObject]:
        return [file.to_json() for file in files]

    @field_validator("id", "input", "instructions", "target", "checker", "metadata")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return clean_data(value)

    @field_validator("choices")
    @classmethod
    def _sound_choices(cls, choices: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if choices is not None:
            _sound(lambda: AnswerType.of_choices(choices))
        return choices

    @field_validator("answer_schema")
    @classmethod
    def _sound_schema(cls, schema: JsonObject | None) -> JsonObject | None:
        if schema is not None:
            _sound(lambda: AnswerType.of(schema))
        return schema

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.choices is not None and self.answer_schema is not None:
            raise ValueError("a task has choices or a schema, not both")
        return self

    @model_serializer(mode="wrap")
    def _without_unused(self, serialize: SerializerFunctionWrapHandler) -> JsonObject:
        """Omit newer fields where they are empty, so that ids derived from older tasks do not change."""
        dumped: JsonObject = serialize(self)
        later = ("files", "instructions", "choices", "answer_schema", "schema", "untrusted", "source")
        return {name: value for name, value in dumped.items() if value or name not in later}

    @property
    def answer_type(self) -> AnswerType | None:
        """The form of the answer; None for free text."""
        if self.choices is not None:
            return AnswerType.of_choices(self.choices)
        return None if self.answer_schema is None else AnswerType(self.answer_schema)

    @property
    def text(self) -> str:
        """The input with the texts of its files."""
        return "\n".join([self.input, *(file.text for file in self.files if file.text)])

    @property
    def outside(self) -> list[str]:
        """The sources of outside text in the input; empty if there is none."""
        told = self.source.split() or (["task"] if self.untrusted else [])
        return [*told, *(file.source for file in self.files)]

    @property
    def own_checker(self) -> str | JsonObject | None:
        """The checker that the task asks for.

        Raises:
            DataError: it names a function, which would let data choose what code runs.
        """
        name = self.checker.get("name") if isinstance(self.checker, dict) else self.checker
        if name == "function":
            raise DataError(f"task {self.id!r}: {_NO_FUNCTION}")
        return self.checker


def _sound(make: Callable[[], object]) -> None:
    try:
        make()
    except AgentKitError as error:
        raise ValueError(str(error)) from None


_NO_FUNCTION = "a task can't name a function as its checker: give it to the agent (Agent(checker=…) or --checker)"


class Feedback(BaseModel):
    """What is known about an answer.

    Attributes:
        channel: where it comes from.
        score: 0 (wrong) to 1 (right); None if the check itself failed, which never counts as wrong.
        text: the reason; the reflector treats it as data.
    """

    model_config = ConfigDict(frozen=True)

    channel: Channel
    score: float | None = Field(ge=0, le=1)
    text: str = ""


def read_jsonl(path: str | Path) -> Iterator[tuple[int, JsonObject]]:
    """Yield `(line number, object)` for each non-empty line.

    Raises:
        DataError: a file that can't be read, or a line that is not a JSON object (says file and line).
    """
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        row = parse_json(line, path=path, line=number)
        if not isinstance(row, dict):
            raise DataError("expected a JSON object", path=path, line=number)
        yield number, row


def load_tasks(path: str | Path, *, limit: int | None = None) -> list[Task]:
    """Read a JSONL file of `{"id", "input", "target", "checker", "metadata"}` rows.

    `"files"` are paths relative to the task file, within its folder. `"instructions"` are kept apart from the input;
    `"choices"` or `"schema"` give the answer a form, and a target that is not a string is stored as JSON. `id` may be
    omitted (the line number is used). The published Formula and FiNER rows, `{"context", "target"}`, are read as they
    are.

    Raises:
        DataError: a line that is not a valid task, or a duplicate id.
    """
    tasks: dict[str, Task] = {}
    for number, row in read_jsonl(path):
        if limit is not None and len(tasks) >= limit:
            break
        task = _task_from_row(row, path, number)
        if task.id in tasks:
            raise DataError(f"the id {task.id!r} occurs twice", path=path, line=number)
        tasks[task.id] = task
    if not tasks:
        raise DataError("holds no tasks", path=path)
    return list(tasks.values())


def _beside(given: Any, folder: Path) -> list[File]:
    """The files that a row of a task file names. A task file is data, so it may only name files inside its own
    folder."""
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise DataError('files: expected a list of paths, such as ["bill.png"]')
    return [File.read(folder / name, within=folder) for name in given]


def _task_from_row(row: Mapping[str, Any], path: str | Path, number: int) -> Task:
    fields = {"id": str(number), **row}
    if "input" not in fields and "context" in fields:
        fields["input"] = fields.pop("context")
    for name in ("id", "target"):
        value = fields.get(name)
        if isinstance(value, float) and value != value:
            raise DataError(f"{name}: NaN, so it is missing; leave it out or fix it", path=path, line=number)
        if isinstance(value, int | float) and not isinstance(value, bool):
            fields[name] = str(value)
    if not isinstance(fields.get("target"), str | None):
        fields["target"] = answer_text(fields["target"])
    try:
        if "files" in fields:
            fields["files"] = _beside(fields["files"], Path(path).parent)
        task = Task.model_validate(fields)
    except DataError as error:
        raise DataError(str(error), path=path, line=number) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        text = said if not where or said.startswith(f"{where}:") else f"{where}: {said}"
        raise DataError(text, path=path, line=number) from None
    try:
        task.own_checker  # noqa: B018 - asked for its error alone
    except DataError as error:
        raise DataError(f"checker: {error}", path=path, line=number) from None
    if not task.input.strip():
        raise DataError("input: the task is empty", path=path, line=number)
    return task
