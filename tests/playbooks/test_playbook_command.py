"""`agentkit playbook`: every command, for people and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agentkit.cli.playbook import app
from agentkit.errors import DataError, UserError

runner = CliRunner()


def run(*args: str) -> str:
    done = runner.invoke(app, list(args), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def read(*args: str) -> Any:
    return json.loads(run(*args, "--json"))


def test_a_playbook_is_made_edited_compared_blamed_and_rolled_back() -> None:
    run("add", "Check the sign.", "--scope", "ratios")
    run("add", "Name the unit.", "--section", "formats")
    shown = read("show")
    assert [b["content"] for b in shown["bullets"]] == ["Check the sign.", "Name the unit."]
    first = shown["bullets"][0]["id"]
    run("retire", first[:4], "--reason", "no use")
    assert [row["kind"] for row in read("diff", "2")] == ["retired"]
    assert [row["kind"] for row in read("diff", "1", "2")] == ["added"]
    assert [row["operation"] for row in read("blame", first)] == ["add", "retire"]
    assert [row["version"] for row in read("log")] == [3, 2, 1]
    assert len(read("show", "--version", "1")["bullets"]) == 1
    run("rollback", "2")
    assert len(read("show")["bullets"]) == 2
    assert read("ls") == [{"name": "default", "version": 4, "bullets": 2, "retired": 0, "tokens": 12}]
    assert read("verify") == {"versions": 4}
    stats = read("stats")
    assert stats["changes"]["applied"] == 4 and stats["bullets"][0]["helpful"] == 0


def test_tables_are_for_people() -> None:
    run("add", "Check [bold]the sign[/bold].")
    for command in (["show"], ["ls"], ["log"], ["stats"], ["diff", "0"]):
        assert run(*command).strip()
    assert "[bold]" in run("diff", "0")


@pytest.mark.parametrize("form", ["markdown", "json", "ace"])
def test_export_and_import_go_round(tmp_path: Path, form: str) -> None:
    run("add", "Check the sign.", "--section", "formats")
    path = tmp_path / "book"
    run("export", "-f", form, "-o", str(path))
    run("import", str(path), "-p", "copy")
    contents = [(b["section"], b["content"]) for b in read("show", "-p", "copy")["bullets"]]
    assert contents == [("formats", "Check the sign.")]


def test_importing_again_adds_only_what_is_missing_and_leaves_retired_bullets_alone(tmp_path: Path) -> None:
    path = tmp_path / "ace.txt"
    path.write_text("## RULES\n[r-00001] helpful=3 harmful=0 :: Check the sign.\n[r-00002] Name the unit.\n")
    assert json.loads(run("import", str(path), "--json")) == {"read": 2, "added": 2, "version": 1}
    assert read("import", str(path)) == {"read": 2, "added": 0, "version": 1}
    first = read("show")["bullets"][0]
    assert first["helpful"] == 3
    run("retire", first["id"])
    assert read("import", str(path))["added"] == 0
    run("rollback", "0")
    assert read("import", str(path))["added"] == 2


def test_all_that_came_from_a_source_is_retired_at_once(tmp_path: Path) -> None:
    run("add", "Check the sign.")
    path = tmp_path / "bad.md"
    path.write_text("- One of theirs.\n- Two of theirs.\n")
    run("import", str(path))
    assert read("retire", "--source", "bad.md")["version"] == 3
    assert [row["content"] for row in read("show")["bullets"]] == ["Check the sign."]
    for args in (["--source", "bad.md"], [], ["abc", "--source", "bad.md"]):
        with pytest.raises(UserError):
            runner.invoke(app, ["retire", *args], catch_exceptions=False)


def test_a_file_with_a_secret_is_refused_and_the_line_named(tmp_path: Path) -> None:
    path = tmp_path / "book.md"
    path.write_text("## rules\n- Check the sign.\n- The password is hunter2!\n")
    with pytest.raises(DataError, match="secrets are not stored") as raised:
        runner.invoke(app, ["import", str(path)], catch_exceptions=False)
    assert ":3" in str(raised.value) and "hunter2" not in str(raised.value)


def test_a_skill_is_written() -> None:
    run("add", "Check the sign.")
    assert run("export", "-f", "skill").startswith("---\nname: default\n")


def test_bad_input_gets_one_line(tmp_path: Path) -> None:
    run("add", "Check the sign.")
    for args, message in (
        (["show", "-p", "nothing"], "known: default"),
        (["show", "-v", "7"], "versions 0 to 1"),
        (["export", "-f", "pdf"], "choose from markdown"),
        (["retire", "zzzz"], "is not a bullet"),
        (["add", "The password is hunter2!"], "secrets are not stored"),
        (["rollback", "9"], "versions 0 to 1"),
        (["log", "--status", "lost"], "choose from proposed"),
        (["decide", "nochange", "--accept"], "no change"),
        (["import", str(tmp_path / "x")], "no such file"),
    ):
        with pytest.raises(UserError, match=message):
            runner.invoke(app, args, catch_exceptions=False)


def test_what_waits_can_be_accepted_or_rejected() -> None:
    from agentkit.cli.playbook import open_playbook
    from agentkit.ledger import Verdict
    from agentkit.playbooks import Add, Delta

    store = open_playbook(None, must_exist=False)
    held = Verdict(decision="quarantine", reason="untrusted")
    for name in ("one", "two"):
        store.hold(Delta(key=name, base=0, operations=(Add(content=name),)), held)
    store.store.close()
    waiting = read("log", "--status", "quarantined")
    assert len(waiting) == 2 and {row["reason"] for row in waiting} == {"untrusted"}
    assert "add two" in run("log") and "untrusted" in run("log")
    assert read("decide", waiting[0]["id"], "--accept")["status"] == "applied"
    assert read("decide", waiting[1]["id"], "--reject")["status"] == "rejected"
    assert [b["content"] for b in read("show")["bullets"]] == ["two"]


def test_the_command_itself_reports_an_error_as_one_line(run_cli: Any) -> None:
    done = run_cli("playbook", "show", "-p", "nothing", code=2)
    assert done.stderr.startswith("error: there is no playbook 'nothing'") and done.stderr.count("\n") == 1


def test_the_only_playbook_need_not_be_named() -> None:
    run("add", "Check the sign.", "--playbook", "main")
    assert read("show")["name"] == "main"
    run("add", "Name the unit.", "--playbook", "other")
    with pytest.raises(UserError, match="known: main, other"):
        run("show")
