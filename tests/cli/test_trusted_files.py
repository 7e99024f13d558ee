"""Settings files of others, and what a file may do before the user has said that they have read it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentkit import trusted_files
from agentkit.errors import SettingsError
from agentkit.settings import load_settings

SERVER = '[mcp.x]\ncommand = ["touch", "started"]\n'


def write(text: str, mode: int = 0o600, path: str = "agentkit.toml") -> Path:
    file = Path(path)
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return file


def refused(match: str) -> None:
    with pytest.raises(SettingsError, match=match) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


def test_a_file_that_all_can_write_is_refused_by_name() -> None:
    write("max_rounds = 2\n", 0o666)
    refused("agentkit.toml is not used: other users can write to it")


def test_a_file_in_a_folder_that_all_can_write_is_refused(isolated: Path) -> None:
    write("max_rounds = 2\n")
    isolated.chmod(0o777)
    refused("other users can write to the folder")


def test_a_folder_in_which_others_can_add_but_not_replace_is_as_good_as_ones_own(isolated: Path) -> None:
    write("max_rounds = 2\n")
    isolated.chmod(0o1777)
    assert load_settings().max_rounds == 2


def test_a_file_above_the_folder_is_looked_at_like_one_in_it(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("max_rounds = 2\n", 0o666)
    (isolated / "below").mkdir()
    monkeypatch.chdir(isolated / "below")
    refused("other users can write to it")


def test_a_file_of_another_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    file, me = write("max_rounds = 2\n"), os.getuid()
    if me == 0:
        os.chown(file, 12345, -1)
    else:
        monkeypatch.setattr(os, "getuid", lambda: me + 1)
    refused("belongs to another user")


def test_a_link_to_another_users_file_is_refused(tmp_path: Path) -> None:
    target = write("max_rounds = 2\n", 0o666, str(tmp_path / "theirs.toml"))
    Path("agentkit.toml").symlink_to(target)
    refused("other users can write to it")


@pytest.mark.parametrize("text", [SERVER, 'tools = ["os:system"]\n', 'tools = ["calculator", "a.b:c"]\n'])
def test_a_file_that_would_run_code_must_be_trusted_first_and_again_once_it_is_edited(text: str) -> None:
    file = write(text)
    refused(r"runs code; .*agentkit trust")
    trusted_files.trust(file)
    load_settings()
    write("max_rounds = 2\n" + text)
    refused("runs code")
    trusted_files.trust(file)
    assert load_settings().max_rounds == 2
    assert trusted_files.revoke(file)
    refused("runs code")


def test_trust_in_what_a_file_says_holds_whoever_owns_it() -> None:
    file = write(SERVER, 0o666)
    trusted_files.trust(file)
    assert load_settings().mcp["x"]["command"] == ["touch", "started"]


def test_a_record_of_trust_that_others_can_write_counts_for_nothing() -> None:
    trusted_files.trust(write(SERVER))
    (trusted_files.config_dir() / "trusted.json").chmod(0o666)
    refused("runs code")


def test_the_users_own_file_may_start_servers_and_the_folders_file_is_stronger() -> None:
    trusted_files.config_dir().mkdir(parents=True, exist_ok=True)
    write(SERVER + "args = []\n", path=str(trusted_files.config_dir() / "agentkit.toml"))
    write("max_rounds = 7\n")
    settings = load_settings()
    assert settings.mcp["x"]["command"] and settings.max_rounds == 7


def test_servers_that_are_only_reached_and_built_in_tools_need_no_trust() -> None:
    write('tools = ["calculator"]\n[mcp.x]\nurl = "http://127.0.0.1:1/mcp"\n')
    assert load_settings().mcp["x"]["url"]


def test_a_wrong_value_is_reported_with_the_file_that_says_it() -> None:
    trusted_files.config_dir().mkdir(parents=True, exist_ok=True)
    own = write("max_steps = 0\n", path=str(trusted_files.config_dir() / "agentkit.toml"))
    write("max_rounds = 2\n")
    with pytest.raises(SettingsError, match=str(own)):
        load_settings()


def test_no_command_of_another_users_file_is_started_and_the_line_says_what_to_do(
    agentkit: Callable[..., Any],
) -> None:
    write(SERVER)
    done = agentkit("run", "hello")
    assert done.code == 2 and "agentkit trust" in done.err and len(done.err.splitlines()) == 1
    assert not Path("started").exists()
    assert agentkit("trust").code == 0
    load_settings()
    assert agentkit("trust", "--revoke").code == 0
    assert agentkit("trust", "--revoke").code == 2


def test_trusting_a_file_that_is_not_there_is_an_error(agentkit: Callable[..., Any]) -> None:
    assert agentkit("trust").code == 2
    assert agentkit("trust", "nothing.toml").code == 2
