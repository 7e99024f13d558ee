"""Extension points are filled in one way: an object, or a name that was registered."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from agentkit.checkers import CHECKERS, CheckerParts, get_checker
from agentkit.errors import DataError, UserError
from agentkit.json_types import JsonObject
from agentkit.memory import POLICIES, load_policy, policy_names
from agentkit.memory.bank import Bank, Ranking
from agentkit.memory.query import Query
from agentkit.registry import Registry
from agentkit.tasks import Channel, Feedback, Task
from agentkit.tools import TOOLS, BaseTool, ToolParts, load_tools, tool


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """What a test registers is gone after it."""
    kept = [(registry, dict(registry._made)) for registry in (CHECKERS, TOOLS, POLICIES)]
    yield
    for registry, made in kept:
        registry._made = made  # type: ignore[attr-defined]


class Palindrome:
    """Whether the answer reads the same backwards."""

    name = "palindrome"
    needs_target = False
    channel: Channel = "check"

    async def check(self, answer: str, task: Task) -> Feedback:
        return Feedback(channel="check", score=float(answer == answer[::-1]), text="")


async def test_a_registered_checker_is_one_that_a_task_may_name() -> None:
    @CHECKERS.register("palindrome")
    def palindrome(settings: JsonObject, parts: CheckerParts) -> Palindrome:
        return Palindrome()

    task = Task(id="t", input="?", checker="palindrome")
    assert task.own_checker is not None
    assert (await get_checker(task.own_checker).check("level", task)).score == 1.0
    with pytest.raises(DataError, match=r"unknown checker 'nope': there are exact.*palindrome"):
        get_checker("nope")


def test_a_registered_tool_is_loaded_by_its_name() -> None:
    @TOOLS.register("shout")
    def shout(parts: ToolParts) -> BaseTool:
        def shouted(text: str) -> str:
            """Say it louder."""
            return f"{text.upper()} {parts.root}"

        return tool(shouted)

    (made,) = load_tools(["shout"], root="here")
    assert made.invoke({"text": "hello"}) == "HELLO here"


def test_a_registered_policy_is_loaded_by_its_name() -> None:
    @POLICIES.register("oldest")
    class Oldest:
        name = "oldest"

        def rank(self, query: Query, bank: Bank, k: int) -> Ranking:
            return Ranking(positions=bank.allowed[:k], scores=np.zeros(min(k, len(bank.allowed)), dtype=np.float32))

    assert load_policy("oldest").name == "oldest" and "oldest" in policy_names()


def test_names_of_policies_are_those_that_they_bear() -> None:
    assert {name: load_policy(name).name for name in policy_names()} == {name: name for name in policy_names()}


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(UserError, match="there is a tool named 'sql' already"):
        TOOLS.register("sql")(lambda parts: load_tools(["calculator"])[0])


def test_what_is_built_in_is_imported_when_first_asked_for() -> None:
    registry: Registry[object] = Registry("thing", {"join": "posixpath:join", "no": "nosuchmodule:x"})
    assert list(registry) == ["join", "no"] and len(registry) == 2
    assert callable(registry.get("join"))
    with pytest.raises(ModuleNotFoundError):
        registry.get("no")
