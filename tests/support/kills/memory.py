"""A case memory that is written, learnt from, trained and saved; its index files are damaged besides."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from pathlib import Path

import numpy as np

from agentkit.embedding import unit
from agentkit.memory import Case, CaseMemory, HashEmbedder, MemoryLearner, MemoryRecaller, PolicyStore
from agentkit.memory.policies.parametric import ParametricQ
from agentkit.memory.transfer import verify
from agentkit.protocols import Episode
from agentkit.store import Store
from agentkit.tasks import Feedback, Task
from tests.support.kills.work import Say, Work


def work(folder: Path, said: list[str], say: Say) -> None:
    """Store, learn, save, train without end; a case is acknowledged once its call has returned."""
    import agentkit.memory.training as training

    training.fit = lambda *a, **k: ParametricQ({"w1": a[0][:1]})  # type: ignore[attr-defined]  # torch takes seconds
    memory = CaseMemory.open(Store.open(folder / "a.db"), embedder=HashEmbedder(32), home=folder)
    learner, recaller = MemoryLearner(memory), MemoryRecaller(memory)
    for number in itertools.count(1000 * len(said)):
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


def _damage(folder: Path, rng: random.Random) -> None:
    """Truncate or flip a bit of most index files, which are caches."""
    for path in sorted(folder.glob("indexes/*.vectors")):
        data = bytearray(path.read_bytes())
        if data and rng.random() < 0.7:
            if rng.random() < 0.5:
                del data[rng.randrange(len(data)) :]
            else:
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(bytes(data))


def problems(folder: Path, said: list[str], stops: int, rng: random.Random) -> list[str]:
    """Everything acknowledged is there once, searches are right, and the policy is whole, though files are damaged."""
    _damage(folder, rng)
    store = Store.open(folder / "a.db")
    try:
        memory = CaseMemory.open(store, embedder=HashEmbedder(32), home=folder)
        counts = Counter(case.id for case in memory.list(limit=None))
        found = [f"{id} is there {counts[id]} times" for id in said if counts[id] != 1]
        found += _wrong_results(memory, [id for id in said if counts[id] == 1][-3:])
        policies = PolicyStore(store, "default")
        whole, replayed = policies.current(), policies.replay()
        if whole.count != replayed.count or not np.allclose(whole.mean, replayed.mean, atol=1e-9):
            found.append("the policy is not the last whole one")
        return found + [text for text in verify(memory)["problems"] if "corrupted" not in text]
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


WORK = Work(name="memory", work=work, problems=problems)
