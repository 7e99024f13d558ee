"""The command as a whole: its overview, its errors, its completion."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentkit.cli.main import COMMANDS, load_command

HEAVY = ("litellm", "torch", "transformers", "langgraph", "faiss", "sqlalchemy", "langchain_core", "pydantic", "numpy")
ROOT = Path(__file__).resolve().parents[2]


def test_the_overview_lists_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['agentkit', '--help']\n"
        "from agentkit.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout
    for name, (_, summary) in COMMANDS.items():
        assert f" {name} " in done.stdout
        assert summary in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_in_the_overview_is_there_and_says_what_it_does(name: str) -> None:
    assert load_command(name).help


def test_python_dash_m_agentkit_is_the_command(run_cli: Any) -> None:
    assert run_cli("--version").stdout.strip()


def test_a_mistyped_command_gets_a_suggestion(agentkit: Callable[..., Any]) -> None:
    done = agentkit("modles")
    assert done.code == 2
    assert "models" in done.err


def test_the_shell_completes_commands_and_the_commands_inside_them() -> None:
    def complete(words: str, position: int) -> list[str]:
        wanted = {"_AGENTKIT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(position)}
        code = "import sys; sys.argv[0] = 'agentkit'; from agentkit.cli.main import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(ROOT), **wanted},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.split()

    assert complete("agentkit mod", 1) == ["models"]
    assert complete("agentkit runs pr", 2) == ["prune"]
    assert complete("agentkit run --model local/qwen2.5-coder-1", 3) == ["local/qwen2.5-coder-1.5b"]
    assert complete("agentkit run --tools calculator,re", 3) == ["calculator,read_file"]
    assert complete("agentkit run --effort rea", 3) == ["reasoning"]
    assert complete("agentkit run --gate st", 3) == ["strict"]
    assert complete("agentkit memory search x --policy mapp", 5) == ["mapped"]
    assert complete("agentkit resume zz", 2) == []


TASK = '{"id": "a", "input": "x", "target": "1"}\n'

BAD = {
    "unknown provider": (["run", "x", "--model", "nosuch/thing"], "nosuch/thing"),
    "unknown local model": (["run", "x", "--model", "local/nosuch"], "qwen2.5-coder-1.5b"),
    "missing key": (["run", "x", "--model", "openai/gpt-5-mini"], "OPENAI_API_KEY"),
    "unknown tool": (["run", "x", "--tools", "hammer"], "calculator"),
    "folder tool without a folder": (["run", "x", "--tools", "search"], "root"),
    "broken checker": (["run", "x", "--checker", '{"name": '], "JSON"),
    "no such file of tasks": (["eval", "nosuch.jsonl"], "nosuch.jsonl: no such file"),
    "malformed JSONL": (["eval", "broken.jsonl"], "broken.jsonl:2: not valid JSON"),
    "unknown checker": (["eval", "odd.jsonl"], "unknown checker 'nosuch'"),
    "empty task": (["run", ""], "TASK is empty"),
    "unknown run": (["resume", "nosuch"], "agentkit runs ls"),
    "unknown run to show": (["runs", "show", "nosuch"], "agentkit runs ls"),
    "bad age": (["runs", "prune", "--older-than", "soon"], "30d"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line_and_exit_code_2(agentkit: Callable[..., Any], case: str) -> None:
    Path("broken.jsonl").write_text(TASK + "{not json\n", encoding="utf-8")
    Path("odd.jsonl").write_text('{"id": "a", "input": "x", "checker": "nosuch"}\n', encoding="utf-8")
    args, mention = BAD[case]
    done = agentkit(*args)
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert mention in done.err
    assert done.out == ""


def test_a_wrong_setting_says_which_file(agentkit: Callable[..., Any]) -> None:
    Path("agentkit.toml").write_text("max_rounds = 0\n", encoding="utf-8")
    done = agentkit("runs", "ls")
    assert done.code == 2
    assert "agentkit.toml" in done.err
    assert "max_rounds" in done.err


def test_a_database_from_a_newer_version_is_left_alone(agentkit: Callable[..., Any]) -> None:
    import sqlite3

    assert agentkit("db", "upgrade").code == 0
    path = Path(os.environ["AGENTKIT_HOME"]) / "agentkit.db"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    done = agentkit("runs", "ls")
    assert done.code == 2
    assert "newer" in done.err
