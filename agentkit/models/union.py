"""The union of possible replies of a local model: a call of one of its tools, or an answer.

A call is a JSON object, `{"name": tool, "arguments": {…}}`. An answer is what the model would say without tools: text,
or a call of `answer` if the answer has a form. Replies are decoded under a grammar that covers both. So a model that
can answer right away does, and calls are valid by construction for every chat model, with or without a tool template.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.utils.json_schema import dereference_refs

from agentkit.answer_type import AnswerType, bounded, closing
from agentkit.errors import UserError
from agentkit.json_types import JsonObject

IN_PROMPT = "x-in-prompt"
"""Marks an enum in a schema whose values are already in the prompt, such as the sentences of a paper: it constrains the
answer, but the tool's description omits it."""


ANSWER_TOOL = "answer"
"""The tool name under which a structured answer is offered."""

MAX_ARGUMENT = 8_000
"""Longest text in a tool's arguments, in characters, where the schema sets no limit."""

_CALL = '{"name": '
"""How every call begins, and no plain text does."""


@dataclass(frozen=True)
class Union:
    """The possible replies.

    Attributes:
        tools: the available tools, in OpenAI's format.
        allowed: names of the tools that may be called now.
        text: whether the reply may be plain text.
    """

    tools: tuple[dict[str, Any], ...]
    allowed: frozenset[str]
    text: bool

    @property
    def grammar(self) -> str:
        """The grammar of a reply, in llguidance's variant of Lark; both llama.cpp and transformers decode under it.

        Plain text is anything that does not begin like a call; until the two diverge, the decoded tokens fit both.
        """
        options = ["text"] if self.text else []
        rules = ["text: TEXT", f"TEXT: /(.|\\n)+/ & ~/{re.escape(_CALL.strip())}(.|\\n)*/"] if self.text else []
        for number, tool in enumerate(self.tools):
            if tool["function"]["name"] in self.allowed:
                options.append(f"reply{number}")
                rules.append(f"reply{number}: {_rule(tool['function'])}")
        return "\n".join([f"start: {' | '.join(options)}", *rules])

    @property
    def instructions(self) -> str:
        """Instructions for replying, to be put into the system prompt."""
        first = sorted(self.tools, key=lambda tool: tool["function"]["name"] != ANSWER_TOOL)
        lines = "\n".join(f"- {_signature(tool['function'])}" for tool in first)
        if self.text:
            form = 'To call a tool, reply with {"name": <tool>, "arguments": {…}} alone.'
            return f"# Tools\n{lines}\n{form} Otherwise answer in words, as if there were no tools."
        return f'# Tools\n{lines}\nReply with one JSON object: {{"name": <tool>, "arguments": {{…}}}}.'


def grammar_of(union: Union | None, response_format: Mapping[str, Any] | None) -> str | None:
    """The grammar that a request needs: that of the union, that of a requested text format, or None."""
    kind = (response_format or {}).get("type")
    if union is not None:
        return union.grammar
    if response_format is None or kind in (None, "text"):
        return None
    return json_grammar(response_format["json_schema"]["schema"] if kind == "json_schema" else {"type": "object"})


def answer_format(form: AnswerType, *, room: int | None = None) -> dict[str, Any]:
    """The `response_format` in which a local model returns an answer of a type directly, without a tool call.

    A choice is wrapped in an object, `{"answer": …}`, as with hosted models. That takes five tokens more than the bare
    text. The 1.5b coder model sorted 45 bank messages into 77 categories with .51 right (.47 as text), and 20 messages
    into 24 categories with .80 right (.60 as text); the differences are within chance.

    Args:
        room: tokens that the longest answer may take, for a model that failed to stop before; None keeps the usual
            limits.
    """
    schema = form.bounded if room is None else closing(form.schema, room)
    if form.choices:
        schema = as_field(schema)
    return {"type": "json_schema", "json_schema": {"name": ANSWER_TOOL, "schema": schema, "strict": True}}


