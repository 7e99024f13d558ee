"""Kills a process that writes, learns, trains and saves at random instants, damages its index files, and checks."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from agentkit.embedding import unit
from agentkit.memory import Case, CaseMemory, HashEmbedder, MemoryLearner, MemoryRecaller, PolicyStore
from agentkit.memory.policies.parametric import ParametricQ
from agentkit.memory.transfer import verify
from agentkit.protocols import Episode
from agentkit.store import Store
from agentkit.tasks import Feedback, Task
from benchmarks._results import Results, arguments

_PRELOAD = ["agentkit.memory.recaller", "agentkit.memory.training", "agentkit.memory.features", "scipy.linalg", "faiss"]
"""What a worker needs, imported once for all of them."""


def torture(folder: Path, *, kills: int, seed: int = 0) -> dict[str, Any]:
    """Kill and restart on one database; after each kill everything acknowledged must be there once.

    Returns:
        counts and `problems`, empty where all held.
    """
    rng, acknowledged, problems = random.Random(seed), set[str](), list[str]()
    damaged: Counter[str] = Counter()
    for kill in range(kills):
        acknowledged |= _killed_run(folder, start=1000 * kill, seconds=rng.uniform(0.0, 1.2))
        damaged.update(_damage(folder, rng))
        problems += [f"kill {kill}: {text}" for text in _check(folder, acknowledged)]
        if kill % 25 == 24:
            print(f"{kill + 1} kills, {len(acknowledged)} acknowledged, {len(problems)} problems", file=sys.stderr)
    return {"kills": kills, "acknowledged": len(acknowledged), "damaged": dict(damaged), "problems": problems}


def _killed_run(folder: Path, *, start: int, seconds: float) -> set[str]:
    """Work in a process of its own until it is killed; returns what it acknowledged."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(folder, start, writer))
    process.start()
    writer.close()
    pipe = os.fdopen(os.dup(reader.fileno()), encoding="utf-8")
    reader.close()
    pipe.readline()  # it is ready
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    with pipe:
        lines = pipe.read().split("\n")[:-1]  # a line cut short was not acknowledged
    process.join()
    timer.join()
    if process.exitcode != -signal.SIGKILL:
        raise RuntimeError(f"the worker ended by itself with {process.exitcode}")
    return set(lines)


def work(folder: Path, start: int, pipe: Connection) -> None:
    """Store, learn, save, train without end; a case is acknowledged once its call has returned."""
    import agentkit.memory.training as training

    def say(line: str) -> None:
        os.write(pipe.fileno(), f"{line}\n".encode())

    training.fit = lambda *a, **k: ParametricQ({"w1": a[0][:1]})  # type: ignore[attr-defined]  # torch takes seconds
    memory = CaseMemory.open(Store.open(folder / "a.db"), embedder=HashEmbedder(32), home=folder)
    learner, recaller = MemoryLearner(memory), MemoryRecaller(memory)
    say("ready")
    for number in itertools.count(start):
        memory.add(Case(id=f"a{number}", state=f"topic {number}", plan="p", reward=1.0))
        say(f"a{number}")
        recaller.recall_now(f"topic {number}", run_id=f"r{number}")
        feedback = (Feedback(channel="check", score=1.0),)
        task = Task(id="t", input=f"matter {number}")
        learner.learn_now(Episode(run_id=f"r{number}", task=task, labels="check", answer="x", feedback=feedback))
        say(f"r{number}")
        memory.save()
        if number % 5 == 4 and memory.count() > 8:
            training.train(memory)


def _damage(folder: Path, rng: random.Random) -> list[str]:
    """Truncate or flip a bit of most index files; says what was done."""
    done = []
    for path in sorted(folder.glob("indexes/*.vectors")):
        data = bytearray(path.read_bytes())
        if data and rng.random() < 0.7:
            done.append(rng.choice(["truncated", "bit flipped"]))
            if done[-1] == "truncated":
                del data[rng.randrange(len(data)) :]
            else:
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(bytes(data))
    return done


def _check(folder: Path, acknowledged: set[str]) -> list[str]:
    store = Store.open(folder / "a.db")
    try:
        memory = CaseMemory.open(store, embedder=HashEmbedder(32), home=folder)
        counts = Counter(case.id for case in memory.list(limit=None))
        problems = [f"{id} is there {counts[id]} times" for id in acknowledged if counts[id] != 1]
        problems += _wrong_results(memory, sorted(acknowledged)[-3:])
        policies = PolicyStore(store, "default")
        whole, replayed = policies.current(), policies.replay()
        if whole.count != replayed.count or not np.allclose(whole.mean, replayed.mean, atol=1e-9):
            problems.append("the policy is not the last whole one")
        return problems + [text for text in verify(memory)["problems"] if "corrupted" not in text]
    finally:
        store.close()


def _wrong_results(memory: CaseMemory, ids: list[str]) -> list[str]:
    """Searches whose scores differ from those of the vectors in the rows."""
    embedder, problems = memory.embedder, []
    with memory.store.read() as connection:
        rows = [
            np.frombuffer(blob or b"", dtype="<f4")
            for _, blob in memory.rows.vectors(connection, "state", embedder.name, 0)
        ]
    for id in ids:
        case = memory.get(id)
        query = unit(np.array([embedder.embed_query(case.state)], dtype=np.float32), embedder.dimension)[0]
        wanted = np.sort(np.stack(rows) @ query)[::-1][:8]
        hits = memory.search(case.state, 8)
        scores = [hit.score for hit in hits]
        own = [unit(np.array([embedder.embed_query(h.case.state)]), embedder.dimension)[0] @ query for h in hits]
        if not (np.allclose(scores, wanted, atol=1e-5) and np.allclose(scores, own, atol=1e-5)):
            problems.append(f"a search for {case.state!r} gave {scores}, not {wanted.tolist()}")
    return problems


def main() -> None:
    parser = arguments("memory_kills", __doc__)
    parser.add_argument("--kills", type=int, default=500)
    args = parser.parse_args()
    results = Results("memory_kills", settings=vars(args), label=args.label)
    with tempfile.TemporaryDirectory() as folder:
        report = torture(Path(folder), kills=args.kills)
    results.add(arm="SIGKILL and damaged index files", metric="kills", value=report["kills"])
    results.add(arm="SIGKILL and damaged index files", metric="acknowledged cases", value=report["acknowledged"])
    for kind, count in sorted(report["damaged"].items()):
        results.add(arm="SIGKILL and damaged index files", metric=f"index files {kind}", value=count)
    results.add(arm="SIGKILL and damaged index files", metric="problems", value=len(report["problems"]), target="0")
    for problem in report["problems"][:20]:
        results.note(problem)
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
