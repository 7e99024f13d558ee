"""Several writers and readers on one memory; `benchmarks/memory_together.py` runs them for a minute."""

from __future__ import annotations

import multiprocessing
import queue
import threading
from pathlib import Path

from agentkit.memory import Case, CaseMemory, HashEmbedder
from agentkit.store import Store

EACH = 25


def test_writers_and_readers_lose_nothing_and_read_their_own_writes(any_store: Store) -> None:
    problems: queue.Queue[str] = queue.Queue()

    def write(number: int) -> None:
        memory = CaseMemory.open(any_store, embedder=HashEmbedder(32))
        for i in range(EACH):
            case = memory.add(Case(id=f"w{number}-{i}", state=f"writer {number} item {i}", plan="p"))
            if memory.search(case.state, 1)[0].case.id != case.id:
                problems.put(f"{case.id} was not read back")

    def read() -> None:
        memory = CaseMemory.open(any_store, embedder=HashEmbedder(32))
        for i in range(EACH):
            ids = [hit.case.id for hit in memory.search(f"writer {i % 4} item {i}", 4)]
            if len(ids) != len(set(ids)):
                problems.put("a case came twice")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    threads += [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems.empty(), problems.get()
    assert CaseMemory.open(any_store, embedder=HashEmbedder(32)).count() == 8 * EACH


def _write(path: str, number: int) -> None:
    memory = CaseMemory.open(Store.open(path), embedder=HashEmbedder(32))
    for i in range(EACH):
        case = memory.add(Case(id=f"p{number}-{i}", state=f"process {number} item {i}", plan="p"))
        assert memory.search(case.state, 1)[0].case.id == case.id


def test_processes_share_one_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    memory = CaseMemory.open(Store.open(path), embedder=HashEmbedder(32))
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write, args=(str(path), number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert memory.count() == 3 * EACH
    assert memory.search("process 2 item 7", 1)[0].case.id == "p2-7"
