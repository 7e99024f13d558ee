"""Whatever is given to a command: one line, the exit code of docs/cli.md, an end, and nothing lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agentkit.curation.claims import Entity
from agentkit.curation.kb.knowledge_base import Author, KnowledgeBase, Write
from agentkit.settings import load_settings
from agentkit.store import Store
from tests.cli.conftest import Done
from tests.conftest import ROOT

FUZZ = os.environ.get("AGENTKIT_FUZZ", "150")


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the fuzz needs Linux")
def test_no_odd_command_line_breaks_a_command() -> None:
    """A bounded part; `python -m tests.cli.fuzz --inputs 2000 --seed N` is the whole."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.fuzz", "--inputs", FUZZ], capture_output=True, text=True, encoding="utf-8",
        errors="replace", cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"seed": 0, "tried": int(FUZZ), "broken": 0}


def test_an_output_that_nobody_reads_ends_a_command_quietly_and_one_that_is_full_with_a_line() -> None:
    command = [sys.executable, "-m", "agentkit", "models", "ls", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=environment)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=environment)
    assert (done.returncode, done.stderr) == (2, b"error: No space left on device\n")


def test_bytes_that_are_no_text_are_cleaned_in_a_text_and_kept_in_a_path(
    agentkit: Callable[..., Done], isolated: Path
) -> None:
    assert agentkit("memory", "ls", "--embedder", "hash", "--namespace", "a\udcff").code == 0
    (isolated / "a\udcff").write_text("- Look at the shelf.\n", encoding="utf-8")
    assert json.loads(agentkit("playbook", "import", "a\udcff", "--json").out)["added"] == 1


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AGENTKIT_BUDGET", "{", "AGENTKIT_BUDGET is not valid JSON"),
        ("AGENTKIT_MCP", "nosuch", "AGENTKIT_MCP is not valid JSON"),
        ("AGENTKIT_TOOLS", "[" * 100_000, "AGENTKIT_TOOLS is not valid JSON (nested too deeply)"),
        ("AGENTKIT_TOOLS", " ", "AGENTKIT_TOOLS is empty"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(
    name: str, value: str, said: str, agentkit: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    done = agentkit("runs", "ls")
    assert done.code == 2 and said in done.err and done.err.count("\n") == 1


def test_tools_in_the_environment_may_be_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTKIT_TOOLS", "calculator, read_file")
    assert load_settings().tools == ["calculator", "read_file"]


@pytest.mark.parametrize("text", ["max_rounds = " + "9" * 5_000, "a = " + "[" * 50_000], ids=["digits", "deep"])
def test_a_settings_file_of_too_many_digits_or_levels_is_one_line(
    text: str, agentkit: Callable[..., Done], isolated: Path
) -> None:
    (isolated / "agentkit.toml").write_text(text, encoding="utf-8")
    done = agentkit("runs", "ls")
    assert done.code == 2 and "agentkit.toml" in done.err and done.err.count("\n") == 1


def test_a_number_that_no_database_holds_is_one_line(agentkit: Callable[..., Done]) -> None:
    done = agentkit("runs", "ls", "--limit", str(2**64))
    assert done.code == 2 and done.err == f"error: --limit is too large: {2**63 - 1} is the most\n"


def test_a_number_of_thousands_of_digits_in_an_ontology_is_one_line(
    agentkit: Callable[..., Done], isolated: Path
) -> None:
    (isolated / "papers").mkdir()
    (isolated / "odd.yaml").write_text("concepts: {A: {description: " + "9" * 5_000 + "}}", encoding="utf-8")
    done = agentkit("curate", "papers", "--ontology", "odd.yaml", "--plan")
    assert done.code == 2 and "odd.yaml: not valid YAML" in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize("source", ["missing", "folder", "odd"])
def test_name_tables_are_read_from_nothing_else(source: str, agentkit: Callable[..., Done], isolated: Path) -> None:
    for folder, text in (("folder", None), ("odd", "\x00")):
        (isolated / folder).mkdir()
        if text:
            (isolated / folder / "mesh_id_label_mappings.tsv").write_text(text, encoding="utf-8")
    done = agentkit("kb", "tables", "--from", source)
    assert done.code == 2 and source in done.err + "folder" and done.err.count("\n") == 1


def test_a_review_file_that_is_no_table_is_one_line(agentkit: Callable[..., Done], isolated: Path) -> None:
    kb = KnowledgeBase(Store.open(load_settings().database_url), "default")
    kb.write(
        Write(records=(), entities=(Entity(id="e", label="e", cls="Thing"),)), key="k", author=Author(role="person")
    )
    kb.store.close()
    (isolated / "claims.csv").write_text("claim,decision\n" + "x" * 200_000, encoding="utf-8")
    done = agentkit("kb", "import", "claims.csv")
    assert done.code == 2 and "claims.csv:2: not a table: field larger" in done.err


def test_a_picture_is_a_png_whatever_its_file_is_called(agentkit: Callable[..., Done], isolated: Path) -> None:
    for number in range(3):
        assert agentkit("memory", "add", f"matter {number}", "p", "--embedder", "hash").code == 0
    draw = ("memory", "stats", "--embedder", "hash", "--picture")
    assert agentkit(*draw, "drawing.odd").code == 0
    assert (isolated / "drawing.odd").read_bytes().startswith(b"\x89PNG")
    done = agentkit(*draw, ".")
    assert done.code == 2 and "not a regular file" in done.err


def test_importing_many_bullets_works_out_the_id_of_the_change_a_few_times(
    agentkit: Callable[..., Done], isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import agentkit.ledger as ledger

    sizes: list[int] = []
    digest = ledger.digest
    monkeypatch.setattr(ledger, "digest", lambda value: sizes.append(len(str(value))) or digest(value))
    bullets = [f"- Order {number} is on shelf {number * 7}.\n" for number in range(60)]
    (isolated / "bullets.md").write_text("".join(bullets), encoding="utf-8")
    assert json.loads(agentkit("playbook", "import", "bullets.md", "--json").out)["added"] == 60
    assert sum(size > 60 * 20 for size in sizes) < 12
