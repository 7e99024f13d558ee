"""Creating the checker that a task or a user names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agentkit.checkers.base import Checker, CheckerSettings
from agentkit.checkers.checks import (
    CheckFunction,
    Function,
    FunctionSettings,
    Regex,
    RegexSettings,
    Tests,
    TestSettings,
)
from agentkit.checkers.judge import Judge, JudgeSettings
from agentkit.checkers.labels import (
    Choice,
    ChoiceSettings,
    Exact,
    ExactSettings,
    Finer,
    FinerSettings,
    Numeric,
    NumericSettings,
)
from agentkit.checkers.sql import Sql, SqlSettings
from agentkit.errors import DataError
from agentkit.json_types import JsonObject
from agentkit.protocols import CallModel
from agentkit.registry import Registry
from agentkit.tools.loading import import_path
from agentkit.tools.sandbox import Sandbox

Spec = str | JsonObject | CheckFunction | Checker


@dataclass(frozen=True, kw_only=True)
class CheckerParts:
    """What a checker may need besides its settings.

    Attributes:
        call: makes a judge's model calls.
        sandbox: where unit tests run; None uses one with the default limits.
    """

    call: CallModel | None = None
    sandbox: Sandbox | None = None


CheckerFactory = Callable[[JsonObject, CheckerParts], Checker]
"""Creates a checker from the settings that a task gives. Raises DataError for an invalid setting."""


def get_checker(spec: Spec, *, call: CallModel | None = None, sandbox: Sandbox | None = None) -> Checker:
    """The checker for a task's or a user's specification.

    Args:
        spec: a name, `{"name": …, settings…}`, a function `(answer, task) -> bool | float | Feedback`, or a checker.
        call: makes a judge's model calls.
        sandbox: where unit tests run; the default one has the default limits.

    Raises:
        DataError: an unknown name, an invalid setting, or a judge without a model.
        UserError: a function's path that does not exist.
    """
    if callable(spec):
        return Function(function=spec)
    if not isinstance(spec, str | dict):
        return spec
    name, given = _named(spec)
    return CHECKERS.get(name)(given, CheckerParts(call=call, sandbox=sandbox))


def _named(spec: str | JsonObject) -> tuple[str, JsonObject]:
    given = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = given.pop("name", None)
    if not isinstance(name, str):
        raise DataError('a checker object needs a name, such as {"name": "numeric"}')
    return name, given


def _plain(kind: Callable[..., Checker], name: str, settings: type[CheckerSettings]) -> CheckerFactory:
    """The factory of a checker that needs only its settings."""
    return lambda given, parts: kind(settings=settings.read(name, given))


def _function(given: JsonObject, parts: CheckerParts) -> Checker:
    return Function(function=import_path(FunctionSettings.read("function", given).path, what="checker"))


def _tests(given: JsonObject, parts: CheckerParts) -> Checker:
    return Tests(settings=TestSettings.read("tests", given), sandbox=parts.sandbox)


def _judge(given: JsonObject, parts: CheckerParts) -> Checker:
    if parts.call is None:
        raise DataError("checker 'judge' needs a model to call: name a judge model")
    return Judge(call=parts.call, settings=JudgeSettings.read("judge", given))


CHECKERS: Registry[CheckerFactory] = Registry(
    "checker",
    {
        "exact": _plain(Exact, "exact", ExactSettings),
        "numeric": _plain(Numeric, "numeric", NumericSettings),
        "choice": _plain(Choice, "choice", ChoiceSettings),
        "regex": _plain(Regex, "regex", RegexSettings),
        "function": _function,
        "tests": _tests,
        "judge": _judge,
        "finer": _plain(Finer, "finer", FinerSettings),
        "sql": _plain(Sql, "sql", SqlSettings),
    },
    error=DataError,
    group="checkers",
)
"""Every checker that a task may name; `CHECKERS.register("name")` adds one."""
