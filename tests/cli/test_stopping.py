"""Ctrl-C, SIGTERM and a closed terminal end a command at once, keep what is finished and say how to go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli.conftest import Done
from tests.cli.scripted import ACCEPT
from tests.conftest import ROOT
from tests.curation.papers import ONTOLOGY, write_papers

pytestmark = pytest.mark.usefixtures("heard")

TOOLS = """
import pathlib, time

def slow(text: str) -> str:
    '''Take a long time.

    Args:
        text: anything.
    '''
    if pathlib.Path("quick").exists():
        return "done"
    time.sleep(600)
    return "never"
"""
QUESTION = "Take your time."
CALL = {"tool": "slow", "arguments": {"text": "a"}}
DONE = {"reasoning": "it took long", "answer": "done"}
RUN = ("run", QUESTION, "--tools", "slowly:slow", "--model")

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def model(recording: Callable[..., str], isolated: Path) -> str:
    """Replays a run that calls a tool of the current folder, which takes for ever unless a file `quick` is there."""
    (isolated / "slowly.py").write_text(TOOLS)
    (isolated / "quick").touch()
    made = recording(QUESTION, [CALL, DONE, ACCEPT], tools=["slowly:slow"])
    (isolated / "quick").unlink()
    return made


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a command in a process of its own."""
    running: list[subprocess.Popen[str]] = []

    def begin(*args: str, **more: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
        process = subprocess.Popen(
            [sys.executable, "-m", "agentkit", *args],
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def until_called(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    assert process.stderr is not None
    while "slow(" not in (line := process.stderr.readline()):
        assert line, "it ended before the tool was called"
    return process


@pytest.fixture
def silent() -> Iterator[tuple[dict[str, str], threading.Event]]:
    """A provider that never answers: the environment that leads to it, and whether it has been asked."""
    asked, over = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.set()
            over.wait()

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}/v1"
    yield {"OPENAI_BASE_URL": base, "OPENAI_API_KEY": "none"}, asked
    over.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_a_run_in_the_middle_of_a_call_and_it_goes_on_where_it_was(
    name: str, code: int, start: Start, model: str, agentkit: Callable[..., Done], isolated: Path
) -> None:
    process = until_called(start(*RUN, model))
    process.send_signal(getattr(signal, name))
    _out, err = process.communicate(timeout=240)
    assert process.returncode == code, err
    assert "Traceback" not in err
    run_id = err.split("Stopped. Continue with:  agentkit resume ")[1].split()[0]
    [row] = json.loads(agentkit("runs", "ls", "--status", "interrupted", "--json").out)
    assert (row["run_id"], row["status"]) == (run_id, "interrupted")
    (isolated / "quick").touch()
    done = json.loads(agentkit("resume", run_id, "--json").out)
    assert (done["status"], done["answer"]) == ("done", "done")
    assert len([step for step in done["trace"] if step["type"] == "model"]) == 2


def test_a_killed_run_is_shown_as_interrupted(start: Start, model: str, agentkit: Callable[..., Done]) -> None:
    process = until_called(start(*RUN, model))

    def listed(*more: str) -> list[str]:
        return [row["status"] for row in json.loads(agentkit("runs", "ls", "--json", *more).out)]

    assert listed("--status", "running") == ["running"]
    process.kill()
    process.wait()
    assert listed() == ["interrupted"]
    assert listed("--status", "running") == []


TASKS = "tasks.jsonl"
LONG = {
    "eval": ("eval", TASKS),
    "eval stream": ("eval", "stream", TASKS, "--playbook", "p"),
    "evolve": ("evolve", TASKS, "--playbook", "p", "--online"),
    "curate": ("curate", "papers", "--ontology", "ontology.yaml"),
}


@pytest.mark.parametrize("command", LONG)
def test_a_long_command_that_is_stopped_prints_itself_as_the_way_to_go_on(
    command: str, start: Start, silent: tuple[dict[str, str], threading.Event], isolated: Path
) -> None:
    environment, asked = silent
    rows = [json.dumps({"id": str(number), "input": f"What is {number}?", "target": "1"}) for number in range(4)]
    (isolated / TASKS).write_text("\n".join(rows))
    write_papers(isolated / "papers", 1)
    (isolated / "ontology.yaml").write_text(ONTOLOGY)
    args = (*LONG[command], "--model", "openai/m")
    process = start(*args, **environment)
    while not asked.wait(0.2):
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=240)
    assert process.returncode == 130, err
    assert f"Stopped. Continue with:  agentkit {' '.join(args)}" in err
    assert "Traceback" not in err


BUSY = """
import os, signal, sys, threading
from agentkit.cli import stopping

with stopping.listening():
    stopping.go_on_with("agentkit resume r1")
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(600)
    finally:
        threading.Event().wait(600)  # a clean-up that hangs
"""


def test_a_clean_up_that_hangs_does_not_hold_a_stopped_command_up() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", BUSY], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 143
    assert "Continue with:  agentkit resume r1" in done.stderr


def test_an_ignored_signal_stays_ignored() -> None:
    code = """
import os, signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from agentkit.cli import stopping
with stopping.listening():
    os.kill(os.getpid(), signal.SIGHUP)
print("alive")
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stdout) == (0, "alive\n")


def test_a_signal_ends_a_command_that_holds_the_interpreter() -> None:
    code = """
import ctypes, os, signal, threading
from agentkit import interrupts
from agentkit.cli import stopping

def work():
    with interrupts.deaf():
        print("in", flush=True)
        ctypes.PyDLL(None).sleep(100)  # PyDLL keeps the interpreter's lock, as llama.cpp does while it loads a file

with stopping.listening():
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "in\n"
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=240)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT
