"""Odd command lines, each in a forked process:  python -m tests.cli.fuzz --inputs 2000 --seed 1

Draws commands and options from the program itself and gives them values that people, scripts and broken disks bring.
An input is broken where the command shows a traceback, takes longer than `LIMIT`, ends with an exit code that
docs/cli.md does not have for it, leaves a run marked as running, or loses rows or files that it was not told to touch.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import signal
import sqlite3
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentkit.cli.main import COMMANDS, UNREAD, load_command, main

from .fuzz_values import ENVIRONMENT, INPUTS, OUTPUTS, SETTINGS, Pool, prepare

LIMIT = 90.0
"""Seconds that one command may take: more than any limit of its own, such as that of a SPARQL query."""

CODES = {"doctor": {1}, "kb verify": {1}, "curate": {3}}
"""Exit codes beyond 0 and 2, by command."""
REMOVES = {"runs prune", "memory forget", "memory consolidate", "memory rebuild"}
WRITES_FILES = {
    "kb export",
    "playbook export",
    "memory export",
    "memory stats",
    "adapter export",
    "evolve",
    "eval stream",
    "trust",
}
NOT_TRIED = {"models serve", "models pull"}
"""Commands that are meant to run without end, or to download; they get names that don't exist."""
ENDLESS = {"serve", "view"}
"""Commands that run until they are stopped whatever they are given; tests/server and tests/view test them."""
LEFT_OUT = {"--fetch", "--install-completion", "--show-completion"}
"""Options that download, or that change the user's shell."""


@dataclass(frozen=True)
class Trial:
    """One command line with its surroundings.

    Attributes:
        stdin, stdout: kinds of `INPUTS` and `OUTPUTS`.
        settings: the text of an agentkit.toml; None for no file.
    """

    number: int
    command: str
    args: tuple[str, ...]
    stdin: str = "empty"
    stdout: str = "file"
    environment: dict[str, str] = field(default_factory=dict)
    settings: bytes | None = None

    def __str__(self) -> str:
        shown = [arg if len(arg) < 80 else f"{arg[:40]}… ({len(arg)} characters)" for arg in self.args]
        around = {"stdin": self.stdin, "stdout": self.stdout, **self.environment}
        return f"#{self.number} agentkit {self.command} {shown!r} {around!r} {(self.settings or b'')[:60]!r}"


def trials(count: int, seed: int, pool: Pool) -> Iterator[Trial]:
    """The inputs of a seed, every command in turn."""
    leaves = [leaf for name in COMMANDS if name not in ENDLESS for leaf in _leaves(name, load_command(name))]
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        command, params = leaves[number % len(leaves)]
        yield Trial(
            number, command, tuple(_args(rng, command, params, pool)),
            stdin=rng.choice(list(INPUTS)) if rng.random() < 0.3 else "empty",
            stdout=rng.choice(list(OUTPUTS)) if rng.random() < 0.15 else "file",
            environment=dict([rng.choice(ENVIRONMENT)]) if rng.random() < 0.1 else {},
            settings=rng.choice(SETTINGS) if rng.random() < 0.05 else None,
        )  # fmt: skip


def _leaves(path: str, command: Any) -> Iterator[tuple[str, list[Any]]]:
    children = getattr(command, "commands", {})
    if not children:
        yield path, command.params
    for name, child in children.items():
        yield from _leaves(f"{path} {name}", child)


def _args(rng: random.Random, command: str, params: Sequence[Any], pool: Pool) -> list[str]:
    words: list[str] = []
    for param in params:
        if param.param_type_name == "argument":
            if (param.required and rng.random() < 0.97) or rng.random() < 0.5:
                words.append(pool.value(rng, command, param, odd=0.3 if command not in NOT_TRIED else 1.0))
        elif not LEFT_OUT.intersection(param.opts) and (
            rng.random() < (0.9 if param.required else min(0.5, 2.5 / len(params)))
        ):
            name = rng.choice([*param.opts, *param.secondary_opts])
            words += [name] if param.is_flag else [name, pool.value(rng, command, param, odd=0.4)]
    if rng.random() < 0.03:
        words.insert(
            rng.randrange(len(words) + 1), rng.choice(["--", "-", "--nosuch", "-x", "more", "--json", "--help"])
        )
    return words


@dataclass(frozen=True)
class Ended:
    """How a process ended; the code is None where it had to be killed."""

    code: int | None
    shown: str


