"""From what a task says to a checker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentkit.checkers.base import Checker
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
from agentkit.protocols import CallModel
from agentkit.tools.loading import import_path
from agentkit.tools.sandbox import Sandbox

CHECKERS = ("exact", "numeric", "choice", "regex", "function", "tests", "judge", "finer", "sql")

Spec = str | dict[str, Any] | CheckFunction | Checker


def get_checker(spec: Spec, *, call: CallModel | None = None, sandbox: Sandbox | None = None) -> Checker:
    """The checker that a task or a user names.

    Args:
        spec: a name, `{"name": …, settings…}`, a function `(answer, task) -> bool | float | Feedback`, or a checker.
        call: how the judge calls its model.
        sandbox: where unit tests run; the default has the usual limits.

    Raises:
        DataError: an unknown name, a wrong setting, or a judge without a model.
        UserError: a function's path that leads nowhere.
    """
    if callable(spec):
        return Function(function=spec)
    if not isinstance(spec, str | dict):
        return spec
    name, given = _parts(spec)
    if name == "judge":
        if call is None:
            raise DataError("checker 'judge' needs a model to call: name a judge model")
        return Judge(call=call, settings=JudgeSettings.read(name, given))
    if name == "tests":
        return Tests(settings=TestSettings.read(name, given), sandbox=sandbox)
    return _BUILDERS[name](given)


def _parts(spec: str | dict[str, Any]) -> tuple[str, dict[str, Any]]:
    given = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = given.pop("name", None)
    if not isinstance(name, str):
        raise DataError('a checker object needs a name, such as {"name": "numeric"}')
    if name not in CHECKERS:
        raise DataError(f"unknown checker {name!r}: there are {', '.join(CHECKERS)}")
    return name, given


def _function(given: dict[str, Any]) -> Checker:
    return Function(function=import_path(FunctionSettings.read("function", given).path, what="checker"))


_BUILDERS: dict[str, Callable[[dict[str, Any]], Checker]] = {
    "exact": lambda given: Exact(settings=ExactSettings.read("exact", given)),
    "numeric": lambda given: Numeric(settings=NumericSettings.read("numeric", given)),
    "choice": lambda given: Choice(settings=ChoiceSettings.read("choice", given)),
    "finer": lambda given: Finer(settings=FinerSettings.read("finer", given)),
    "regex": lambda given: Regex(settings=RegexSettings.read("regex", given)),
    "function": _function,
    "sql": lambda given: Sql(settings=SqlSettings.read("sql", given)),
}
