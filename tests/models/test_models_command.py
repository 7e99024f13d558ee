"""`agentkit models`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentkit.cli.models import app
from agentkit.errors import ModelFileError, ModelNotFound
from agentkit.models import load_model
from tests.models.conformance import TINY, need

ROOT = Path(__file__).resolve().parents[2]


def test_ls_shows_every_model_and_whether_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path))
    rows = json.loads(CliRunner().invoke(app, ["ls", "--json"]).stdout)
    assert {row["name"] for row in rows} >= {"qwen2.5-coder-1.5b", "all-minilm-l6-v2"}
    assert not any(row["downloaded"] for row in rows)
    assert "qwen2.5-coder-1.5b" in CliRunner().invoke(app, ["ls"], env={"COLUMNS": "200"}).stdout


def test_an_unknown_name_is_an_error_for_the_command_line() -> None:
    for command in ("pull", "rm", "serve"):
        assert isinstance(CliRunner().invoke(app, [command, "nosuch"]).exception, ModelNotFound)


def test_testing_a_model_that_is_not_downloaded_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path))
    error = CliRunner().invoke(app, ["test", TINY]).exception
    assert isinstance(error, ModelFileError) and "agentkit models pull" in str(error)


def test_a_file_that_is_no_model_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="the local extra is not installed")
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"this is not a model")
    with pytest.raises(ModelFileError) as caught:
        load_model(f"local/{broken}").invoke("x")
    assert "\n" not in str(caught.value)


@pytest.mark.model
def test_test_measures_speed_and_tries_tools_and_schemas() -> None:
    need(TINY)
    done = CliRunner().invoke(app, ["test", TINY, "--json"])
    result = json.loads(done.stdout)
    assert result["decode_speed"] > 0 and (result["tools"], result["schema"]) == (True, True)


@pytest.mark.model
def test_serve_says_when_it_is_ready_answers_openai_clients_and_stops_on_sigterm() -> None:
    need(TINY)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "agentkit", "models", "serve", TINY, "--port", str(port), "--n-ctx", "2048"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, encoding="utf-8", env=environment) as process:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert f":{port}/v1" in line
        model = load_model(f"openai/{TINY}", api_base=f"http://127.0.0.1:{port}/v1", max_tokens=8)
        answer = model.invoke("Say hello.")
        assert answer.usage_metadata is not None and answer.usage_metadata["output_tokens"] > 0  # type: ignore[attr-defined]
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
    assert (process.returncode, said.strip()) == (128 + signal.SIGTERM, "Stopped.")
