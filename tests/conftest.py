"""Isolation that every test gets, and the fixtures they share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit.store import Store
from tests.support.postgres import server

REAL_CACHE = os.environ.get("AGENTKIT_CACHE") or str(
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agentkit"
)
"""The user's model cache: real-model tests read model files from it and fill it through the catalog."""


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for every test, no keys, no settings from outside; model files stay where they are cached."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.endswith("_API_KEY") or (name.startswith("AGENTKIT_") and name != "AGENTKIT_DATA"):
            monkeypatch.delenv(name)
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("AGENTKIT_CACHE", REAL_CACHE)
    monkeypatch.setenv("AGENTKIT_HOME", str(home / "agentkit"))
    monkeypatch.setenv("LANGGRAPH_STRICT_MSGPACK", "true")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    work = home / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With workers (`-n 2 --dist loadgroup`) a file's tests stay together, and one worker alone runs local models."""
    for item in items:
        group = "model" if item.get_closest_marker("model") else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line for each thing that this machine lacks: how many tests it left out, and what to do."""
    skipped = terminalreporter.stats.get("skipped", [])
    told = [str(item.longrepr[2] if isinstance(item.longrepr, tuple) else item.longrepr) for item in skipped]
    for reason, count in Counter(text.removeprefix("Skipped: ") for text in told).most_common():
        terminalreporter.write_line(f"tests left out: {count}: {reason}")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A fresh SQLite store."""
    opened = Store.open(tmp_path / "agentkit.db")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server started for this session from the system's package."""
    pytest.importorskip("psycopg", reason="the postgres extra is not installed")
    with server(fsync=False) as url:
        if url is None:
            pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        yield url


@pytest.fixture
def pg_store(postgres_url: str) -> Iterator[Store]:
    """A store in a fresh PostgreSQL database; skipped where PostgreSQL is absent."""
    import psycopg

    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload, unused-ignore]
    opened = Store.open(postgres_url.rsplit("/", 1)[0] + f"/{name}")
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def any_store(request: pytest.FixtureRequest) -> Store:
    """Each supported database in turn."""
    result: Store = request.getfixturevalue("store" if request.param == "sqlite" else "pg_store")
    return result


@pytest.fixture
def data_dir() -> Path:
    """The folder of real data; tests that need it are skipped where it is absent."""
    folder = os.environ.get("AGENTKIT_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("AGENTKIT_DATA does not name the data folder")
    return Path(folder)


class Cli:
    """Runs the `agentkit` command in a process of its own."""

    def __call__(
        self, *args: str, code: int | None = 0, env: dict[str, str] | None = None, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "agentkit", *args],
            capture_output=True, text=True, encoding="utf-8", timeout=280, input=stdin,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        )  # fmt: skip
        if code is not None:
            assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *args: str, **options: Any) -> Any:
        return json.loads(self(*args, "--json", **options).stdout)


ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def run_cli() -> Cli:
    return Cli()


@pytest.fixture
def kill_at() -> Callable[..., int]:
    """Run a Python snippet in a process that dies at a fault point; returns the exit code (-9 when killed)."""

    def run(code: str, fault: str | None, **env: str) -> int:
        extra = {"AGENTKIT_FAULT": fault} if fault else {}
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **extra, **env}
        return subprocess.run([sys.executable, "-c", code], env=environment, timeout=280, check=False).returncode

    return run


@pytest.fixture
def forked() -> Callable[[list[tuple[str, str | None]]], list[int]]:
    """Run `(code, fault)` snippets one after the other in forked processes; returns their exit codes."""

    def run(snippets: list[tuple[str, str | None]]) -> list[int]:
        done = subprocess.run(
            [sys.executable, str(ROOT / "tests" / "zygote.py")], input=json.dumps(snippets), timeout=280,
            capture_output=True, text=True, encoding="utf-8", env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True,
        )  # fmt: skip
        codes: list[int] = json.loads(done.stdout)
        assert all(code in (0, -9) for code in codes), done.stderr
        return codes

    return run


@pytest.fixture
def heard() -> Iterator[None]:
    """Signals that the tests were started to ignore, as `nohup` and a shell's background do, reach what tests start."""
    numbers = [number for number in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_IGN]
    for number in numbers:
        signal.signal(number, lambda *_: None)  # a handler is not inherited, only that there is none
    yield
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
