"""What kinds of work share: how they are started, stopped, and asked what came of them."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from agentkit.cli import stopping
from agentkit.errors import AgentKitError

Say = Callable[[str], None]
"""Told the name of each piece of work once it is done and stored, never before."""

PRELOAD = ["agentkit.agent", "agentkit.memory.recaller", "agentkit.memory.training", "agentkit.curation.curate",
           "agentkit.evolution.loop", "agentkit.testing", "scipy.linalg", "faiss"]  # fmt: skip
"""What workers need, imported once for all of them."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One kind of work, in a folder of its own.

    Attributes:
        prepare: makes what it needs, once.
        work: works without end in the process that is killed, going on where the one before was stopped. Gets the
            folder, what was acknowledged so far, and `Say`.
        problems: what is wrong with what is left. Gets the folder, what was acknowledged, how often work was stopped,
            and a source of chance, with which it may also damage files that must be made anew.
    """

    name: str
    work: Callable[[Path, list[str], Say], None]
    problems: Callable[[Path, list[str], int, random.Random], list[str]]
    prepare: Callable[[Path], None] = lambda folder: None


@dataclass
class Toll:
    """What came of stopping one kind of work.

    Attributes:
        slowest: seconds from an interrupt to the end of the process, at most.
    """

    kills: int = 0
    interrupts: int = 0
    acknowledged: int = 0
    slowest: float = 0.0
    problems: list[str] = field(default_factory=list)


def torture(work: Work, folder: Path, *, kills: int, interrupts: int = 0, seed: int = 0, longest: float = 1.2) -> Toll:
    """Stop and restart one kind of work in one folder, and look at what is left each time.

    Args:
        longest: seconds of a processor that it works at most.
    """
    rng, toll = random.Random(f"{seed}/{work.name}"), Toll()
    work.prepare(folder)
    stops = [signal.SIGKILL] * kills + [signal.SIGINT] * interrupts
    rng.shuffle(stops)
    for number, stop in enumerate(stops, 1):
        seconds = _stopped(work, folder, stop, rng.uniform(0.0, longest))
        said = acknowledged(folder)
        try:
            found = work.problems(folder, said, number, rng)
        except AgentKitError as error:  # a ledger that does not verify, a database that can't be read
            found = [str(error)]
        if stop is signal.SIGINT:
            toll.interrupts, toll.slowest = toll.interrupts + 1, max(toll.slowest, seconds)
        else:
            toll.kills += 1
        toll.problems += [f"{work.name}, {stop.name} {number}: {text}" for text in found]
        toll.acknowledged = len(said)
    return toll


def acknowledged(folder: Path) -> list[str]:
    """The pieces of work that are done; a line that was cut short was not acknowledged."""
    path = folder / "acknowledged"
    return path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []


def _stopped(work: Work, folder: Path, stop: signal.Signals, after: float) -> float:
    """Work in a process of its own until it is stopped; returns the seconds that it took to end.

    Raises:
        RuntimeError: it ended by itself, or in another way than it should.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_begin, args=(work.work, folder, writer))
    process.start()
    writer.close()
    reader.poll(120)  # it is about to work
    reader.close()
    assert process.pid is not None
    _let_work(process.pid, after)
    began = time.monotonic()
    os.kill(process.pid, stop)
    process.join()
    wanted = 128 + stop if stop is signal.SIGINT else -stop
    if process.exitcode != wanted:
        raise RuntimeError(f"{work.name}: the worker ended with {process.exitcode}, not {wanted}")
    return time.monotonic() - began


def _let_work(pid: int, seconds: float) -> None:
    """Until a process has had so many seconds of a processor, so that a busy machine stops it at no earlier point; a
    minute at most, and simply so many seconds where the system doesn't count."""
    stat, end = Path(f"/proc/{pid}/stat"), time.monotonic() + 60

    def worked() -> float:
        fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    if not stat.exists():
        time.sleep(seconds)
        return
    before = worked()
    while worked() - before < seconds and time.monotonic() < end:
        time.sleep(0.003)


def _begin(work: Callable[[Path, list[str], Say], None], folder: Path, ready: Connection) -> None:
    """The worker, which signals end as they end a command."""
    before = acknowledged(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it may have been started to ignore it, by `nohup … &`
    with (folder / "acknowledged").open("ab", buffering=0) as log, stopping.listening():
        if before:
            log.truncate(sum(len(line.encode()) + 1 for line in before))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            ready.send_bytes(b"!")
            work(folder, before, lambda line: _write(log, line))
        except stopping.Stopped as stopped:
            stopping.end(stopped.number)


def _write(log: Any, line: str) -> None:
    log.write(f"{line}\n".encode())


def number_of(said: list[str]) -> int:
    """The last piece of work again, to see that it is not done twice; then the one that was cut off."""
    return int(said[-1]) if said else 0
