"""Finding the requested part of a model's text: the answer behind the reasoning, or the JSON among the words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from agentkit.answer_type import AnswerType
from agentkit.models.requests import Schema

_MARKS = r"think|thinking|thought|thoughts|reasoning|reflection|scratchpad|analysis"
_OPENED = re.compile(rf"\s*(?:<(?:{_MARKS})>|\[THINK\]|<\|channel\|>analysis)", re.IGNORECASE)
_CLOSED = re.compile(
    rf"</(?:{_MARKS})>|\[/THINK\]|<\|channel\|>final(?:\s*<\|constrain\|>\w+)?<\|message\|>|◁/think▷|<\|end_of_thought\|>",
    re.IGNORECASE,
)
_FENCE = re.compile(r"```[\w-]*[ \t]*\n(.*?)```", re.DOTALL)
_MOST_STARTS = 500
"""How many opening braces are tried, so that a text full of them does not take long."""


def spoken(text: str) -> str:
    """The text without the reasoning at its beginning; all of it if there is none, and empty if the reasoning never
    ends.

    The opening mark may be missing: some chat templates put it into the prompt.
    """
    if _OPENED.match(text):
        ends = [match.end() for match in _CLOSED.finditer(text)]
        return text[ends[-1] :].strip() if ends else ""
    lone = [match.end() for match in _CLOSED.finditer(text) if text[match.end() : match.end() + 1] in ("\n", "")]
    return text[lone[-1] :].strip() if lone else text


def read_object(text: str, schema: Schema, name: str) -> Any:
    """The value of a schema in a text that may also contain reasoning, code fences, words and other objects.

    The last valid object is used, and one in a code fence is preferred. A call of the tool `name` that was written as
    text counts as its arguments.

    Raises:
        ValueError: there is no object, or none is valid; says what is wrong with the last one.
    """
    problem = ValueError("there is no JSON object in it")
    try:
        return schema.read(spoken(text)) if isinstance(schema, AnswerType) else schema.model_validate_json(text)
    except ValueError as error:
        if isinstance(schema, AnswerType) and not schema.is_object:
            problem = error
    said = text[ends[-1].end() :] if (ends := list(_CLOSED.finditer(text))) else "" if _OPENED.match(text) else text
    last: ValueError | None = None
    for part in ("\n".join(_FENCE.findall(said)), said):
        for found in reversed(list(_objects(part))):
            for value in _inner(found, name):
                try:
                    return read_value(value, schema, name)
                except ValueError as error:
                    last = last or error
    raise last or problem


def read_value(value: Any, schema: Schema, name: str) -> Any:
    """The structured answer in the arguments of the tool `name`; for an `AnswerType`, its JSON value.

    Raises:
        ValueError: it is invalid (a Pydantic `ValidationError` is one).
    """
    if not isinstance(schema, AnswerType):
        return schema.model_validate(value)
    if not schema.is_object and isinstance(value, dict):
        if name not in value:
            raise ValueError(f"it has no {name!r}")
        value = value[name]
    schema.check(value)
    return value


def wrapped_answer(text: str) -> str | None:
    """The answer in the last `{"reasoning": …, "answer": …}` that a model gave although plain text was wanted; None if
    there is none. Models do that if they were trained on it or shown it."""
    said = spoken(text)
    for part in ("\n".join(_FENCE.findall(said)), said):
        for found in reversed(list(_objects(part))):
            if {"reasoning", "answer"} <= found.keys() <= {"reasoning", "answer", "used"}:
                return plain_value(found["answer"])
    return None


def plain_value(value: object) -> str | None:
    """A text or a number as text; None for anything else and for blank text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip() or None


def read_call(text: str, names: Sequence[str]) -> tuple[str, dict[str, Any]] | None:
    """The last call of one of these tools that a model wrote as text: its name and arguments."""
    for found in reversed(list(_objects(text))):
        called = found["function"] if isinstance(found.get("function"), dict) else found
        name, arguments = called.get("name"), called.get("arguments", called.get("parameters"))
        if isinstance(name, str) and (known := known_name(name, names)) and isinstance(arguments, dict):
            return known, arguments
    return None


def known_name(name: str, names: Sequence[str]) -> str | None:
    """The tool that a name stands for, even with control tokens behind it, a namespace before it, or both.

    "calculator<|channel|>json", "functions.calculator:0" and "default_api:calculator" all mean `calculator`.
    """
    if name in names:
        return name
    bare = re.split(r"<[|｜]|\s|\(", name.strip().strip("`'\""))[0]
    bare = re.sub(r":\d+$", "", bare)
    for short in (bare, re.split(r"[.:/]|__", bare)[-1]):
        if short in names:
            return short
    return None


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The outermost JSON objects in a text, in order."""
    decoder, start = json.JSONDecoder(strict=False), text.find("{")
    for _ in range(_MOST_STARTS):
        if start < 0:
            return
        try:
            found, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            yield found
        start = text.find("{", end)


def _inner(found: dict[str, Any], name: str) -> Iterator[Any]:
    """The object itself, and the object it wraps: a call's arguments, or the value under a key with the answer's
    name."""
    yield found
    called = found["function"] if isinstance(found.get("function"), dict) else found
    if called.get("name") == name:
        yield from (called[key] for key in ("arguments", "parameters", "args", "input") if key in called)
    elif len(found) == 1:
        yield from (value for key, value in found.items() if key.lower() == name)
