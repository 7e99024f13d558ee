"""Writers and readers on one memory, each a process of its own that reads its own writes.

A writer appends a case and searches for it at once; a reader searches and checks that nothing comes twice and that
what it has seen once does not go away. At the end every acknowledged case must be there once.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from agentkit.errors import AgentKitError
from agentkit.memory import Case, CaseMemory, HashEmbedder
from agentkit.store import Store

DIMENSION = 64


@dataclass(kw_only=True)
class Tally:
    """What one process did and saw."""

    acknowledged: list[str] = field(default_factory=list)
    searches: int = 0
    problems: list[str] = field(default_factory=list)


def open_memory(url: str) -> CaseMemory:
    return CaseMemory.open(Store.open(url), embedder=HashEmbedder(DIMENSION))


def write(url: str, number: int, seconds: float, start: Any, out: Any) -> None:
    """Append and read back until the time is over."""
    tally, memory = Tally(), open_memory(url)
    memory.search("warm up", 1)
    start.wait()
    until = time.monotonic() + seconds
    with _reported(tally):
        while time.monotonic() < until:
            id = f"w{number}-{len(tally.acknowledged)}"
            case = memory.add(Case(id=id, state=f"writer{number} item{len(tally.acknowledged)}", plan="p", reward=1.0))
            tally.acknowledged.append(id)
            tally.searches += 1
            found = memory.search(case.state, 4)
            if not any(hit.case.id == id or hit.score > 1 - 1e-5 for hit in found) or memory.get(id).id != id:
                tally.problems.append(f"{id} was not read back")
    out.put(tally)


def read(url: str, number: int, seconds: float, start: Any, out: Any) -> None:
    """Search until the time is over; a memory that only grows never shows fewer cases."""
    tally, memory, most = Tally(), open_memory(url), 0
    memory.search("warm up", 1)
    start.wait()
    until = time.monotonic() + seconds
    with _reported(tally):
        while time.monotonic() < until:
            ids = [hit.case.id for hit in memory.search(f"writer{number} item{tally.searches}", 8)]
            size = memory.bank().size
            if len(ids) != len(set(ids)):
                tally.problems.append("a case came twice")
            if size < most:
                tally.problems.append(f"{most} cases became {size}")
            most, tally.searches = max(most, size), tally.searches + 1
    out.put(tally)


@contextlib.contextmanager
def _reported(tally: Tally) -> Iterator[None]:
    """An error that a user would be shown is a problem, not the end of the run."""
    try:
        yield
    except (AgentKitError, SQLAlchemyError, OSError, RuntimeError) as error:
        tally.problems.append(f"{type(error).__name__}: {error}")


def together(url: str, seconds: float, *, writers: int, readers: int) -> dict[str, Any]:
    """Run them all on one database.

    Returns:
        counts and `problems`, empty where all held.
    """
    open_memory(url).store.close()
    context = multiprocessing.get_context("spawn")
    out, start = context.Queue(), context.Barrier(writers + readers)
    jobs = [(write, n) for n in range(writers)] + [(read, n) for n in range(readers)]
    processes = [context.Process(target=work, args=(url, n, seconds, start, out)) for work, n in jobs]
    for process in processes:
        process.start()
    tallies, problems = _gather(out, len(processes), seconds), list[str]()
    for process in processes:
        process.join()
        if process.exitcode:
            problems.append(f"a process ended with {process.exitcode}")
    problems += [text for tally in tallies for text in tally.problems]
    acknowledged = [id for tally in tallies for id in tally.acknowledged]
    problems += _missing(url, acknowledged)
    return {"writes": len(acknowledged), "searches": sum(tally.searches for tally in tallies), "problems": problems}


def _gather(out: Any, count: int, seconds: float) -> list[Tally]:
    tallies = []
    for _ in range(count):
        with contextlib.suppress(queue.Empty):
            tallies.append(out.get(timeout=seconds + 240))
    return tallies


def _missing(url: str, acknowledged: list[str]) -> list[str]:
    memory = open_memory(url)
    counts = Counter(case.id for case in memory.list(limit=None))
    memory.store.close()
    wrong = [f"{id} is there {counts[id]} times" for id in acknowledged if counts[id] != 1]
    return wrong + [f"{id} was never acknowledged" for id in set(counts) - set(acknowledged)]
