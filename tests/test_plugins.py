"""What installed packages add by entry point, and other libraries' names and objects that are taken."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from types import ModuleType
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from agentkit import plugins
from agentkit.checkers import get_checker
from agentkit.checkers.registry import CHECKERS
from agentkit.errors import DataError, ModelNotFound, UserError
from agentkit.models import load_embedder, load_model
from agentkit.models.load import _with_slash
from agentkit.tasks import Task
from agentkit.testing import ScriptedModel
from agentkit.tools import load_tools, tool
from agentkit.tools.loading import TOOLS


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Offer objects under entry points, as an installed package does."""
    there: list[EntryPoint] = []
    module = ModuleType("offered")
    monkeypatch.setitem(sys.modules, "offered", module)

    def find(group: str, name: str | None = None) -> EntryPoints:
        return EntryPoints(item for item in there if item.group == group and name in (None, item.name))

    monkeypatch.setattr(plugins, "entry_points", find)
    for registry in (CHECKERS, TOOLS):
        monkeypatch.setattr(registry, "_made", dict(registry._made))

    def add(group: str, name: str, value: Any, *, place: str | None = None) -> None:
        setattr(module, name, value)
        there.append(EntryPoint(name, place or f"offered:{name}", f"agentkit.{group}"))

    return add


def test_a_tool_of_a_package_is_named_as_a_built_in_one(offer: Callable[..., None]) -> None:
    def weather(town: str) -> str:
        """The weather in a town."""
        return f"sun in {town}"

    offer("tools", "weather", lambda parts: tool(weather))
    [made] = load_tools(["weather"])
    assert made.invoke({"town": "Bonn"}) == "sun in Bonn"
    with pytest.raises(UserError, match=r"unknown tool 'rain': there are calculator, .*weather"):
        load_tools(["rain"])


async def test_so_is_a_checker(offer: Callable[..., None]) -> None:
    offer("checkers", "long", lambda settings, parts: get_checker(lambda answer, task: len(answer) > settings["than"]))
    checker = get_checker({"name": "long", "than": 3})
    assert (await checker.check("12345", Task(id="t", input="?"))).score == 1.0
    with pytest.raises(DataError, match=r"unknown checker 'short': there are .*long"):
        get_checker("short")


def test_so_is_a_kind_of_model(offer: Callable[..., None]) -> None:
    offer("models", "mine", lambda name, **options: ScriptedModel([name], **options))
    assert load_model("mine/echo").invoke("?").text == "echo"


def test_a_package_can_not_stand_in_for_what_is_built_in(offer: Callable[..., None]) -> None:
    offer("tools", "calculator", lambda parts: "mine")
    assert "arithmetic" in load_tools(["calculator"])[0].description.casefold()


def test_one_that_is_broken_or_there_twice_is_one_line(offer: Callable[..., None]) -> None:
    offer("tools", "broken", None, place="offered_nowhere:x")
    with pytest.raises(UserError, match=r"agentkit\.tools: the plug-in 'broken' \(offered_nowhere:x\) can't be loaded"):
        load_tools(["broken"])
    offer("tools", "twice", str)
    offer("tools", "twice", str, place="offered:other")
    with pytest.raises(UserError, match="uninstall all but one"):
        load_tools(["twice"])


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("openai:gpt-5-mini", "openai/gpt-5-mini"),
        ("google_genai:gemini-2.5-flash", "gemini/gemini-2.5-flash"),
        ("ollama:llama3:8b", "ollama/llama3:8b"),
        ("ollama/llama3:8b", "ollama/llama3:8b"),
        ("local/C:/models/x.gguf", "local/C:/models/x.gguf"),
        ("plain", "plain"),
    ],
)
def test_names_as_langchain_writes_them_are_understood(given: str, taken: str) -> None:
    assert _with_slash(given) == taken


def test_a_name_without_a_model_is_still_refused() -> None:
    with pytest.raises(ModelNotFound, match="unknown model 'openai:'"):
        load_model("openai:")


def test_langchains_embeddings_are_taken_as_embedders() -> None:
    first, again = (load_embedder(DeterministicFakeEmbedding(size=8)) for _ in range(2))
    assert first.dimension == 8 == len(first.embed_query("a"))
    assert first.name == again.name
    assert first.name != load_embedder(DeterministicFakeEmbedding(size=9)).name
    assert load_embedder(first) is first
