"""Kills a process that writes, learns, trains and saves at random instants, damages its index files, and checks."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from agentkit.memory import CaseMemory, HashEmbedder, PolicyStore
from agentkit.memory.transfer import verify
from agentkit.store import Store
from benchmarks._results import Results, arguments

WORKER = Path(__file__).parent.parent / "tests" / "memory" / "killed.py"


def torture(folder: Path, *, kills: int, seed: int = 0) -> dict[str, Any]:
    """Kill and restart on one database; after each kill everything acknowledged must be there once.

    Returns:
        counts and `problems`, empty where all held.
    """
    rng, acknowledged, problems = random.Random(seed), set[str](), list[str]()
    for kill in range(kills):
        acknowledged |= _killed_run(folder, start=1000 * kill, seconds=rng.uniform(0.0, 0.5))
        _damage(folder, rng)
        problems += [f"kill {kill}: {text}" for text in _check(folder, acknowledged)]
    return {"kills": kills, "acknowledged": len(acknowledged), "problems": problems}


def _killed_run(folder: Path, *, start: int, seconds: float) -> set[str]:
    environment = {**os.environ, "PYTHONPATH": str(WORKER.parent.parent.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(WORKER), str(folder), str(start)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    assert process.stdout is not None
    process.stdout.readline()  # it is ready
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    lines = process.stdout.read().split("\n")[:-1]  # a line cut short was not acknowledged
    process.wait()
    process.stdout.close()
    timer.join()
    return set(lines)


def _damage(folder: Path, rng: random.Random) -> None:
    for path in folder.glob("indexes/*.vectors"):
        data = bytearray(path.read_bytes())
        if data and rng.random() < 0.7:
            if rng.random() < 0.5:
                del data[rng.randrange(len(data)) :]
            else:
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(bytes(data))


def _check(folder: Path, acknowledged: set[str]) -> list[str]:
    store = Store.open(folder / "a.db")
    try:
        memory = CaseMemory.open(store, embedder=HashEmbedder(32), home=folder)
        counts = Counter(case.id for case in memory.list(limit=None))
        problems = [f"{id} is there {counts[id]} times" for id in acknowledged if counts[id] != 1]
        for id in sorted(acknowledged)[-3:]:
            case = memory.get(id)
            best = memory.search(case.state, 1)[0].case
            if best.state != case.state:
                problems.append(f"a search for {case.state!r} found {best.state!r}")
        policies = PolicyStore(store, "default")
        whole, replayed = policies.current(), policies.replay()
        if whole.count != replayed.count or not np.allclose(whole.mean, replayed.mean, atol=1e-9):
            problems.append("the policy is not the last whole one")
        return problems + [text for text in verify(memory)["problems"] if "corrupted" not in text]
    finally:
        store.close()


def main() -> None:
    parser = arguments("memory_kills", __doc__)
    parser.add_argument("--kills", type=int, default=500)
    args = parser.parse_args()
    results = Results("memory_kills", settings=vars(args), label=args.label)
    with tempfile.TemporaryDirectory() as folder:
        report = torture(Path(folder), kills=args.kills)
    results.add(arm="SIGKILL and damaged index files", metric="kills", value=report["kills"])
    results.add(arm="SIGKILL and damaged index files", metric="acknowledged cases", value=report["acknowledged"])
    results.add(arm="SIGKILL and damaged index files", metric="problems", value=len(report["problems"]), target="0")
    for problem in report["problems"][:20]:
        results.note(problem)
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
