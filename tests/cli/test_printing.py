"""What reaches a terminal, and what a blank argument means."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentkit.text import printable
from tests.cli.scripted import ACCEPT

ATTACKS = {
    "clipboard": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "title": "\x1b]0;root@host\x07",
    "clear": "\x1b[2J\x1b[H",
    "clear in one byte": "\x9b2J",
    "overwritten line": "paid: 1000\rpaid: 1",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_no_control_character_of_a_run_reaches_the_terminal(
    attack: str, agentkit: Callable[..., Any], recording: Callable[..., str]
) -> None:
    task = f"a task {attack}"
    answer = {"reasoning": f"a reason {attack}", "answer": f"an answer {attack}"}
    tool = {"tool": "calculator", "arguments": {"expression": f"1 + 1 {attack}"}}
    model = recording(task, [tool, answer, {**ACCEPT, "reason": f"right {attack}"}])
    run = agentkit("run", task, "--model", model)
    assert run.code == 0
    run_id = json.loads(agentkit("runs", "ls", "--json").out)[0]["run_id"]
    for done in (run, agentkit("runs", "show", run_id), agentkit("runs", "ls"), agentkit("runs", "ls", "--json")):
        shown = done.out + done.err
        assert printable(shown) == shown
    assert "an answer" in run.out


def test_json_keeps_a_control_character_in_escaped_form(
    agentkit: Callable[..., Any], recording: Callable[..., str]
) -> None:
    model = recording("a task", [{"reasoning": "so", "answer": "a\x1b[2J\x9bb"}, ACCEPT])
    done = agentkit("run", "a task", "--model", model, "--json")
    assert "\x1b" not in done.out
    assert "\x9b" not in done.out
    assert json.loads(done.out)["answer"] == "a\x1b[2J\x9bb"


BLANK = [
    ("playbook", "retire", ""),
    ("playbook", "retire", "--source", ""),
    ("playbook", "retire", "--source", "  "),
    ("memory", "forget", "--source", ""),
    ("runs", "show", ""),
    ("run", ""),
]


@pytest.mark.parametrize("arguments", BLANK, ids=" ".join)
def test_a_blank_argument_is_refused_and_never_means_all(
    arguments: tuple[str, ...], agentkit: Callable[..., Any], tmp_path: Path
) -> None:
    agentkit("playbook", "add", "Check the units.")
    done = agentkit(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "is empty" in done.err
    kept = json.loads(agentkit("playbook", "show", "--json").out)
    assert "Check the units." in json.dumps(kept)


@pytest.mark.parametrize("area", ["playbook", "memory"])
def test_an_export_replaces_nothing_but_a_regular_file(area: str, agentkit: Callable[..., Any], tmp_path: Path) -> None:
    agentkit("playbook", "add", "Check the units.")
    agentkit("memory", "add", "a question", "a plan", "--embedder", "hash-64")
    (tmp_path / "folder").mkdir()
    target = ["--output", str(tmp_path / "folder")] if area == "playbook" else [str(tmp_path / "folder")]
    done = agentkit(area, "export", *target)
    assert done.code == 2
    assert "not a regular file" in done.err
