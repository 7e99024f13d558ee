"""What can't be answered, drawn or fitted is refused in one line with exit code 2, before any model is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentkit.agent import Agent
from agentkit.errors import UserError
from agentkit.store import Store
from agentkit.testing import ScriptedModel
from tests.cli.conftest import Done
from tests.test_files import PNG

MODEL = "local/./tiny.gguf"
"""A model whose file is never opened: what is wrong is said before."""


@pytest.fixture
def work(isolated: Path) -> Path:
    for name, schema in (("odd", {"type": "integre"}), ("held", {"not": {"type": "string"}})):
        (isolated / f"{name}.json").write_text(json.dumps(schema), encoding="utf-8")
    (isolated / "tiny.gguf").write_bytes(b"GGUF")
    (isolated / "bill.png").write_bytes(PNG)
    (isolated / "long.txt").write_text("x" * 400_001, encoding="utf-8")
    (isolated / "odd.zip").write_bytes(b"PK\x03\x04\x00\xff")
    return isolated


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--schema", "held.json"], "the answer's schema can't be made into a grammar"),
        (["--schema", "odd.json"], "odd.json: not a JSON schema: type: 'integre' is not valid"),
        (["--choices", "yes,no,yes"], "'yes' occurs twice"),
        (["--file", "bill.png"], "bill.png is an image, and local/./tiny.gguf reads text alone"),
        (["--file", "gone.txt"], "gone.txt: no such file"),
        (["--file", "long.txt"], "long.txt: too large: 400,001 bytes"),
        (["--file", "odd.zip"], "odd.zip: a file of a type that models don't read"),
        (["--decline-below", "1.5"], "decline_below must lie between 0 and 1"),
        (["--max-error", "0"], "max_error must lie between 0 and 1"),
    ],
)
def test_a_run_that_can_t_be_is_one_line(
    agentkit: Callable[..., Done], work: Path, options: list[str], line: str
) -> None:
    if "held.json" in options:
        pytest.importorskip("llguidance")
    done = agentkit("run", "?", "--model", MODEL, *options)
    assert done.code == 2 and done.out == ""
    [said] = done.err.strip().splitlines()
    assert said.startswith("error: ") and line in said


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"choices": ["a", "b", "a"]}, "tasks.jsonl:1: choices: 'a' occurs twice"),
        ({"schema": {"type": "integre"}}, "tasks.jsonl:1: schema: not a JSON schema"),
        ({"files": ["gone.png"]}, "tasks.jsonl:1: gone.png: no such file"),
        ({"files": ["../secret"]}, "tasks.jsonl:1: ../secret: lies outside of"),
    ],
)
def test_a_task_file_s_line_is_named(agentkit: Callable[..., Done], work: Path, row: dict[str, Any], line: str) -> None:
    Path("tasks.jsonl").write_text(json.dumps({"input": "?", "target": "a", **row}), encoding="utf-8")
    done = agentkit("eval", "tasks.jsonl", "--model", MODEL)
    assert done.code == 2 and [line in said for said in done.err.strip().splitlines()] == [True], done.err


def test_an_output_type_that_is_no_schema_is_one_line(store: Store) -> None:
    with pytest.raises(UserError, match="can't be made into a JSON schema") as caught:
        Agent(ScriptedModel(["x"]), store=store, output_type=object())
    assert "\n" not in str(caught.value)


def test_calibration_says_how_many_outcomes_it_needs(agentkit: Callable[..., Done], work: Path) -> None:
    Path("tasks.jsonl").write_text(json.dumps({"input": "?", "target": "a"}), encoding="utf-8")
    done = agentkit("calibrate", "tasks.jsonl", "--model", MODEL)
    assert done.code == 2
    *_progress, said = done.err.strip().splitlines()
    assert said.startswith("error: too few tasks to calibrate on: 1; 40 are needed")
