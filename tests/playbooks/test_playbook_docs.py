"""The documentation's code runs, in order, as one program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agentkit.cli.playbook import app
from agentkit.playbooks.formats import WRITERS

TEXT = (Path(__file__).parents[2] / "docs" / "playbooks.md").read_text(encoding="utf-8")


def test_the_code_of_the_documentation_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"(?<!<!-- not run -->\n)```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, object] = {}
    exec("\n".join(blocks), names)  # noqa: S102
    assert capsys.readouterr().out == "['add', 'retire']\n3 []\n"
    names["store"].close()  # type: ignore[attr-defined]


def test_the_documentation_names_every_operation_and_format_and_no_command_that_is_not_there() -> None:
    for name in ("Add", "Update", "Merge", "Split", "Retire", "Revive", "Vote"):
        assert f"`{name}`" in TEXT
    assert {"markdown", *re.findall(r"export -f (\w+)", TEXT)} == set(WRITERS)
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert set(re.findall(r"agentkit playbook (\w+)", TEXT)) <= known
