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
EXAMPLES = {"evaluator_model", "home", "database", "playbook", "memory", "mcp", "api_base", "model_options"}
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


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which the README's commands work: its model is a recorded one."""
    Path("answers.jsonl").touch()
    monkeypatch.setenv("AGENTKIT_MODEL", "replay/answers.jsonl")


def found(done: Any) -> dict[str, Any]:
    return {row["what"]: row for row in json.loads(done.out)}


def test_doctor_reports_every_part_and_no_secret(
    agentkit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, ready: None
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    done = agentkit("doctor", "--json")
    assert (done.code, done.err) == (0, "")
    assert {"python", "database", "API keys", "sandbox", "model replay/answers.jsonl"} <= set(found(done))
    assert found(done)["API keys"]["detail"] == "OPENAI_API_KEY"
    assert "sk-secret" not in done.out + done.err


@pytest.mark.parametrize(
    ("name", "value", "what", "mend"),
    [
        ("AGENTKIT_DATABASE", "mysql://localhost/x", "database", ""),
        ("AGENTKIT_MODEL", "local/qwen2.5-coder-1.5b", "model local/qwen2.5-coder-1.5b", "agentkit models pull qwen"),
        ("AGENTKIT_MODEL", "openai/gpt-5-mini", "model openai/gpt-5-mini", "OPENAI_API_KEY in the environment"),
        ("AGENTKIT_EVALUATOR_MODEL", "nobody/x", "model nobody/x", "no such provider"),
        ("AGENTKIT_MAX_ROUNDS", "none", "settings", "max_rounds"),
    ],
)
def test_doctor_says_which_commands_would_fail_and_the_mend(
    agentkit: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    ready: None,
    tmp_path: Path,
    name: str,
    value: str,
    what: str,
    mend: str,
) -> None:
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv(name, value)
    done = agentkit("doctor", "--json")
    assert done.code == 1 and not found(done)[what]["ok"] and mend in found(done)[what]["detail"]
    assert done.err.startswith("agentkit run, chat, eval, evolve") and f"would fail: {what}: " in done.err


def test_doctor_says_that_an_extra_that_the_model_needs_is_missing(
    agentkit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = tmp_path / "some.gguf"
    model.touch()
    monkeypatch.setenv("AGENTKIT_MODEL", f"local/{model}")
    monkeypatch.setattr("agentkit.cli.doctor.EXTRAS", {"local": ["no_such_module"], "mcp": ["nor_this"]})
    done = agentkit("doctor", "--json")
    assert done.code == 1 and not found(done)["extra mcp"]["ok"]
    assert done.err == (
        "agentkit run, chat, eval, evolve would fail: extra local: "
        "lacks no_such_module: pip install 'agentkit-evolve[local]'\n"
    )


@pytest.mark.parametrize(("tools", "code"), [('["calculator"]', 0), ('["python"]', 1)])
def test_doctor_fails_without_a_sandbox_only_where_the_python_tool_is_set(
    agentkit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, ready: None, tools: str, code: int
) -> None:
    monkeypatch.setattr("agentkit.tools.sandbox.candidates", lambda: iter(()))
    monkeypatch.setenv("AGENTKIT_TOOLS", tools)
    done = agentkit("doctor", "--json")
    assert done.code == code and not found(done)["sandbox"]["ok"]


def test_db_upgrade_brings_an_empty_database_to_the_newest_version(agentkit: Callable[..., Any]) -> None:
    found = json.loads(agentkit("db", "upgrade", "--json").out)
    assert found["version"] == found["newest"]
    assert json.loads(agentkit("db", "status", "--json").out) == found


def test_the_reference_in_docs_is_what_the_commands_say() -> None:
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == reference(), "run  python -m agentkit.cli.reference docs/cli.md"
