"""Text at the doors: what can't be stored, marks, encodings."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import StructuredTool

from agentkit.errors import DataError
from agentkit.models.caller import Caller
from agentkit.settings import load_settings
from agentkit.tasks import Task, load_tasks
from agentkit.testing import ScriptedModel
from agentkit.text import clean, clean_data, decode, parse_json, read_text, shorten
from agentkit.tools import run_tool
from agentkit.words import words
from tests.conftest import ROOT

SENTENCE = "Das Maß: 5 µg für Zoë – „gut“"


def test_nul_and_halves_of_characters_are_replaced_and_split_pairs_joined() -> None:
    assert clean("a\x00b\ud83dc") == "a\ufffdb\ufffdc"
    assert clean("\ud83d\ude00") == "😀"
    assert clean_data({"k\x00": ["\udc00", 1, None, ("x\x00",)]}) == {"k\ufffd": ["\ufffd", 1, None, ("x\ufffd",)]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
def test_files_are_read_in_every_unicode_encoding(encoding: str) -> None:
    assert decode(SENTENCE.encode(encoding)) == SENTENCE


def test_marks_where_files_were_joined_are_no_text() -> None:
    assert decode("a\n\ufeffb\n".encode("utf-8-sig")) == "a\nb\n"


def test_a_file_of_an_old_editor_is_read_as_windows_1252_and_that_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert decode(SENTENCE.encode("cp1252"), path="old.txt") == SENTENCE
    assert "old.txt: read as Windows-1252" in caplog.text


@pytest.mark.parametrize(
    "data", ["Доза пять".encode("cp1251"), "食物".encode("gbk"), "µ".encode() + b" and \xb5", b"\x81\x00\x02" * 9]
)
def test_nothing_is_guessed_where_the_bytes_speak_against_it(data: bytes) -> None:
    with pytest.raises(DataError, match=r"not UTF-8 text \(byte \d+\)|binary"):
        decode(data)


def test_what_is_no_file_is_refused_in_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", Path("/dev/zero")):
        with pytest.raises(DataError, match=r"not a regular file|no such file"):
            read_text(path)


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5_000, "{"])
def test_json_that_breaks_a_parser_is_one_line(text: str) -> None:
    with pytest.raises(DataError, match="not valid JSON"):
        parse_json(text)


def test_tasks_are_clean_however_they_come(tmp_path: Path) -> None:
    assert Task(id="1", input="a\x00", metadata={"context": "\ud800"}).metadata == {"context": "\ufffd"}
    file = tmp_path / "tasks.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"input": "half \\ud83d"}\r\n{"input": "whole"}\r\n')
    assert [task.input for task in load_tasks(file)] == ["half \ufffd", "whole"]


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_output_fits_a_narrow_terminal_and_json_loses_nothing(run_cli: Any, tmp_path: Path, encoding: str) -> None:
    run_cli("playbook", "add", "Zahle 5 € → 42 ✓ 好", "--playbook", "p")
    env = {"PYTHONIOENCODING": encoding}
    shown = [
        subprocess.run(
            [sys.executable, "-m", "agentkit", "playbook", "show", "--playbook", "p", *how],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        ).stdout.decode(encoding)
        for how in ([], ["--json"])
    ]
    assert "42" in shown[0]
    assert "→ 42 ✓ 好" in json.dumps(json.loads(shown[1]), ensure_ascii=False)


def test_settings_saved_on_windows_are_read(isolated: Path) -> None:
    (isolated / "agentkit.toml").write_bytes(b'\xef\xbb\xbfmodel = "openai/x"\r\n')
    assert load_settings().model == "openai/x"


async def test_what_a_model_and_a_tool_say_can_be_stored() -> None:
    said = AIMessage("a\x00", tool_calls=[{"name": "t", "args": {"x": ["\ud83d"]}, "id": "1"}])
    tool = StructuredTool.from_function(lambda: "b\x00", name="t", description="t")
    message = (await Caller(ScriptedModel([said])).call([HumanMessage("?")], tools=[tool])).message
    assert (message.content, message.tool_calls[0]["args"]) == ("a\ufffd", {"x": ["\ufffd"]})
    assert (await run_tool(tool, {})).text == "b\ufffd"


def test_words_are_words_in_every_script() -> None:
    assert set(words("路由器密码")) & set(words("怎样重置路由器密码")) > set("路由器密码")
    assert words("Доза ÄRZTE हिन्दी") == ["доза", "ärzte", "हिन्दी"]
    assert words("plain Words 5") == ["plain", "words", "5"]


@pytest.mark.parametrize("tail", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("length", [1, 99, 100, 101, 5000, 10**6])
def test_a_shortened_text_keeps_its_ends_and_says_what_is_missing(length: int, tail: float) -> None:
    text = "".join(chr(97 + n % 26) for n in range(length))
    short = shorten(text, 100, tail=tail)
    assert len(short) <= 100
    start, _, rest = short.partition("\n[… ")
    missing, _, end = rest.partition(" characters left out …]\n")
    assert text.startswith(start) and text.endswith(end)
    assert len(start) + int(missing or 0) + len(end) == length
