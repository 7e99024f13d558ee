"""The Checker protocol, and finding the final answer in a text."""

from __future__ import annotations

import re
from typing import Protocol, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from agentkit.errors import DataError
from agentkit.json_types import JsonObject
from agentkit.tasks import Channel, Feedback, Task


class Checker(Protocol):
    """Checks an answer without the explorer's help.

    Attributes:
        name: the name that tasks use.
        needs_target: whether it compares with `task.target`. The feedback text of such a checker must never contain the
            target; it is added only for those who may see it.
        channel: the channel of its feedback.
    """

    @property
    def name(self) -> str: ...
    @property
    def needs_target(self) -> bool: ...
    @property
    def channel(self) -> Channel: ...

    async def check(self, answer: str, task: Task) -> Feedback:
        """Score an answer from 0 to 1; the score is None if the check itself failed.

        Raises:
            DataError: the task lacks the target that the checker needs, or has an unreadable one.
        """
        ...


class CheckerSettings(BaseModel):
    """Base class of all checkers' settings; unknown settings are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def read(cls, name: str, given: JsonObject) -> Self:
        """Raises DataError that names the invalid setting and, for an unknown one, lists those that exist."""
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            known = ", ".join(cls.model_fields) or "none"
            hint = f" (there are: {known})" if first["type"] == "extra_forbidden" else ""
            raise DataError(f"checker {name!r}: setting {where!r}: {first['msg']}{hint}") from None


def target_of(task: Task, name: str) -> str:
    """The target of a task, required.

    Raises:
        DataError: the task has none.
    """
    if task.target is None:
        raise DataError(f"task {task.id!r} has no target, which its checker {name!r} compares with")
    return task.target


_LEAD = re.compile(r"(?im)^[\s*_#>]*(?:the\s+)?(?:final\s+)?answer(?:\s+is)?\s*[:=]?[*_]*[ \t]*[:=]?[ \t]*(?=\S)")
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")


def final_answer(text: str) -> str:
    """The answer in a text: what follows the last `Final answer:`, or is in the last `\\boxed{}`, or else all of it.

    Surrounding Markdown emphasis, quotes and back-ticks are removed.
    """
    boxed = _BOXED.findall(text)
    if boxed:
        return str(boxed[-1]).strip()
    leads = list(_LEAD.finditer(text))
    found = text[leads[-1].end() :] if leads else text
    return found.strip().strip("*_`\"'“”").strip()
