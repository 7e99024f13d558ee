"""Tools are made from functions, loaded by name, and run in bounded time whatever they do."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Annotated, Literal

import pytest
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from agentkit.errors import UserError
from agentkit.tools import load_tools, run_tool, tool

ROOT = Path(__file__).resolve().parents[2]


def weather(city: str, unit: Literal["C", "F"] = "C", days: Annotated[int, "how far ahead"] = 1) -> str:
    """Tell the weather.

    It is made up.

    Args:
        city: where,
            in any language.
        unit (str): of the temperature.

    Returns:
        A sentence.
    """
    return f"{city}: 20 {unit} in {days}"


async def later(number: int) -> int:
    """Add one, asynchronously."""
    await asyncio.sleep(0)
    return number + 1


def test_the_schema_comes_from_type_hints_and_the_descriptions_from_the_docstring() -> None:
    schema = convert_to_openai_tool(tool(weather))["function"]
    assert schema["name"] == "weather" and schema["description"] == "Tell the weather.\n\nIt is made up."
    properties = schema["parameters"]["properties"]
    assert properties["city"] == {"description": "where, in any language.", "type": "string"}
    assert properties["unit"]["enum"] == ["C", "F"] and properties["unit"]["description"] == "of the temperature."
    assert properties["days"]["description"] == "how far ahead"
    assert schema["parameters"]["required"] == ["city"]
    assert tool(weather).get_input_jsonschema()["additionalProperties"] is False


async def test_sync_and_async_functions_become_tools_that_run() -> None:
    assert (await run_tool(tool(weather), {"city": "Oslo"})).text == "Oslo: 20 C in 1"
    assert (await run_tool(tool(later), {"number": 1})).text == "2"


def test_the_decorator_takes_a_name_and_a_description() -> None:
    @tool(name="other", description="Something else.")
    def something(x: int) -> int:
        return x

    assert isinstance(something, BaseTool) and (something.name, something.description) == ("other", "Something else.")


def unhinted(x):  # type: ignore[no-untyped-def]
    """No hint."""


def starred(*numbers: int) -> None:
    """A star."""


def reserved(config: str) -> None:
    """A reserved name."""


def undescribed(x: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "problem"),
    [(unhinted, "no type hint"), (starred, "ordinary"), (reserved, "reserved"), (undescribed, "no description")],
)
def test_a_function_that_can_not_be_a_tool_says_why(function: object, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        tool(function)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("arguments", "problem"), [({}, "city"), ({"city": "Oslo", "unit": "K"}, "unit"), ({"city": "x", "z": 1}, "z")]
)
async def test_wrong_arguments_are_an_error_that_names_the_argument(arguments: dict[str, object], problem: str) -> None:
    result = await run_tool(tool(weather), arguments)
    assert not result.ok and f"'{problem}'" in result.text and "\n" not in result.text


async def test_a_tool_that_raises_gives_the_model_one_line_and_no_traceback() -> None:
    def broken() -> str:
        """Break."""
        raise ValueError("first line\nsecond line")

    def quits() -> str:
        """Quit."""
        sys.exit(3)

    assert (await run_tool(tool(broken), {})).text == "error: broken: ValueError: first line second line"

    def slow() -> str:
        """Time out by itself."""
        raise TimeoutError("the other side is silent")

    assert (await run_tool(tool(quits), {})).text == "error: quits: it tried to end the program (3)"
    assert (await run_tool(tool(slow), {})).text == "error: slow: TimeoutError: the other side is silent"


async def test_a_tool_that_hangs_is_cut_at_its_timeout() -> None:
    never = threading.Event()

    def stuck() -> str:
        """Wait for ever."""
        never.wait()
        return ""

    async def waits() -> str:
        """Wait for ever, asynchronously."""
        await asyncio.Event().wait()
        return ""

    for hanging in (tool(stuck), tool(waits)):
        result = await run_tool(hanging, {}, timeout=0.01)
        assert not result.ok and "stopped after 0.01 s" in result.text
    never.set()


def test_a_hung_tool_does_not_keep_the_process_alive() -> None:
    code = (
        "import asyncio, threading\nfrom agentkit.tools import run_tool, tool\n"
        "def stuck() -> str:\n    'Wait.'\n    threading.Event().wait()\n    return ''\n"
        "print(asyncio.run(run_tool(tool(stuck), {}, timeout=0.01)).text)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0 and "stopped after" in done.stdout


async def test_long_output_keeps_both_ends_and_says_how_much_is_missing() -> None:
    def long() -> str:
        """Talk."""
        return "start" + "x" * 100_000 + "end"

    result = await run_tool(tool(long), {}, limit=1000)
    assert result.ok and result.text.startswith("start") and result.text.endswith("end")
    assert "99048 characters left out" in result.text and len(result.text) <= 1000


def test_tools_load_by_name_by_path_and_as_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("my_tools.py").write_text("def twice(x: int) -> int:\n    'Double.'\n    return 2 * x\n", encoding="utf-8")
    loaded = load_tools(["calculator", "search", "read_file", "my_tools:twice", weather], root=tmp_path)
    assert [item.name for item in loaded] == ["calculator", "search", "read_file", "twice", "weather"]


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (["abacus"], "unknown tool 'abacus': there are calculator"),
        (["calculator", "calculator"], "two tools"),
        (["search"], "needs a folder"),
        (["http_get"], "at least one allowed host"),
        (["no_such_module:f"], "No module"),
        (["math:nothing"], "has no 'nothing'"),
        (["math:pi"], "not a function"),
    ],
)
def test_tools_that_can_not_be_loaded_say_why_and_what_there_is(wanted: list[str], problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        load_tools(wanted)
