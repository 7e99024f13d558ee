"""How fast a large playbook is: applying a delta, going to any version, finding a near-duplicate, rendering.

    python -m benchmarks.playbook_speed [--bullets 10000]

Each row appears twice, in wall time and in processor time: on a machine that does other work too, the second shows what
the playbook itself takes.
"""

from __future__ import annotations

import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from agentkit.playbooks import Add, Delta, Duplicates, Index, PlaybookStore, Renderer, Update, Vote
from agentkit.store import Store
from benchmarks._results import Results, arguments
from tests.support.playbook_world import lesson

Time = tuple[float, float]
"""Milliseconds of wall time, and of processor time."""


def timed(work: Callable[[], object]) -> Time:
    started, busy = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - started) * 1000, (time.process_time() - busy) * 1000


def fill(book: PlaybookStore, count: int) -> list[Time]:
    """One bullet per delta, so that there are as many versions as bullets; milliseconds of each."""
    rng, times = random.Random(0), []
    for number in range(count):
        operation = Add(content=lesson(rng, number), scope=rng.choice(("", "sql", "mail")))
        delta = Delta(key=f"k{number}", base=number, operations=(operation,), run_id=f"run{number}")
        times.append(timed(partial(book.apply, delta)))
    return times


def edit(book: PlaybookStore, rounds: int) -> list[Time]:
    """Deltas of four operations on random bullets, including reading the new state; milliseconds of each."""
    rng, times = random.Random(1), []
    for number in range(rounds):
        bullets = list(book.current().bullets.values())
        changed, voted = rng.sample(bullets, 2)
        operations = (
            Add(content=lesson(rng, 10**6 + number)),
            Add(content=lesson(rng, 2 * 10**6 + number)),
            Update(id=changed.id, expected=changed.hash, content=changed.content + " Check it."),
            Vote(id=voted.id, helpful=1),
        )
        delta = Delta(key=f"e{number}", base=book.current().version, operations=operations)

        def apply_and_read(delta: Delta = delta) -> None:
            book.apply(delta)
            book.current()

        times.append(timed(apply_and_read))
    return times


def roll_back(database: Path, versions: list[int]) -> tuple[list[Time], list[Time]]:
    """Starting each time from a copy of the full playbook: the time to roll back to a version, and to read the
    result."""
    times, reads, copy = [], [], database.with_name("copy.db")
    for version in versions:
        with sqlite3.connect(database) as source, sqlite3.connect(copy) as target:
            source.backup(target)
        store = Store.open(copy)
        book = PlaybookStore.open(store, "speed")
        book.current()
        times.append(timed(partial(book.rollback, version)))
        reads.append(timed(book.current))
        assert book.current().bullets == book.at(version).bullets
        store.close()
        copy.unlink()
    return times, reads


def near(book: PlaybookStore, rounds: int) -> list[Time]:
    rng, duplicates = random.Random(2), Duplicates(index=Index(store=book.store))
    bullets = book.current().active
    duplicates.index.ensure(bullets)
    texts = [lesson(rng, number) for number in range(rounds)]
    return [timed(partial(duplicates.near, text, "sql", bullets)) for text in texts]


def add(results: Results, metric: str, times: list[Time], target: str) -> None:
    for place, what in enumerate(("by the clock", "of the processor")):
        ordered = sorted(time[place] for time in times)
        low, high = ordered[int(0.05 * len(times))], ordered[min(len(times) - 1, int(0.95 * len(times)))]
        results.add(
            arm=what,
            metric=f"{metric}, median (5th … 95th percentile)",
            value=statistics.median(ordered),
            low=low,
            high=high,
            n=len(times),
            unit="ms",
            target=target,
        )


def main() -> None:
    parser = arguments("playbook_speed", __doc__ or "")
    parser.add_argument("--bullets", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=100)
    args = parser.parse_args()
    results = Results("playbook_speed", settings=vars(args), label=args.label)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "speed.db")
        book = PlaybookStore.open(store, "speed")
        add(results, "apply and persist 1 operation while growing", fill(book, args.bullets), "")
        add(results, f"near-duplicate check at {args.bullets:,} bullets", near(book, args.rounds), "≤ 10 ms")
        rng = random.Random(3)
        versions = [rng.randrange(1, args.bullets) for _ in range(args.rounds // 2)]
        times, reads = roll_back(Path(folder) / "speed.db", versions)
        add(results, f"rollback to any of {args.bullets:,} versions", times, "< 50 ms")
        add(results, "read the whole playbook after it", reads, "")
        add(results, f"apply and persist 4 operations at {args.bullets:,} bullets", edit(book, args.rounds), "≤ 20 ms")
        cold = [timed(partial(PlaybookStore.open(store, "speed").at, version)) for version in versions[:20]]
        add(results, "read any version from the database", cold, "")
        whole = Renderer(budget=10**7)
        active = book.current().active
        add(results, "render all bullets again", [timed(lambda: whole.render(active)) for _ in range(5)], "")
        add(results, f"verify hashes and replay {book.version():,} versions", [timed(book.verify)], "")
        store.close()
    if hasattr(os, "getloadavg"):
        results.note(f"load average of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