def as_field(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an object whose only field, `answer`, has the given schema."""
    value = dict(schema)
    definitions = {"$defs": value.pop("$defs")} if "$defs" in value else {}
    return {**_object({ANSWER_TOOL: value}), **definitions}


def check_grammar(form: AnswerType) -> None:
    """Raises UserError if an answer's form can't be made into a grammar; without llguidance, the model reports it
    instead."""
    try:
        import llguidance
    except ModuleNotFoundError:
        return
    if problem := llguidance.LLMatcher.validate_grammar(str(grammar_of(None, answer_format(form)))):
        raise UserError(f"the answer's schema can't be made into a grammar: {' '.join(problem.split())}")


def json_grammar(schema: Mapping[str, Any]) -> str:
    """The grammar for JSON that follows a schema; without line breaks, which confuse small models."""
    return f"start: {_json(schema)}"


def _json(schema: Mapping[str, Any]) -> str:
    compact = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    return f"%json {json.dumps({**schema, 'x-guidance': compact}, ensure_ascii=False)}"


def _rule(function: dict[str, Any]) -> str:
    head = json.dumps(f'{_CALL}{json.dumps(function["name"])}, "arguments": ')
    arguments = _without(_inlined(function.get("parameters")), {IN_PROMPT})
    return f'{head} {_json(bounded(arguments, texts=MAX_ARGUMENT))} "}}"'


def union_of(kwargs: JsonObject) -> Union | None:
    """The union for bound arguments (`tools`, `tool_choice`); None for plain text."""
    tools, choice = tuple(kwargs.get("tools") or ()), kwargs.get("tool_choice")
    if not tools:
        return None
    if choice == "none":
        return Union(tools, frozenset(), text=True)
    names = frozenset(tool["function"]["name"] for tool in tools)
    if isinstance(choice, dict):
        choice = choice.get("function", {}).get("name", "any")
    if isinstance(choice, str) and choice in names:
        return Union(tools, frozenset([choice]), text=False)
    return Union(tools, names, text=choice in (None, "auto", False))


def read_union(text: str, union: Union | None, *, finish: str | None = None) -> AIMessage:
    """Parse a reply that was decoded under the union's grammar.

    Only a call that was cut off by the token limit can be invalid; it becomes an invalid tool call.
    """
    if union is None or (union.text and not text.startswith(_CALL.strip())):
        return AIMessage(text)
    try:
        reply = json.loads(text)
        call = {"name": reply["name"], "args": reply["arguments"], "id": _call_id()}
    except (ValueError, RecursionError, KeyError, TypeError):
        why = "cut off by max_tokens" if finish == "length" else "not JSON"
        return AIMessage("", invalid_tool_calls=[{"name": None, "args": text, "id": None, "error": why}])
    return AIMessage("", tool_calls=[cast("Any", call)])


def as_chunk(message: AIMessage) -> AIMessageChunk:
    """A complete message as the only chunk of a stream."""
    calls = [
        {"name": call["name"], "args": json.dumps(call["args"]), "id": call["id"], "index": position}
        for position, call in enumerate(message.tool_calls)
    ]
    return AIMessageChunk(
        content=message.content,
        tool_call_chunks=cast("Any", calls),
        usage_metadata=message.usage_metadata,
        response_metadata=message.response_metadata,
    )


def to_chat(messages: Sequence[BaseMessage], union: Union | None) -> list[dict[str, str]]:
    """Convert messages for a chat template that only knows system, user and assistant, in alternating turns.

    The reply instructions come first in the system prompt, because the learnt context at its end changes more often. If
    user messages precede the question, such as a paper, the instructions go between them and the question, so that
    questions with different answer forms share the paper in the prefix cache.
    """
    chat: list[dict[str, str]] = []
    if union is not None and (question := _question_after_text(messages)) is not None:
        reply = HumanMessage(union.instructions)
        messages, union = [*messages[:question], reply, *messages[question:]], None
    if union is not None and not any(message.type == "system" for message in messages):
        chat.append({"role": "system", "content": union.instructions})
    for message in messages:
        role, text = _turn(message)
        if role == "system" and union is not None:
            text, union = f"{union.instructions}\n\n{text}", None
        if chat and chat[-1]["role"] == role:
            chat[-1]["content"] += f"\n\n{text}"
        else:
            chat.append({"role": role, "content": text})
    return chat


def _question_after_text(messages: Sequence[BaseMessage]) -> int | None:
    """The index of the question if other user messages precede it; None if it is the first one."""
    lead = list(takewhile(lambda message: message.type in ("system", "human"), messages))
    return len(lead) - 1 if sum(message.type == "human" for message in lead) > 1 else None


def _turn(message: BaseMessage) -> tuple[str, str]:
    if isinstance(message, ToolMessage):
        return "user", f"Result of the tool:\n{message.text}"
    if isinstance(message, AIMessage):
        calls = [json.dumps({"name": call["name"], "arguments": call["args"]}) for call in message.tool_calls]
        return "assistant", "\n".join([message.text, *calls] if message.text else calls)
    return ("system" if message.type == "system" else "user"), message.text


def _without(schema: Any, keywords: Set[str]) -> Any:
    """The schema with these keywords removed from every enum that is marked as being in the prompt."""
    if isinstance(schema, list):
        return [_without(item, keywords) for item in schema]
    if not isinstance(schema, dict):
        return schema
    dropped = keywords if schema.get(IN_PROMPT) is True else ()
    return {key: _without(value, keywords) for key, value in schema.items() if key not in dropped}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _inlined(parameters: dict[str, Any] | None) -> dict[str, Any]:
    if not parameters or not parameters.get("properties"):
        return _object({})
    resolved: dict[str, Any] = dereference_refs(parameters)
    return {"additionalProperties": False, **{key: value for key, value in resolved.items() if key != "$defs"}}


def _signature(function: dict[str, Any]) -> str:
    properties = _inlined(function.get("parameters")).get("properties", {})
    parameters = json.dumps(_without(properties, {IN_PROMPT, "enum", "const"}), ensure_ascii=False)
    return f"{function['name']}: {function.get('description', '')}\n  arguments: {parameters}"


def _call_id() -> str:
    return f"call_{uuid.uuid4().hex[:12]}"
