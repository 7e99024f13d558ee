"""Checkers that need no target: regex, function, tests. Their channel is `check`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import Field, field_validator

from agentkit.checkers.base import CheckerSettings
from agentkit.errors import AgentKitError
from agentkit.tasks import Channel, Feedback, Task
from agentkit.tools.isolation import SandboxLimits, SandboxResult
from agentkit.tools.python import stop_reason
from agentkit.tools.sandbox import Sandbox

Verdict = bool | float | Feedback
CheckFunction = Callable[[str, Task], Verdict | Awaitable[Verdict]]
"""`(answer, task) -> True or False, a score from 0 to 1, or a complete Feedback`; may be async."""


def _check(score: float | None, text: str) -> Feedback:
    return Feedback(channel="check", score=score, text=text)


class RegexSettings(CheckerSettings):
    """`pattern` must occur in the answer; with `full` it must match all of it; with `ignore_case`, case does not
    matter."""

    pattern: str
    full: bool = False
    ignore_case: bool = False

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern


@dataclass(frozen=True, kw_only=True)
class Regex:
    """Checks that the answer has the right form."""

    settings: RegexSettings
    name: ClassVar[str] = "regex"
    needs_target: ClassVar[bool] = False
    channel: ClassVar[Channel] = "check"

    async def check(self, answer: str, task: Task) -> Feedback:
        pattern = re.compile(self.settings.pattern, re.IGNORECASE if self.settings.ignore_case else 0)
        text = answer.strip()
        found = pattern.fullmatch(text) if self.settings.full else pattern.search(text)
        return _check(float(bool(found)), f"{'matches' if found else 'does not match'} {self.settings.pattern!r}")


class FunctionSettings(CheckerSettings):
    """`path`: the function to call, as `module:attribute`."""

    path: str


@dataclass(frozen=True, kw_only=True)
class Function:
    """Calls a user's own function. It runs in this process, since it is the user's code and not the model's."""

    function: CheckFunction
    name: ClassVar[str] = "function"
    needs_target: ClassVar[bool] = False
    channel: ClassVar[Channel] = "check"

    async def check(self, answer: str, task: Task) -> Feedback:
        try:
            verdict: Any = self.function(answer, task)
            if inspect.isawaitable(verdict):
                verdict = await verdict
        except AgentKitError:
            raise
        except Exception as error:  # noqa: BLE001 - a user's function; that it failed says nothing about the answer
            return _check(None, f"the checker failed: {type(error).__name__}: {error}")
        if isinstance(verdict, Feedback):
            return verdict
        if isinstance(verdict, bool | int | float) and 0 <= verdict <= 1:
            return _check(float(verdict), "accepted" if verdict == 1 else f"scored {float(verdict):g}")
        return _check(None, f"the checker returned {verdict!r}, not a bool, a number from 0 to 1 or a Feedback")


class TestSettings(CheckerSettings):
    """`code`: statements such as `assert f(2) == 4`, run after the answer's code; `seconds`: the time limit for
    both."""

    __test__ = False  # tells pytest that this is not a test class

    code: str
    seconds: float = Field(default=10.0, gt=0)


@dataclass(frozen=True, kw_only=True)
class Tests:
    """Runs unit tests against the answer's code, in the sandbox.

    The answer's last code block is used, or else all of the answer. The tests only pass if they ran to the end: code
    that ends the program early fails. This guards against accidents and lazy answers; code that is written to cheat
    shares a process with the tests and could succeed.

    If the sandbox supports only a subset of Python and the code needs more, there is no score, and the text says what
    is missing; the answer is not counted as wrong.
    """

    settings: TestSettings
    sandbox: Sandbox | None = field(default=None)
    name: ClassVar[str] = "tests"
    needs_target: ClassVar[bool] = False
    channel: ClassVar[Channel] = "check"
    __test__: ClassVar[bool] = False

    async def check(self, answer: str, task: Task) -> Feedback:
        """Raises SandboxUnavailable if the code can't be isolated; then it is not run."""
        box = self.sandbox or Sandbox(limits=SandboxLimits(seconds=self.settings.seconds))
        result = await box.arun_in_turn({"answer.py": code_of(answer), "tests.py": self.settings.code})
        if result.ok:
            return _check(1.0, "all tests passed")
        if result.unsupported:
            return _check(
                None, f"not tested: the sandbox of this machine has no {result.unsupported}; install bubblewrap"
            )
        return _check(0.0, _failure(result, box.limits.seconds))


_BLOCK = re.compile(r"```[ \t]*(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)


def code_of(answer: str) -> str:
    """The last fenced code block of an answer, or the whole answer if there is none."""
    blocks = _BLOCK.findall(answer)
    return str(blocks[-1]) if blocks else answer


def _failure(result: SandboxResult, seconds: float) -> str:
    """The assertion that failed, in one or two lines."""
    stopped = stop_reason(result, seconds)
    if stopped:
        return f"the code was stopped: {stopped}"
    lines = [line for line in result.stderr.splitlines() if line.strip(" ^~")]
    if result.exit_code == 0 or not lines:
        return f"the program ended before the tests did (exit code {result.exit_code})"
    places = [number for number, line in enumerate(lines) if re.match(r'\s*File "(answer|tests)\.py", line', line)]
    test = next((number for number in places if '"tests.py"' in lines[number]), places[-1] if places else None)
    source = lines[test + 1].strip() if test is not None and test + 1 < len(lines) - 1 else ""
    error = lines[-1].strip()
    if error.startswith(("SyntaxError:", "IndentationError:")):
        return f"this is not Python code: {source[:100]}: {error}"
    if not source or error.startswith("AssertionError: "):
        return error
    return f"{source}: {error}"