def attempt(trial: Trial, template: Path, folder: Path) -> str:
    """Run one input in a fork; what is wrong with what came of it, empty where nothing is."""
    shutil.copytree(template, folder, symlinks=True)
    work = folder / "work"
    os.mkfifo(work / "pipe")
    (work / "locked").chmod(0)
    if trial.settings is not None:
        (work / "agentkit.toml").write_bytes(trial.settings)
    before = _state(folder)
    ended = _fork(trial, folder)
    problem = _judge(trial, ended) or _lost(trial, ended, before, _state(folder))
    return f"{trial}\n    {problem}\n{ended.shown[-1500:]}" if problem else ""


def _fork(trial: Trial, folder: Path) -> Ended:
    shown = folder / "shown"
    child = os.fork()
    if child == 0:
        _run(trial, folder, shown)
    descriptor = os.pidfd_open(child)
    try:
        over = not select.select([descriptor], [], [], LIMIT)[0]
        if over:
            os.killpg(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        os.close(descriptor)
    return Ended(None if over else code, shown.read_text(encoding="utf-8", errors="replace"))


def _run(trial: Trial, folder: Path, shown: Path) -> None:
    """The child: never returns."""
    code = 70
    try:
        os.setsid()
        os.chdir(folder / "work")
        os.environ.update({"AGENTKIT_HOME": str(folder / "home"), "HOME": str(folder), **trial.environment})
        os.dup2(os.open(shown, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        INPUTS[trial.stdin]()
        OUTPUTS[trial.stdout]()
        sys.argv = ["agentkit", *trial.command.split(), *trial.args]
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:  # noqa: BLE001  what a person would see
        traceback.print_exc()
    finally:
        os._exit(code or _flush())


def _flush() -> int:
    """What the interpreter does at its end: 120 where the output can't be written."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return 120
    return 0


def _judge(trial: Trial, ended: Ended) -> str:
    if ended.code is None:
        return f"it took longer than {LIMIT:.0f} seconds"
    if "Traceback (most recent call last)" in ended.shown:
        return "a traceback"
    allowed = {0, 2, *CODES.get(trial.command, ())} | ({UNREAD} if trial.stdout == "unread" else set())
    if ended.code not in allowed:
        return f"exit code {ended.code}"
    if ended.code == 2 and not ended.shown.strip():
        return "exit code 2 without a word"
    return ""


def _state(folder: Path) -> dict[str, Any]:
    """Rows of each table, runs that are marked as running, and the bytes of the files."""
    work = folder / "work"
    files = {
        str(path): path.read_bytes() if os.access(path, os.R_OK) else b""
        for path in work.rglob("*")
        if path.is_file() and path.name != "agentkit.toml"
    }
    connection = sqlite3.connect(folder / "home" / "agentkit.db")
    try:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}
        running = connection.execute("SELECT count(*) FROM runs WHERE status = 'running'").fetchone()[0]
        whole = connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    finally:
        connection.close()
    return {"files": files, "rows": rows, "running": running, "whole": whole}


def _lost(trial: Trial, ended: Ended, before: dict[str, Any], after: dict[str, Any]) -> str:
    if not after["whole"]:
        return "the database is broken"
    if after["running"]:
        return "a run is left as running"
    fewer = [name for name, count in before["rows"].items() if after["rows"].get(name, 0) < count]
    if fewer and not (trial.command in REMOVES and ended.code in (0, UNREAD)):
        return f"rows are gone from {', '.join(fewer)}"
    gone = [name for name, data in before["files"].items() if after["files"].get(name) != data]
    if gone and trial.command not in WRITES_FILES:
        return f"changed or gone: {', '.join(gone)}"
    return ""


def fuzz(count: int, *, seed: int, only: int | None = None) -> list[str]:
    """Try so many inputs; returns a text for each that broke something."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pool = prepare(folder / "template")
        for trial in trials(count, seed, pool):
            if only in (None, trial.number):
                if problem := attempt(trial, folder / "template", folder / str(trial.number)):
                    found.append(problem)
                    print(problem, file=sys.stderr, flush=True)
                shutil.rmtree(folder / str(trial.number))
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.cli.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=int(os.environ.get("AGENTKIT_FUZZ", "150")))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="try this one alone")
    return parser.parse_args()


if __name__ == "__main__":
    given = _options()
    broken = fuzz(given.inputs, seed=given.seed, only=given.only)
    print(json.dumps({"seed": given.seed, "tried": given.inputs, "broken": len(broken)}))
    sys.exit(1 if broken else 0)
