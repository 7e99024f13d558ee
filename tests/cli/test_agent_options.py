"""What a command may say of the agent it builds is written once, and means the same in every command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from agentkit.cli.agent_options import AgentOptions, with_agent_options
from agentkit.cli.main import COMMANDS, load_command
from agentkit.errors import UserError

BUILDS_AN_AGENT = ("run", "chat", "eval", "calibrate", "evolve", "serve")


def commands() -> Iterator[tuple[str, Any]]:
    def below(path: str, command: Any) -> Iterator[tuple[str, Any]]:
        yield path, command
        for name, child in getattr(command, "commands", {}).items():
            yield from below(f"{path} {name}", child)

    for name in COMMANDS:
        yield from below(name, load_command(name))


def test_a_short_option_means_the_same_in_every_command_of_an_agent() -> None:
    """`agentkit memory` names no model: there, as always, `-m` is the memory."""
    meanings: dict[str, set[str]] = {}
    for path, command in commands():
        if path.startswith("memory "):
            continue
        for param in command.params:
            short = [name for name in param.opts if name.startswith("-") and not name.startswith("--")]
            long = [name for name in param.opts if name.startswith("--")]
            for name in short:
                meanings.setdefault(name, set()).update(long)
    assert {name: sorted(long) for name, long in meanings.items() if len(long) > 1} == {}
    assert meanings["-m"] == {"--model"}


def test_the_model_can_be_named_by_m_wherever_it_can_be_named() -> None:
    named = {path: param.opts for path, command in commands() for param in command.params if "--model" in param.opts}
    assert len(named) >= 8
    assert {path for path, opts in named.items() if "-m" not in opts} == set()


@pytest.mark.parametrize("name", BUILDS_AN_AGENT)
def test_a_command_offers_an_agent_s_options_with_their_defaults(name: str) -> None:
    offered = {param.name: param.default for param in load_command(name).params}
    for field in fields(AgentOptions):
        if field.name in offered:
            assert offered[field.name] == field.default, field.name
    assert {"model", "tools", "http_host", "api_base", "model_option", "effort", "instructions"} <= set(offered)


def test_a_command_gets_what_was_given_and_offers_nothing_that_was_left_out() -> None:
    seen: list[tuple[AgentOptions, str]] = []
    app = typer.Typer()

    @app.command()
    @with_agent_options(without=("gate",))
    def probe(word: str, *, wanted: AgentOptions) -> None:
        seen.append((wanted, word))

    given = ["hello", "-m", "local/x", "--http-host", "a.org,b.org", "--no-evaluator"]
    assert CliRunner().invoke(app, given).exit_code == 0
    assert seen == [(AgentOptions(model="local/x", http_host=["a.org,b.org"], evaluator=False), "hello")]
    assert CliRunner().invoke(app, ["hello", "--gate", "off"]).exit_code == 2


def test_options_of_hosts_and_models_reach_the_agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("AGENTKIT_HOME", str(tmp_path))
    wanted = AgentOptions(
        model="openai/any",
        tools="calculator,http_get",
        http_host=["a.org,b.org", "c.org"],
        api_base="http://127.0.0.1:9/v1",
        model_option=["temperature=0.5"],
    )
    with wanted.build() as agent:
        model: Any = agent.explorer
        assert (model.api_base, model.temperature) == ("http://127.0.0.1:9/v1", 0.5)
        assert agent.spec["http_hosts"] == ["a.org", "b.org", "c.org"]
        assert [tool.name for tool in agent.tools.loaded] == ["calculator", "http_get"]


def test_a_model_s_option_without_a_value_is_refused() -> None:
    with pytest.raises(UserError, match="write NAME=VALUE"):
        AgentOptions(model_option=["temperature"]).build()


@pytest.mark.parametrize("group", ["playbook", "memory"])
def test_what_a_group_is_about_is_named_by_the_option_of_its_name(group: str) -> None:
    names = {path: [name for param in command.params for name in param.opts] for path, command in commands()}
    without = {path for path, opts in names.items() if path.startswith(f"{group} ") and f"--{group}" not in opts}
    assert without == {"playbook": {"playbook ls"}, "memory": set()}[group]
