"""What a request asks for, independent of the interface that it came through."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentkit.answer_type import AnswerType
from agentkit.conversation import with_history
from agentkit.errors import AgentKitError
from agentkit.files import MAX_FILES, File, read_parts
from agentkit.server.failures import Refused
from agentkit.tasks import Task
from agentkit.text import clean_data

M = TypeVar("M", bound=BaseModel)

GO_ON = "(The tools that you called have answered. Go on.)"
"""Stands in for the user's message if the client returns results of calls that this server did not make."""

_REFUSED = (
    "audio",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "prediction",
    "prompt",
    "stop",
    "top_logprobs",
    "web_search_options",
    "conversation",
)
"""Fields that change the answer's meaning and that an agent can't honour; other unknown fields are listed in the header
`x-agentkit-ignored`."""


class ClientRequest(BaseModel):
    """The fields that requests of both interfaces have in common."""

    model_config = ConfigDict(extra="allow")

    model: str
    stream: bool | None = False
    temperature: float | None = Field(default=None, ge=0, le=2)
    metadata: dict[str, str] | None = None
    tool_choice: str | dict[str, Any] | None = None

    @property
    def ignored(self) -> tuple[str, ...]:
        """Fields that are set but have no effect here."""
        return tuple(sorted(name for name, value in (self.model_extra or {}).items() if value is not None))


@dataclass(frozen=True, kw_only=True)
class Forced:
    """The client requires a call of one of its tools, whatever the agent thinks.

    Attributes:
        names: the tools to choose from.
        form: the form of the call's arguments, or of `{"call": {"name", "arguments"}}` if there is a choice.
    """

    names: tuple[str, ...]
    form: AnswerType

    def call(self, value: Any) -> tuple[str, Any]:
        """The tool and its arguments in an answer's value."""
        if len(self.names) == 1:
            return self.names[0], value
        return value["call"]["name"], value["call"]["arguments"]


