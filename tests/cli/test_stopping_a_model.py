"""In the middle of reading a prompt, a local model stops with the command, and once nobody wants its answer."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agentkit.models import llamacpp, load_model
from tests.cli.conftest import Done
from tests.conftest import ROOT
from tests.curation.papers import ONTOLOGY
from tests.models.tiny_gguf import make_tiny_gguf

pytestmark = pytest.mark.usefixtures("heard")

pytest.importorskip("xllamacpp", reason="the local extra is not installed")
pytest.importorskip("gguf", reason="the hf extra is not installed")

LONG = " ".join(f"Shelf {number} holds {number * 7 % 1000} boxes." for number in range(370))
"""Some nine thousand bytes, which are tokens, in pieces of `N_BATCH`."""

TELLING = """
import sys
from agentkit.models import llamacpp

def told(event, known=llamacpp._is_progress):
    if known(event):
        progress = event["prompt_progress"]
        sys.stderr.write("read %s %s\\n" % (progress["processed"], progress["total"]))
        sys.stderr.flush()
    return known(event)

llamacpp._is_progress = told
from agentkit.cli.main import main
main()
"""
"""The command, which tells how much of a prompt is read."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_tiny_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf")


def stopped(number: signal.Signals, model: str, *args: str) -> tuple[int, str, list[tuple[int, int]]]:
    """Run a command, stop it once it has begun to read the long prompt: exit code, standard error, how far it read."""
    command = [sys.executable, "-c", TELLING, *args, "--model", model]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stderr is not None
        lines = []
        try:
            while (line := process.stderr.readline()) and not progress_of(line, at_least=8_000):
                lines.append(line)
            process.send_signal(number)
            lines += [line, process.stderr.read()]
        finally:
            process.kill()
    err = "".join(lines)
    return process.wait(), err, [found for line in err.splitlines() for found in progress_of(line, at_least=8_000)]


def progress_of(line: str, *, at_least: int) -> list[tuple[int, int]]:
    words = line.split()
    if len(words) != 3 or words[0] != "read" or int(words[2]) < at_least:
        return []
    return [(int(words[1]), int(words[2]))]


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_a_run_that_reads_its_prompt(
    name: str, code: int, model: str, agentkit: Callable[..., Done], isolated: Path
) -> None:
    ended, err, read = stopped(signal.Signals[name], model, "run", LONG)
    assert ended == code and "Traceback" not in err, err
    assert read[-1][0] < read[-1][1]
    (row,) = json.loads(agentkit("runs", "ls", "--status", "interrupted", "--json").out)
    assert f"Stopped. Continue with:  agentkit resume {row['run_id']}" in err


def test_a_signal_ends_an_evaluation_that_reads_a_prompt_and_keeps_what_is_finished(
    model: str, agentkit: Callable[..., Done], isolated: Path
) -> None:
    texts = {"short": "Pick one of the two.", "long": LONG}
    rows = [{"id": id, "input": text, "choices": ["a", "b"], "target": "a"} for id, text in texts.items()]
    (isolated / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    ended, err, read = stopped(signal.SIGINT, model, "eval", "tasks.jsonl")
    assert ended == 130 and read[-1][0] < read[-1][1]
    assert "Stopped. Continue with:  agentkit eval tasks.jsonl" in err
    found = {row["task_id"]: row["status"] for row in json.loads(agentkit("runs", "ls", "--json").out)}
    assert found["long"] == "interrupted" and found["short"] != "interrupted"


def test_a_signal_ends_a_curation_that_reads_a_paper(model: str, isolated: Path) -> None:
    (isolated / "papers").mkdir()
    (isolated / "papers" / "a.txt").write_text(f"A report\n\n{LONG}", encoding="utf-8")
    (isolated / "ontology.yaml").write_text(ONTOLOGY, encoding="utf-8")
    ended, err, read = stopped(signal.SIGTERM, model, "curate", "papers", "--ontology", "ontology.yaml")
    assert ended == 143 and read[-1][0] < read[-1][1]
    assert "Stopped. Continue with:  agentkit curate papers" in err


@dataclass
class Read:
    """How far a long prompt is read."""

    begun: threading.Event = field(default_factory=threading.Event)
    tokens: int = 0
    total: int = 0


@pytest.fixture
def chat(model: str) -> Any:
    return load_model(model, n_ctx=12_288, n_threads=1, max_tokens=8)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    told, known = Read(), llamacpp._is_progress

    def watch(event: Any) -> bool:
        if known(event) and (progress := event["prompt_progress"])["total"] > 8_000:
            told.tokens, told.total = progress["processed"], progress["total"]
            told.begun.set()
        return known(event)

    monkeypatch.setattr(llamacpp, "_is_progress", watch)
    return told


async def test_a_call_that_is_cancelled_stops_the_model(chat: Any, read: Read) -> None:
    call = asyncio.create_task(chat.ainvoke(f"One. {LONG}"))
    await asyncio.to_thread(read.begun.wait)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await chat.ainvoke("Say hello.")).text
    assert read.tokens < read.total


async def test_a_stream_that_is_left_stops_the_model(chat: Any, read: Read) -> None:
    stream = chat.astream(f"Two. {LONG}")
    call = asyncio.create_task(anext(stream))
    await asyncio.to_thread(read.begun.wait)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await chat.ainvoke("Say hello.")).text
    assert read.tokens < read.total


def test_a_stream_that_is_left_after_its_first_token_writes_no_more(chat: Any) -> None:
    stream = chat.stream("Count from one to a thousand.", max_tokens=5_000)
    next(stream)
    stream.close()
    assert chat.invoke("Say hello.").text  # one slot: it would wait for five thousand tokens
