"""Making tools from Python functions: the schema comes from type hints, the descriptions from the docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin, get_type_hints, overload

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from agentkit.errors import UserError

_RESERVED = {"config", "run_manager"}
"""LangChain passes its own values under these names."""

_SECTION = re.compile(r"^(Args|Arguments|Parameters|Returns|Return|Raises|Yields|Examples?|Notes?):\s*$")


class Arguments(BaseModel):
    """Base class of all tools' argument models; unknown arguments are errors rather than ignored."""

    model_config = ConfigDict(extra="forbid")


_READS_OUTSIDE = "agentkit:reads_outside"
_ARITHMETIC = "agentkit:arithmetic"


@overload
def tool(
    function: Callable[..., Any], *, name: str | None = ..., description: str | None = ..., reads_outside: bool = ...
) -> BaseTool: ...
@overload
def tool(
    *, name: str | None = ..., description: str | None = ..., reads_outside: bool = ...
) -> Callable[[Callable[..., Any]], BaseTool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    reads_outside: bool = True,
) -> BaseTool | Callable[[Callable[..., Any]], BaseTool]:
    """Make a tool from a function, sync or async; use it as `@tool`, `@tool(name="…")` or `tool(function)`.

    Every parameter needs a type hint. Its description comes from the `Args:` section of a Google-style docstring or
    from `Annotated[int, "…"]`. The JSON schema accepts no other arguments.

    Args:
        reads_outside: whether its results may contain text that somebody else wrote (a file, a page, a table). What is
            learnt from a run that read such text is quarantined. Use False only for a function whose result depends on
            nothing but its arguments.

    Raises:
        UserError: a missing type hint or description, or a parameter that can't be expressed in a schema (`*args`,
            `**kwargs`).
    """
    if function is None:
        return lambda wrapped: tool(wrapped, name=name, description=description, reads_outside=reads_outside)
    title = name or str(getattr(function, "__name__", type(function).__name__))
    summary, arguments = parse_docstring(inspect.getdoc(function) or "")
    text = description or summary
    if not text:
        raise UserError(f"the tool {title!r} has no description: give its function a docstring")
    is_async = inspect.iscoroutinefunction(function)
    return StructuredTool(
        name=title,
        description=text,
        args_schema=_argument_model(function, title, arguments),
        func=None if is_async else function,
        coroutine=function if is_async else None,
        metadata=None if reads_outside else {_READS_OUTSIDE: False},
    )


def reads_outside(made: BaseTool | None) -> bool:
    """Whether a tool's results may contain text from outside: True unless the tool is marked otherwise, whatever its
    name; True also for a tool that no longer exists."""
    return made is None or (made.metadata or {}).get(_READS_OUTSIDE, True) is not False


def arithmetic(made: BaseTool) -> BaseTool:
    """Mark a tool as being for arithmetic only; it is offered when there are numbers to calculate with."""
    made.metadata = {**(made.metadata or {}), _ARITHMETIC: True}
    return made


def is_arithmetic(made: BaseTool) -> bool:
    """Whether a tool is marked as being for arithmetic only."""
    return (made.metadata or {}).get(_ARITHMETIC) is True


def _argument_model(function: Callable[..., Any], title: str, descriptions: dict[str, str]) -> type[BaseModel]:
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise UserError(f"the tool {title!r}: its type hints can't be read: {error}") from None
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        problem = _problem(parameter, hints)
        if problem:
            raise UserError(f"the tool {title!r}: the parameter {parameter.name!r} {problem}")
        hint = hints[parameter.name]
        default = ... if parameter.default is parameter.empty else parameter.default
        about = descriptions.get(parameter.name) or _annotated_text(hint)
        fields[parameter.name] = (hint, Field(default, description=about))
    return create_model(title, __base__=Arguments, **fields)


def _problem(parameter: inspect.Parameter, hints: dict[str, Any]) -> str | None:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
        return "must be an ordinary one: *args, **kwargs and positional-only have no schema"
    if parameter.name not in hints:
        return "has no type hint"
    if parameter.name in _RESERVED or hasattr(BaseModel, parameter.name):
        return "has a reserved name: choose another"
    return None


def _annotated_text(hint: Any) -> str | None:
    if get_origin(hint) is not Annotated:
        return None
    texts = (extra.description if isinstance(extra, FieldInfo) else extra for extra in get_args(hint)[1:])
    return next((text for text in texts if isinstance(text, str)), None)


def parse_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Split a Google-style docstring into its description and the descriptions of its arguments."""
    description: list[str] = []
    arguments: dict[str, str] = {}
    section, current, indent = "", "", 0
    for line in text.splitlines():
        heading = _SECTION.match(line)
        if heading:
            section, current = heading.group(1), ""
        elif not section:
            description.append(line)
        elif section in ("Args", "Arguments", "Parameters"):
            match = re.match(r"^(\s+)\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$", line)
            if match and (not current or len(match.group(1)) <= indent):
                indent, current = len(match.group(1)), match.group(2)
                arguments[current] = match.group(3).strip()
            elif current and line.strip():
                arguments[current] = f"{arguments[current]} {line.strip()}".strip()
    return "\n".join(description).strip(), arguments
