"""`init`, `doctor`, `db`, and the reference that is written from the commands."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentkit.cli.init import TEMPLATE
from agentkit.cli.reference import reference
from agentkit.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = {"evaluator_model", "home", "database", "playbook", "memory", "mcp"}
"""Settings whose line in the template is an example, since their default is nothing or depends on the system."""


def test_init_writes_a_file_that_changes_nothing(agentkit: Callable[..., Any]) -> None:
    before = load_settings()
    assert agentkit("init").code == 0
    assert load_settings() == before


def test_init_leaves_an_existing_file_alone(agentkit: Callable[..., Any]) -> None:
    Path("agentkit.toml").write_text("max_rounds = 2\n", encoding="utf-8")
    done = agentkit("init")
    assert done.code == 2
    assert Path("agentkit.toml").read_text(encoding="utf-8") == "max_rounds = 2\n"


def test_the_lines_of_the_template_are_every_setting_with_its_default() -> None:
    lines = [line.removeprefix("#") for line in TEMPLATE.splitlines() if re.match(r"#(\[|[a-z_]+ =)", line)]
    written = tomllib.loads("\n".join(lines))
    assert set(written) == set(Settings.model_fields)
    defaults = Settings().model_dump(mode="json")
    assert {name: written[name] for name in set(written) - EXAMPLES} == {
        name: defaults[name] for name in set(written) - EXAMPLES
    }


def test_doctor_reports_every_part_and_no_secret(agentkit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    done = agentkit("doctor", "--json")
    found = {row["what"]: row for row in json.loads(done.out)}
    assert {"python", "database", "API keys", "sandbox (bubblewrap)"} <= set(found)
    assert found["API keys"]["detail"] == "OPENAI_API_KEY"
    assert "sk-secret" not in done.out + done.err


def test_doctor_fails_where_the_database_can_not_be_opened(
    agentkit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTKIT_DATABASE", "mysql://localhost/x")
    done = agentkit("doctor", "--json")
    assert done.code == 1
    assert not next(row for row in json.loads(done.out) if row["what"] == "database")["ok"]


def test_db_upgrade_brings_an_empty_database_to_the_newest_version(agentkit: Callable[..., Any]) -> None:
    found = json.loads(agentkit("db", "upgrade", "--json").out)
    assert found["version"] == found["newest"]
    assert json.loads(agentkit("db", "status", "--json").out) == found


def test_the_reference_in_docs_is_what_the_commands_say() -> None:
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == reference(), "run  python -m agentkit.cli.reference docs/cli.md"
