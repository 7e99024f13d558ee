"""AnswerType: the form an answer must have, as a JSON schema, and the Python object it stands for."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError

from agentkit.errors import DataError, UserError
from agentkit.json_types import JsonObject

MAX_TEXT = 2_000
"""Longest text, in characters, where a schema sets no limit of its own; it stops a model that repeats itself."""
MAX_ITEMS = 100
"""Most items of a list where a schema sets no limit of its own."""
_SHORTEST = 60
"""Characters; lists are shortened before texts are cut below this."""
_DEEPEST = 12
"""How many levels of a recursive schema are followed."""
_NUMERIC = ("integer", "number")
_NUMBER = re.compile(r"\W{0,2}\d")


@dataclass(frozen=True)
class AnswerType:
    """The form of an answer.

    Attributes:
        schema: the JSON schema of its value.
        adapter: converts the JSON value to a Python object; with None the JSON value is used as it is.
        answer: the form of the value's field `answer`, where the other fields only lead up to it (a plan, say).
    """

    schema: Mapping[str, Any]
    adapter: TypeAdapter[Any] | None = field(default=None, compare=False)
    answer: AnswerType | None = None

    @classmethod
    def of(cls, wanted: Any) -> AnswerType:
        """The type for what a user names: a Pydantic model, a dataclass, `Literal[…]`, an `Enum`, `int`, `float`,
        `bool`, `date`, `list[…]` and the like, or a JSON schema as a dictionary.

        Raises:
            UserError: a type that can't be expressed as a JSON schema.
            DataError: a dictionary that is not a JSON schema.
        """
        if isinstance(wanted, AnswerType):
            return wanted
        if isinstance(wanted, Mapping):
            return cls(_checked(wanted))
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(wanted)
            return cls(adapter.json_schema(), adapter)
        except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError, TypeError):
            name = getattr(wanted, "__name__", str(wanted))
            raise UserError(
                f"output_type {name!r} can't be made into a JSON schema: use a Pydantic model, a dataclass, Literal, "
                "Enum, a plain type such as int or list[str], or a JSON schema"
            ) from None

    @classmethod
    def of_choices(cls, choices: Sequence[str]) -> AnswerType:
        """The type whose values are one of several texts.

        Raises:
            DataError: no choices, an empty one, or a duplicate.
        """
        if not choices:
            raise DataError("choices: the list is empty; name at least one")
        if empty := [choice for choice in choices if not choice.strip()]:
            raise DataError(f"choices: {empty[0]!r} is empty")
        if twice := [choice for number, choice in enumerate(choices) if choice in choices[:number]]:
            raise DataError(f"choices: {twice[0]!r} occurs twice")
        return cls({"type": "string", "enum": list(choices)})

    @property
    def choices(self) -> tuple[Any, ...] | None:
        """The possible values, where they can be listed."""
        found = self.schema.get("enum")
        if found is None and "const" in self.schema:
            found = [self.schema["const"]]
        if found is None and "$ref" in self.schema:
            found = self.schema["$defs"][str(self.schema["$ref"]).rsplit("/", 1)[-1]].get("enum")
        return None if found is None else tuple(found)

    @property
    def is_object(self) -> bool:
        return self.schema.get("type") == "object"

    @property
    def numeric(self) -> bool:
        """Whether the answer is a number or contains one. Choices are numbers if most begin like one: among 150
        categories, `w2` and `rollover_401k` are none."""
        if choices := self.choices:
            return 2 * sum(bool(_NUMBER.match(str(choice))) for choice in choices) > len(choices)
        return any(node.get("type") in _NUMERIC for node in _nodes(self.schema))

    @cached_property
    def bounded(self) -> JsonObject:
        """The schema for a grammar: every text and list has a maximum length, and objects take no extra fields."""
        return bounded(self.schema)

    def read(self, text: str) -> Any:
        """Parse what a model wrote into its JSON value; a bare text is accepted where a string is expected.

        Raises:
            ValueError: the text is not of this type (a Pydantic `ValidationError` is one).
        """
        value = self._value(text)
        self.check(value)
        return value

    def check(self, value: Any) -> None:
        """Raises ValueError where a JSON value fails the schema or the Python type's own validators."""
        if self.answer is not None and isinstance(value, dict) and "answer" in value:
            self.answer.check(value["answer"])
        if self.adapter is not None:
            self.adapter.validate_json(json.dumps(value))
            return
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import best_match

        error = best_match(Draft202012Validator(self.schema).iter_errors(value))
        if error is not None:
            where = ".".join(str(part) for part in error.absolute_path)
            raise ValueError(f"{where}: {error.message}" if where else error.message)

    def backed_by(self, known: AnswerType | None) -> AnswerType:
        """The same form, with the Python type it is known to come from, so that the type's own validators run too."""
        if self.answer is not None:
            return replace(self, answer=self.answer.backed_by(known))
        return known if known is not None and known == self else self

    def output(self, text: str) -> Any:
        """Parse an answer's text into its Python object; into the JSON value where there is no adapter.

        Raises:
            ValueError: the text is not of this type.
        """
        value = self.read(text)
        return value if self.adapter is None else self.adapter.validate_json(json.dumps(value))

    def same(self, one: str, other: str) -> bool:
        """Whether two answers have the same value: `5` equals `5.0`, and the order of an object's fields does not
        matter.

        Raises:
            ValueError: one of them is not of this type.
        """
        return bool(_canonical(self.read(one)) == _canonical(self.read(other)))

    def _value(self, text: str) -> Any:
        stripped = text.strip()
        choices = self.choices
        if choices is not None and stripped in choices:
            return stripped
        try:
            return json.loads(stripped)
        except (ValueError, RecursionError):
            if self.schema.get("type") == "string" or choices is not None:
                return stripped
            raise ValueError(f"{stripped[:60]!r} is not JSON") from None


def bounded(schema: Mapping[str, Any], *, texts: int = MAX_TEXT) -> JsonObject:
    """A copy of a schema in which every text and list has a maximum length and objects take only the fields it names.

    Args:
        texts: maximum characters of a text where the schema sets no limit.
    """
    bound: JsonObject = copy.deepcopy(dict(schema))
    for node in _nodes(bound):
        _bind(node, texts)
    return bound


def closing(schema: Mapping[str, Any], tokens: int) -> dict[str, Any]:
    """A schema whose longest value still fits into this many tokens, as far as its texts and lists decide.

    Used to ask again after a reply was cut off. Half of the tokens are reserved for names, numbers and punctuation; a
    character is counted as one token, which some scripts may exceed. Minimum lengths in the schema are kept.
    """
    bound = bounded(schema)
    nodes, room = _nodes(bound), tokens
    for items in (20, 5, 2, 1):
        for node in (node for node in nodes if node.get("type") == "array"):
            node["maxItems"] = max(int(node.get("minItems", 0)), min(node["maxItems"], items))
        room = tokens // 2 // max(1, _texts(bound, bound, 0))
        if room >= _SHORTEST:
            break
    for node in (node for node in nodes if _is_free(node)):
        least, most = int(node.get("minLength", 0)), int(node.get("maxLength", room))
        node["maxLength"] = max(least, min(most, room))
    return bound


def _texts(node: Any, root: Mapping[str, Any], depth: int) -> int:
    """The number of free-form texts in the longest possible value."""
    if not isinstance(node, Mapping) or depth > _DEEPEST:
        return 0
    if "$ref" in node:
        found: Any = root
        for part in str(node["$ref"]).removeprefix("#/").split("/"):
            found = found.get(part, {}) if isinstance(found, Mapping) else {}
        return _texts(found, root, depth + 1)
    own = int(_is_free(node))
    own += sum(_texts(item, root, depth + 1) for item in dict(node.get("properties") or {}).values())
    own += int(node.get("maxItems", 1)) * _texts(node.get("items"), root, depth + 1)
    options = [_texts(item, root, depth + 1) for key in ("anyOf", "oneOf") for item in node.get(key) or ()]
    return own + max(options, default=0)


def _is_free(node: Mapping[str, Any]) -> bool:
    """Whether the schema is a text with arbitrary content."""
    return node.get("type") == "string" and not node.keys() & {"enum", "const", "pattern", "format"}


def answer_text(value: Any) -> str:
    """The text of an answer's JSON value: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _canonical(value: Any) -> Any:
    """A form in which only equal values compare equal: `True` is not `1`."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    return [_canonical(item) for item in value] if isinstance(value, list) else value


def _checked(schema: Mapping[str, Any]) -> JsonObject:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = ".".join(str(part) for part in error.absolute_path)
        raise DataError(f"not a JSON schema: {where + ': ' if where else ''}{error.message}") from None
    if not schema:
        raise DataError("not a JSON schema: it is empty; say at least a type")
    if isinstance(values := schema.get("enum"), list):
        if not values:
            raise DataError("not a JSON schema: its enum is empty")
        if twice := [value for number, value in enumerate(values) if value in values[:number]]:
            raise DataError(f"choices: {twice[0]!r} occurs twice")
    return dict(schema)


def _nodes(schema: Any) -> list[JsonObject]:
    """Every schema nested in a schema, itself included; the values of enums and defaults are not schemas."""
    if isinstance(schema, list):
        return [node for item in schema for node in _nodes(item)]
    if not isinstance(schema, Mapping):
        return []
    inner = [
        value
        for key, value in schema.items()
        if key in ("items", "anyOf", "oneOf", "allOf", "prefixItems", "additionalProperties")
    ]
    named = [value for key in ("properties", "$defs", "definitions") for value in dict(schema.get(key) or {}).values()]
    return [schema, *(node for item in [*inner, *named] for node in _nodes(item))]  # type: ignore[list-item]


def _bind(node: JsonObject, texts: int) -> None:
    kind = node.get("type")
    if _is_free(node) and "maxLength" not in node:
        node["maxLength"] = max(texts, int(node.get("minLength", 0)))
    if kind == "array" and "maxItems" not in node:
        node["maxItems"] = max(MAX_ITEMS, int(node.get("minItems", 0)))
    if kind == "object" and node.get("properties"):
        node.setdefault("additionalProperties", False)
