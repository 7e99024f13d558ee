"""A real `agentkit serve` process, and a provider behind it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import agentkit, recording  # noqa: F401 - fixtures
from tests.conftest import ROOT
from tests.server.provider import Provider, Say, provider

pytest.importorskip("uvicorn", reason="the server extra is not installed")
pytest.importorskip("openai", reason="the openai package is not installed")

KEY = "a key for tests and long"


class Served:
    """A server process."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process, self.address = process, address

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def ended(self) -> tuple[int, str]:
        """Its exit code, and what it said on standard error."""
        _out, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


Start = Callable[..., Served]


@pytest.fixture
def behind() -> Iterator[Callable[[Say], Provider]]:
    """A provider that says what a function does."""
    opened: list[Any] = []

    def make(say: Say) -> Provider:
        context = provider(say)
        opened.append(context)
        return context.__enter__()

    yield make
    for context in opened:
        context.__exit__(None, None, None)


def launch(model: Provider, *args: str, key: str | None = None, **more: str) -> Served:
    """Start `agentkit serve ARGS` before a provider."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **model.environment, **more}
    if key is not None:
        environment["AGENTKIT_SERVE_KEY"] = key
    command = [sys.executable, "-m", "agentkit", "serve", "--model", "openai/m", "--port", "0", *args]
    process = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    found = re.search(r"http://[\w.:]+", process.stdout.readline())
    assert found is not None, process.stderr.read()
    return Served(process, found.group(0))


@pytest.fixture
def start(isolated: Path) -> Iterator[Start]:
    """Start servers whose database is the test's own."""
    running: list[Served] = []

    def begin(model: Provider, *args: str, key: str | None = None, **more: str) -> Served:
        running.append(launch(model, *args, key=key, **more))
        return running[-1]

    yield begin
    for served in running:
        served.process.kill()
        served.process.communicate()
