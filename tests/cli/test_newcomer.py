"""What a newcomer mistypes, leaves out or tries first: each is one clear line, or simply works."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent
from agentkit.errors import AgentKitError, ModelNotFound, SettingsError, UserError
from agentkit.models import load_model
from agentkit.settings import load_settings
from agentkit.trusted_files import trust


@pytest.mark.parametrize(
    ("name", "near"), [("AGENTKIT_MODLE", "AGENTKIT_MODEL"), ("AGENTKIT_BUGET__CALLS", "AGENTKIT_BUDGET")]
)
def test_a_misspelt_variable_is_an_error_that_names_the_right_one(
    monkeypatch: pytest.MonkeyPatch, name: str, near: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=f"{name} is not a setting .did you mean '{near}'"):
        load_settings()


def test_variables_of_somebody_s_tests_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTKIT_TEST_POSTGRES", "postgresql://localhost/empty")
    load_settings()


def test_a_misspelt_setting_of_a_file_is_an_error_that_names_the_right_one() -> None:
    Path("agentkit.toml").write_text("max_round = 2\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"'max_round' from .*agentkit.toml: .*did you mean 'max_rounds'"):
        load_settings()
    Path("agentkit.toml").write_text("[budget]\ncals = 2\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="did you mean 'calls'"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("local/qwen2.5-coder-1.5", "qwen2.5-coder-1.5b"),
        ("opnai/gpt-5-mini", "openai"),
        ("locl/smollm2-135m", "local"),
        ("qwen2.5-coder-1.5b", "local/qwen2.5-coder-1.5b"),
    ],
)
def test_a_near_miss_of_a_model_is_told(name: str, near: str) -> None:
    with pytest.raises(ModelNotFound, match=f"did you mean '{near}'"):
        load_model(name)


@pytest.mark.parametrize(
    ("options", "why"), [({"temprature": 1}, "did you mean 'temperature'"), ({"temperature": "hot"}, "number")]
)
def test_an_option_that_a_model_does_not_have_is_one_line(
    options: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    for name in ("openai/gpt-test", "mistral/m"):
        monkeypatch.setenv("MISTRAL_API_KEY", "none")
        with pytest.raises(UserError, match=why):
            load_model(name, **options)


TOML = """
model = "openai/gpt-test"
tools = ["http_get"]
http_hosts = ["example.org"]
api_base = "http://127.0.0.1:9/v1"
[model_options]
temperature = 0.5
"""


def test_hosts_address_and_options_stand_in_the_settings_file_once_it_is_trusted() -> None:
    file = Path("agentkit.toml")
    file.write_text(TOML, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"api_base sends prompts and keys .* agentkit trust"):
        load_settings()
    trust(file)
    with Agent(model_options={"seed": 3}) as agent:
        model: Any = agent.explorer
        assert (model.api_base, model.temperature, model.seed) == ("http://127.0.0.1:9/v1", 0.5, 3)
        assert [tool.name for tool in agent.tools.loaded] == ["http_get"]
        assert agent.describe()["agent"]["http_hosts"] == ["example.org"]


def test_hosts_of_an_untrusted_file_are_refused() -> None:
    Path("agentkit.toml").write_text('http_hosts = ["example.org"]\n', encoding="utf-8")
    with pytest.raises(SettingsError, match="http_hosts lets"):
        load_settings()


def test_the_same_can_be_given_as_options_and_a_run_keeps_them(agentkit: Callable[..., Any]) -> None:
    done = agentkit(
        "run", "hi", "--model", "openai/gpt-test", "--tools", "http_get", "--http-host", "example.org,*.example.net",
        "--api-base", "http://127.0.0.1:9/v1", "--model-option", "temperature=0.5", "--model-option", "max_tokens=no",
    )  # fmt: skip
    assert done.code == 2 and "max_tokens" in done.err
    assert "write NAME=VALUE" in agentkit("run", "hi", "--model-option", "temperature").err
    assert "api_key can't be an option" in agentkit("run", "hi", "--model-option", "api_key=x").err


def test_memory_is_listed_and_shown_without_its_embedder(agentkit: Callable[..., Any], monkeypatch: Any) -> None:
    assert json.loads(agentkit("memory", "ls", "--json").out) == []
    Path("cases.jsonl").write_text(
        "".join(json.dumps({"state": f"s{n}", "plan": "p", "id": f"c{n}"}) + "\n" for n in range(2)), encoding="utf-8"
    )
    agentkit("memory", "import", "cases.jsonl", "--embedder", "hash")
    monkeypatch.setattr("agentkit.memory.opening.named_embedder", _none)
    assert len(json.loads(agentkit("memory", "ls", "--json").out)) == 2
    assert json.loads(agentkit("memory", "show", "c1", "--json").out)["state"] == "s1"
    assert agentkit("memory", "release", "c1").code == 0
    assert len(agentkit("memory", "export").out.splitlines()) == 2
    assert "there is no memory 'other'" in agentkit("memory", "show", "c1", "--memory", "other").err


def _none(name: str) -> Any:
    raise AgentKitError(f"{name} was loaded")


def test_a_search_of_fewer_cases_than_asked_for_gives_those_there_are(agentkit: Callable[..., Any]) -> None:
    agentkit("memory", "add", "a sum", "add", "--embedder", "hash")
    assert len(json.loads(agentkit("memory", "search", "sum", "-k", "9", "--json").out)) == 1


def test_runs_take_a_line_each_at_80_columns(agentkit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from agentkit.store import Store
    from agentkit.store.run_log import RunLog
    from agentkit.tasks import Task

    store = Store.open(load_settings().database_url)
    log = RunLog(store)
    for number in range(3):
        task = Task(id="t", input="a question that is far too long for a narrow terminal, however it is told")
        log.start(f"run{number:09d}", task, model="local/qwen2.5-coder-1.5b", options={})
        log.finish(f"run{number:09d}", "abstained", answer="an answer that is long as well, and goes on and on")
    store.close()
    monkeypatch.setenv("COLUMNS", "80")
    lines = agentkit("runs", "ls").out.splitlines()
    assert len(lines) == 7 and max(map(len, lines)) <= 80
    assert all(any(f"run{number:09d}" in line for line in lines) for number in range(3))
    assert os.environ["COLUMNS"] == "80"


def test_a_run_made_in_code_says_where_to_go_on_with_it(agentkit: Callable[..., Any]) -> None:
    from agentkit.testing import ScriptedModel

    with Agent(ScriptedModel(["one"]), effort="instant") as agent:
        run = agent.run("hi").run_id
    assert "was made in code" in agentkit("resume", run).err


@pytest.mark.parametrize("checker", ["numeric", '{"name": "numeric"}'])
def test_numeric_without_a_target_is_said_before_anything_runs(agentkit: Callable[..., Any], checker: str) -> None:
    Path("tasks.jsonl").write_text('{"id": "a", "input": "x"}\n', encoding="utf-8")
    done = agentkit("eval", "tasks.jsonl", "--checker", checker, "--model", "replay/none.jsonl")
    assert done.code == 2 and ("no target" in done.err or "none.jsonl" in done.err)
