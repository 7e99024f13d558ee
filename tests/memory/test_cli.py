"""`agentkit memory`: the whole way round, and one clear line for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentkit.cli.memory import app
from agentkit.errors import AgentKitError

HASH = ("--embedder", "hash-64")


def call(*args: str) -> str:
    done = CliRunner().invoke(app, list(args), catch_exceptions=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_cases_are_added_found_shown_exported_and_imported_again() -> None:
    case = json.loads(call("add", "sum a list", "use sum()", "--reward", "1", *HASH, "--json"))
    call("add", "sort a list", "use sorted()", "--reward", "0", *HASH)
    found = json.loads(call("search", "sum the list", "-k", "1", "--policy", "dense", *HASH, "--json"))
    assert found[0]["id"] == case["id"]
    assert json.loads(call("show", case["id"], *HASH, "--json"))["plan"] == "use sum()"
    Path("out.jsonl").write_text(call("export", *HASH), encoding="utf-8")
    assert json.loads(call("import", "out.jsonl", "--memory", "copy", "--trust", *HASH, "--json")) == {"imported": 2}
    assert call("export", "--memory", "copy", *HASH) == Path("out.jsonl").read_text(encoding="utf-8")
    assert json.loads(call("verify", *HASH, "--json"))["problems"] == []
    assert json.loads(call("stats", *HASH, "--json"))["failures"] == 1
    assert json.loads(call("rebuild", "--embedder", "hash-32", "--json"))["cases"] == 2
    assert json.loads(call("forget", "--source", "person", "--embedder", "hash-32", "--json"))["cases"] == 2
    assert json.loads(call("ls", "--embedder", "hash-32", "--json")) == []


def test_cases_are_merged_taken_apart_and_forgotten_by_value() -> None:
    for reward in ("1", "1", "0"):
        call("add", "sum a list", "use sum()", "--reward", reward, *HASH)
    done = json.loads(call("consolidate", *HASH, "--json"))
    assert (len(done["prototypes"]), done["retired"]) == (1, 1)
    assert json.loads(call("consolidate", "--undo", done["prototypes"][0], *HASH, "--json")) == {"restored": 2}
    assert json.loads(call("forget", "--below", "0.5", *HASH, "--json"))["cases"] == 1
    assert json.loads(call("forget", "--keep", "1", *HASH, "--json"))["cases"] == 1
    with pytest.raises(AgentKitError, match="name what to forget"):
        call("forget", *HASH)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ['{"state": "a", "plan": "b", "id": "x"}', '{"state": "c", "plan": "d", "id": "x"}'],
            r"in.jsonl:2: the id 'x'",
        ),
        (['{"state": "a"}'], r"in.jsonl:1: 'plan' is missing"),
        (['{"state": "a", "plan": "b", "rewrad": 1}'], r"in.jsonl:1: 'rewrad' is not a field"),
        (['{"state": "a", "plan": "b"}', "{"], r"in.jsonl:2: not valid JSON"),
        (['{"state": "a", "plan": "b", "reward": "high"}'], r"in.jsonl:1: 'reward' must be a number"),
        ([], r"in.jsonl: holds no cases"),
    ],
)
def test_a_bad_import_names_file_and_line_and_stores_nothing(lines: list[str], message: str) -> None:
    Path("in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(AgentKitError, match=message):
        call("import", "in.jsonl", *HASH)
    assert json.loads(call("ls", *HASH, "--json")) == []


def test_bad_questions_get_one_line() -> None:
    with pytest.raises(AgentKitError, match="has no cases"):
        call("search", "x", *HASH)
    call("add", "a", "b", *HASH)
    assert len(json.loads(call("search", "x", "-k", "9", *HASH, "--json"))) == 1
    with pytest.raises(AgentKitError, match="holds vectors of 64 dimensions"):
        call("ls", "--embedder", "hash-32")


def test_a_corrupted_index_file_is_named(isolated: Path) -> None:
    call("add", "a", "b", *HASH)
    call("rebuild", *HASH)
    path = next(isolated.parent.rglob("*.vectors"))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(AgentKitError, match="is corrupted: it is not used; run"):
        call("verify", *HASH)
    assert json.loads(call("search", "a", "-k", "1", *HASH, "--json"))[0]["state"] == "a"


def test_the_command_ends_with_code_2_and_one_line(run_cli: object) -> None:
    done = run_cli("memory", "search", "x", *HASH, code=2)  # type: ignore[operator]
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
