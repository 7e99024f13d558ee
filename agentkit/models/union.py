"""The union of what a local model may reply: a call of one of its tools, or an answer.

A call is a JSON object, `{"name": tool, "arguments": {…}}`. An answer is what the model would say without tools: a
text, or a call of `answer` where it has a form. The reply is decoded under a grammar that holds both, so a model that
can answer does, and a call is valid by construction, for every chat model, with a tool template or without.
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
"""Marks an enum of a schema whose values stand in the prompt already, such as the sentences of a paper: it binds the
answer, and the tool's description leaves it out."""


ANSWER_TOOL = "answer"
"""The name under which a structured answer is offered beside tools."""

MAX_ARGUMENT = 8_000
"""Characters of a text in a tool's arguments whose schema sets no bound of its own."""

_CALL = '{"name": '
"""How a call begins, and a text never does."""


@dataclass(frozen=True)
class Union:
    """What may be replied.

    Attributes:
        tools: the tools on offer, in OpenAI's form.
        allowed: names of those that may be called now.
        text: whether a plain text may be replied.
    """

    tools: tuple[dict[str, Any], ...]
    allowed: frozenset[str]
    text: bool

    @property
    def grammar(self) -> str:
        """The grammar of a reply, in llguidance's form of Lark, which llama.cpp and transformers decode under alike.

        A text is anything that does not begin as a call does: what is decoded before the two differ fits both.
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
        """How to reply, for the system prompt."""
        first = sorted(self.tools, key=lambda tool: tool["function"]["name"] != ANSWER_TOOL)
        lines = "\n".join(f"- {_signature(tool['function'])}" for tool in first)
        if self.text:
            form = 'To call a tool, reply with {"name": <tool>, "arguments": {…}} alone.'
            return f"# Tools\n{lines}\n{form} Otherwise answer in words, as if there were no tools."
        return f'# Tools\n{lines}\nReply with one JSON object: {{"name": <tool>, "arguments": {{…}}}}.'


def grammar_of(union: Union | None, response_format: Mapping[str, Any] | None) -> str | None:
    """The grammar that a request asks for: the union's, that of a wanted form of text, or None."""
    kind = (response_format or {}).get("type")
    if union is not None:
        return union.grammar
    if response_format is None or kind in (None, "text"):
        return None
    return json_grammar(response_format["json_schema"]["schema"] if kind == "json_schema" else {"type": "object"})


def answer_format(form: AnswerType, *, room: int | None = None) -> dict[str, Any]:
    """The `response_format` in which a model of this process gives an answer of a type as it stands.

    One of several choices stands in an object, `{"answer": …}`, as hosted models give it. That takes five tokens more
    than the text alone. The 1.5b coder sorted 45 bank messages into 77 categories rightly in .51 of them (.47 as text)
    and 20 into 24 in .80 (.60 as text), differences within chance.

    Args:
        room: tokens that the longest answer may take, for a model that ran on before; None leaves the usual bounds.
    """
    schema = form.bounded if room is None else closing(form.schema, room)
    if form.choices:
        schema = as_field(schema)
    return {"type": "json_schema", "json_schema": {"name": ANSWER_TOOL, "schema": schema, "strict": True}}


def as_field(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an object whose one field, `answer`, has a schema."""
    value = dict(schema)
    definitions = {"$defs": value.pop("$defs")} if "$defs" in value else {}
    return {**_object({ANSWER_TOOL: value}), **definitions}


def check_grammar(form: AnswerType) -> None:
    """Raises UserError where no grammar can hold an answer's form; without llguidance the model itself says so."""
    try:
        import llguidance
    except ModuleNotFoundError:
        return
    if problem := llguidance.LLMatcher.validate_grammar(str(grammar_of(None, answer_format(form)))):
        raise UserError(f"the answer's schema can't be made into a grammar: {' '.join(problem.split())}")


def json_grammar(schema: Mapping[str, Any]) -> str:
    """The grammar of JSON under a schema, in the same form; without line breaks, in which small models get lost."""
    return f"start: {_json(schema)}"


def _json(schema: Mapping[str, Any]) -> str:
    compact = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    return f"%json {json.dumps({**schema, 'x-guidance': compact}, ensure_ascii=False)}"


def _rule(function: dict[str, Any]) -> str:
    head = json.dumps(f'{_CALL}{json.dumps(function["name"])}, "arguments": ')
    arguments = _without(_inlined(function.get("parameters")), {IN_PROMPT})
    return f'{head} {_json(bounded(arguments, texts=MAX_ARGUMENT))} "}}"'


def union_of(kwargs: JsonObject) -> Union | None:
    """The union that bound arguments (`tools`, `tool_choice`) ask for; None for a plain text."""
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
    """Read a reply that was decoded under the union's grammar.

    A call cut off by the token limit is the one that can be invalid; it comes as an invalid tool call.
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
    """A whole message as the one chunk of a stream."""
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
    """Messages for a chat template that knows only system, user and assistant, in turns that alternate.

    How to reply leads the system prompt, because what was learnt, which ends it, changes more often. Where a user
    message leads the question, such as a paper, it goes between the two, so that questions with different answers share
    the paper in the prefix cache.
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
    """Where the question stands, if user messages come before it; None if it is the first of them."""
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
    """A schema in which no enum that is marked as being in the prompt has these keywords."""
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
