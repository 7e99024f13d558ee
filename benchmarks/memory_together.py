"""Eight writers and eight readers on one memory: processes on SQLite and PostgreSQL, each reading its own writes.

    python -m benchmarks.memory_together [--seconds 60] [--postgres postgresql://…]

A writer appends a case and searches for it at once; a reader searches and checks that nothing comes twice and that
what it has seen once does not go away. At the end every acknowledged case must be there once and no error may have
been shown. Without --postgres a server is started from the system's package where there is one.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from agentkit.errors import AgentKitError
from agentkit.memory import Case, CaseMemory, HashEmbedder
from agentkit.store import Store
from benchmarks._postgres import server
from benchmarks._results import Results, arguments

WRITERS = READERS = 8
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


def together(url: str, seconds: float, *, writers: int = WRITERS, readers: int = READERS) -> dict[str, Any]:
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


def main() -> None:
    parser = arguments("memory_together", __doc__ or "")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--postgres", help="URL of an empty database")
    args = parser.parse_args()
    results = Results("memory_together", settings=vars(args) | {"postgres": bool(args.postgres)}, label=args.label)
    with tempfile.TemporaryDirectory() as folder:
        _report(results, "SQLite", together(str(Path(folder) / "a.db"), args.seconds))
    with contextlib.nullcontext(args.postgres) if args.postgres else server() as url:
        if url is None:
            results.note("PostgreSQL is not installed here: not run")
        else:
            _report(results, "PostgreSQL", together(url, args.seconds))
    results.finish(json_=args.json, folder=args.out)


def _report(results: Results, arm: str, report: dict[str, Any]) -> None:
    arm = f"{arm}, {WRITERS} writers and {READERS} readers"
    results.add(arm=arm, metric="cases acknowledged", value=report["writes"])
    results.add(arm=arm, metric="searches", value=report["searches"])
    results.add(arm=arm, metric="lost, doubled, unread or errors", value=len(report["problems"]), target="0")
    for problem in report["problems"][:10]:
        results.note(f"{arm}: {problem}")


if __name__ == "__main__":
    main()
