"""What goes wrong with models: one clear line, exit code 2, and nothing lost."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agentkit.models import catalog
from tests.models.stub import answer, failure, serving
from tests.models.test_download import DATA, entry, hub

OVERFLOW = "This model's maximum context length is 10 tokens. However, your messages resulted in 99 tokens."

HOSTED = {
    "invalid JSON three times": ([answer(tool=("answer", '{"answer": "4'))], "no valid answer in 3 tries", 3),
    "context overflow": ([failure(400, OVERFLOW, "context_length_exceeded")], "context", 1),
    "refused key": ([failure(401, "Incorrect API key provided")], "Incorrect API key", 1),
}


@pytest.mark.parametrize("case", HOSTED)
def test_what_a_hosted_model_gets_wrong_ends_the_run_with_one_line_and_keeps_it(
    case: str, agentkit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    replies, mention, requests = HOSTED[case]
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with serving(*replies) as (base, stub):
        monkeypatch.setenv("OPENAI_API_BASE", base)
        done = agentkit("run", "What is 2+2?", "--choices", "4,5", "--model", "openai/gpt-test", "--json")
    (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert done.code == 2 and mention in line and len(stub.requests) == requests
    kept = json.loads(agentkit_runs(agentkit))
    assert [run["status"] for run in kept] == ["failed"]


def agentkit_runs(agentkit: Callable[..., Any]) -> str:
    """`agentkit runs ls --json`; it ends without an error."""
    return str(agentkit("runs", "ls", "--json").out)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog of one small model, an empty cache, and a pip that reaches no index."""
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(catalog, "_catalog", lambda: {"m": entry()})


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """The system refuses to write more, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small")
def test_a_download_with_a_wrong_hash_is_one_line(
    agentkit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub(data=DATA[::-1]) as (address, _):
        monkeypatch.setenv("HF_ENDPOINT", address)
        done = agentkit("models", "pull", "m")
    assert done.code == 2 and "wrong hash" in one_error(done.err)
    assert not entry().present


@pytest.mark.usefixtures("small")
def test_a_disk_that_fills_is_one_line_and_the_next_pull_goes_on(
    agentkit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub() as (address, ranges):
        monkeypatch.setenv("HF_ENDPOINT", address)
        with files_no_larger_than(300_000):
            done = agentkit("models", "pull", "m")
        assert done.code == 2 and "is full" in one_error(done.err)
        catalog_entry = entry()
        begun = (catalog_entry.folder / "m.gguf.partial").stat().st_size
        assert agentkit("models", "pull", "m").code == 0
    assert 0 < begun <= 300_000 and ranges == [None, f"bytes={begun}-"]
    assert (catalog_entry.folder / "m.gguf").read_bytes() == DATA


@pytest.mark.parametrize("command", [["run", "x", "--model", "local/m"], ["models", "pull", "m"]])
@pytest.mark.usefixtures("small")
def test_a_file_of_the_right_size_and_the_wrong_hash_is_never_used(
    agentkit: Callable[..., Any], command: list[str]
) -> None:
    entry().folder.mkdir(parents=True)
    (entry().folder / "m.gguf").write_bytes(DATA[::-1])
    done = agentkit(*command)
    assert done.code == 2 and "m.gguf has a wrong hash; run  agentkit models rm m" in one_error(done.err)


@pytest.mark.usefixtures("small")
def test_without_hub_and_index_it_says_which_file_to_put_where(
    agentkit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    line = one_error(agentkit("models", "pull", "m").err)
    assert all(part in line for part in ("m.gguf", entry().files[0].sha256, str(entry().folder)))


@pytest.mark.parametrize("command", ["pull", "rm", "test", "serve"])
def test_an_unknown_name_lists_the_known_ones(agentkit: Callable[..., Any], command: str) -> None:
    done = agentkit("models", command, "nosuch")
    assert done.code == 2 and "nosuch" in one_error(done.err)


def one_error(err: str) -> str:
    """The one line that says what is wrong, below a progress bar that may be there."""
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    return line
