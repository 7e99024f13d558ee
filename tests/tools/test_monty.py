"""The interpreter that isolates code where there is no bubblewrap, and what it says about what it can't run."""

from __future__ import annotations

import pytest

from agentkit.checkers import get_checker
from agentkit.errors import SandboxUnavailable
from agentkit.tasks import Task
from agentkit.tools import Sandbox, SandboxLimits, load_tools, run_tool
from agentkit.tools.monty import MODULES, unsupported

pytest.importorskip("pydantic_monty", reason="the sandbox extra is not installed")


@pytest.fixture
def box() -> Sandbox:
    sandbox = Sandbox(limits=SandboxLimits(seconds=5), backend="monty")
    try:
        sandbox.check()
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    return sandbox


def test_it_runs_code_and_returns_what_was_printed(box: Sandbox) -> None:
    result = box.run("import sys\nprint(2 ** 10)\nprint('oh', file=sys.stderr)\n[1] * 10")
    assert (result.stdout, result.stderr, result.ok) == ("1024\n", "oh\n", True)


@pytest.mark.parametrize("module", MODULES.split(", "))
def test_the_modules_it_names_are_there(box: Sandbox, module: str) -> None:
    assert box.run(f"import {module}").ok


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/passwd').read()",
        "import os; os.listdir('/')",
        "import pathlib; print(pathlib.Path('/etc/passwd').read_text())",
        "import os; print(os.environ['PATH'])",
        "open('made', 'w')",
        "import socket",
        "import subprocess",
    ],
)
def test_there_are_no_files_no_environment_no_network_and_no_processes(box: Sandbox, code: str) -> None:
    assert not box.run(code).ok


@pytest.mark.parametrize(
    "code", ["while True: pass", "while True:\n    try:\n        while True: pass\n    except BaseException: pass"]
)
def test_code_that_does_not_end_is_stopped_at_the_limit(code: str, box: Sandbox) -> None:
    result = Sandbox(limits=SandboxLimits(seconds=1), backend="monty").run(code)
    assert result.timed_out and not result.ok


def test_memory_and_output_are_bounded(box: Sandbox) -> None:
    assert "MemoryError" in box.run("x = [0] * 10 ** 9").stderr
    flood = box.run("for n in range(10_000): print('x' * 100)")
    assert flood.truncated and len(flood.stdout) == box.limits.output


async def test_the_python_tool_tells_the_model_what_the_subset_is(box: Sandbox) -> None:
    (python,) = load_tools(["python"], sandbox=box)
    assert "subset of Python: no `yield`" in python.description and "statistics" not in python.description
    assert (await run_tool(python, {"code": "print(sum(range(5)))"})).text == "10"
    failed = await run_tool(python, {"code": "import statistics\nprint(statistics.mean([1]))"})
    assert not failed.ok and "this sandbox has no statistics" in failed.text
    wrong = await run_tool(python, {"code": "x = 0\n1 / x"})
    assert "ZeroDivisionError" in wrong.text and "line 2" in wrong.text


@pytest.mark.parametrize(
    ("code", "text", "score"),
    [
        ("def f(x): return x * x", "all tests passed", 1),
        ("def f(x): return x + 2", "assert f(3) == 9: AssertionError", 0),
        ("def f(x) return x", "SyntaxError", 0),
        ("def f(x): raise ValueError('odd')", "assert f(2) == 4: ValueError: odd", 0),
        ("def g(x): return x", "NameError: name 'f' is not defined", 0),
        ("while True: pass", "longer than 1 s", 0),
        ("def f(x):\n    yield x", "not tested: the sandbox of this machine has no yield", None),
        (
            "import statistics\ndef f(x): return x * x",
            "not tested: the sandbox of this machine has no statistics",
            None,
        ),
    ],
)
async def test_unit_tests_run_and_what_the_subset_lacks_is_not_called_wrong(
    box: Sandbox, code: str, text: str, score: float | None
) -> None:
    checker = {"name": "tests", "code": "assert f(2) == 4\nassert f(3) == 9", "seconds": 1}
    sandbox = Sandbox(limits=SandboxLimits(seconds=1), backend="monty")
    feedback = await get_checker(checker, sandbox=sandbox).check(code, Task(id="t", input="a question"))
    assert text in feedback.text and feedback.score == score


@pytest.mark.parametrize(
    ("error", "lacking"),
    [
        ("NameError: name 'globals' is not defined", "globals()"),
        ("NameError: name 'total' is not defined", ""),
        ("ModuleNotFoundError: No module named 'heapq'", "heapq"),
        ("ModuleNotFoundError: No module named 'numpy'", ""),
        ("AttributeError: module 'sys' has no attribute 'exit'", "sys.exit"),
        ("AttributeError: module 'sys' has no attribute 'leave'", ""),
        ("AttributeError: module 'antigravity' has no attribute 'x'", ""),
        ("AttributeError: 'str' object has no attribute 'casefold'", "str.casefold"),
        ("AttributeError: 'str' object has no attribute 'shout'", ""),
        ("ZeroDivisionError: division by zero", ""),
    ],
)
def test_what_the_interpreter_lacks_is_told_apart_from_what_the_program_did_wrong(error: str, lacking: str) -> None:
    assert unsupported(error) == lacking