@dataclass(frozen=True, kw_only=True)
class Said:
    """A conversation as sent by a client.

    Attributes:
        instructions: the texts of its system and developer messages.
        before: the earlier messages, as `(speaker, text)` pairs.
        message: the user's current message; None if the conversation ends in tool results.
        files: the images that the user sent.
        results: those tool results, by call id.
        sources: where outside text in it came from.
    """

    instructions: tuple[str, ...] = ()
    before: tuple[tuple[str, str], ...] = ()
    message: str | None = None
    files: tuple[File, ...] = ()
    results: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a request asks for.

    Attributes:
        task: the task of a new run.
        results: results of calls that a run made, by call id; that run is then resumed instead.
        tools: the client tools, in the format of `agentkit.tools.client_tools`.
        forced: the call that must be made.
        form: the form of the answer.
        usage: whether a stream ends with the usage.
        background: whether to respond immediately, before the run has ended.
        ignored: fields of the request that have no effect.
        echo: fields that the response repeats.
    """

    task: Task
    results: Mapping[str, str]
    tools: tuple[Mapping[str, Any], ...] = ()
    forced: Forced | None = None
    form: AnswerType | None = None
    stream: bool = False
    usage: bool = False
    background: bool = False
    temperature: float | None = None
    seed: int = 0
    ignored: tuple[str, ...] = ()
    echo: Mapping[str, Any] = field(default_factory=dict)


def parse(kind: type[M], body: bytes) -> M:
    """Parse a request's body.

    Raises:
        Refused: invalid JSON, a field of the wrong type, or one that can't be honoured.
    """
    try:
        data = clean_data(json.loads(body))
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not valid JSON") from None
    if not isinstance(data, dict):
        raise Refused(400, "the body is not a JSON object")
    for name in _REFUSED:
        if data.get(name) and name not in kind.model_fields:
            raise Refused(400, f"{name} is not supported by this server", code="unsupported_parameter", param=name)
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Refused(400, f"{where}: {first['msg']}", param=where) from None


def form_of(given: Mapping[str, Any] | None, param: str) -> AnswerType | None:
    """The answer form for `{"type": "json_schema", …}`; both interfaces' notations are accepted.

    Raises:
        Refused: an unknown type, or an invalid schema.
    """
    kind = (given or {}).get("type", "text")
    if given is None or kind == "text":
        return None
    if kind == "json_object":
        return AnswerType.of({"type": "object"})
    if kind != "json_schema":
        raise Refused(400, f"{param}.type: use text, json_object or json_schema, not {kind!r}", param=param)
    schema = given.get("json_schema", given).get("schema")
    if not isinstance(schema, dict):
        raise Refused(400, f"{param}: it has no schema", param=param)
    try:
        return AnswerType.of(schema)
    except AgentKitError as error:
        raise Refused(400, f"{param}: {error}", code="invalid_schema", param=param) from None


def chosen_tools(
    specs: Sequence[Mapping[str, Any]], choice: str | Mapping[str, Any] | None
) -> tuple[tuple[Mapping[str, Any], ...], Forced | None]:
    """The tools that the agent may call, and the call that it must make.

    Args:
        specs: each `{"name", "description", "parameters"}`.
        choice: "none", "auto", "required", or an object that names a tool; None means "auto".

    Raises:
        Refused: the choice names no tool of the request.
    """
    if choice in (None, "auto"):
        return tuple(specs), None
    if choice == "none":
        return (), None
    wanted = list(specs)
    if isinstance(choice, Mapping):
        name = (choice.get("function") or choice).get("name")
        wanted = [spec for spec in specs if spec["name"] == name]
    elif choice != "required":
        raise Refused(400, f"tool_choice: use none, auto, required or a tool, not {choice!r}", param="tool_choice")
    if not wanted:
        raise Refused(400, "tool_choice names no tool of this request", param="tool_choice")
    try:
        return (), Forced(names=tuple(str(spec["name"]) for spec in wanted), form=_form_of_call(wanted))
    except AgentKitError as error:
        raise Refused(400, f"tools: {error}", param="tools") from None


def _form_of_call(specs: Sequence[Mapping[str, Any]]) -> AnswerType:
    schemas = [{"type": "object", "properties": {}, **(spec.get("parameters") or {})} for spec in specs]
    if len(specs) == 1:
        return AnswerType.of(schemas[0])
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": spec["name"], "type": "string"}, "arguments": schema},
            "required": ["name", "arguments"],
        }
        for spec, schema in zip(specs, schemas, strict=True)
    ]
    return AnswerType.of({"type": "object", "properties": {"call": {"anyOf": calls}}, "required": ["call"]})


def task_of(said: Said, *, served: str, untrusted: bool, metadata: Mapping[str, Any] | None = None) -> Task:
    """The task for a conversation; text that others may have written is listed as its sources.

    Raises:
        Refused: there is no user message.
    """
    message, before = said.message, list(said.before)
    if message is None and said.results:
        message = GO_ON
    if message is None or not message.strip():
        raise Refused(400, "the conversation must end with a user message", param="messages")
    if len(said.files) > MAX_FILES:
        raise Refused(400, f"{len(said.files)} images are too many: at most {MAX_FILES} are allowed", param="messages")
    sources = sorted({*said.sources, *(["client"] if untrusted else [])})
    return Task(
        id="request",
        input=with_history(before, message),
        files=said.files,
        instructions="\n\n".join(text for text in said.instructions if text.strip()) or None,
        source=" ".join(sources),
        metadata={"served": served, "said": message, **(metadata or {})},
    )


def parts_of(content: object, param: str) -> tuple[str, list[File]]:
    """The text and the images of a user's message.

    Raises:
        Refused: a part that is neither, or an image without its bytes.
    """
    parts = content if isinstance(content, list) else []
    images = [part for part in parts if isinstance(part, Mapping) and part.get("type") == "image_url"]
    if not images:
        return text_of(content, param), []
    try:
        return text_of([part for part in parts if part not in images], param), read_parts(images)[1]
    except AgentKitError as error:
        raise Refused(400, f"{param}: {error}", param=param) from None


def text_of(content: object, param: str) -> str:
    """The text of a message's content, which may be a text or a list of parts.

    Raises:
        Refused: a part that is not text.
    """
    if content is None or isinstance(content, str):
        return content or ""
    texts = []
    for part in content if isinstance(content, list) else [content]:
        if not isinstance(part, Mapping) or not isinstance(part.get("text", part.get("refusal")), str):
            kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
            raise Refused(400, f"{param}: a part of type {kind!r} is not supported; send text", param=param)
        texts.append(str(part.get("text", part.get("refusal"))))
    return "".join(texts)
