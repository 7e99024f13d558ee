"""Work that may be killed at any instant: writes, learning, training, saving; each is acknowledged on its own line."""

from __future__ import annotations

import sys
from pathlib import Path

from agentkit.memory import Case, CaseMemory, HashEmbedder, MemoryLearner, MemoryRecaller
from agentkit.memory.policies.parametric import ParametricQ
from agentkit.memory.training import train
from agentkit.recall import Episode
from agentkit.store import Store
from agentkit.tasks import Feedback, Task


def open_memory(folder: Path) -> CaseMemory:
    return CaseMemory.open(Store.open(folder / "a.db"), embedder=HashEmbedder(32), home=folder)


def work(folder: Path, start: int) -> None:
    """Store, learn, save, train; a case is acknowledged once its call has returned."""
    import agentkit.memory.training as training

    training.fit = lambda *a, **k: ParametricQ({"w1": a[0][:1]})  # torch takes seconds to import
    memory = open_memory(folder)
    learner, recaller = MemoryLearner(memory), MemoryRecaller(memory)
    print("ready", flush=True)
    for number in range(start, start + 10_000):
        memory.add(Case(id=f"a{number}", state=f"topic {number}", plan="p", reward=1.0))
        print(f"a{number}", flush=True)
        recaller.recall_now(f"topic {number}", run_id=f"r{number}")
        feedback = (Feedback(channel="check", score=1.0),)
        task = Task(id="t", input=f"matter {number}")
        learner.learn_now(Episode(run_id=f"r{number}", task=task, labels="check", answer="x", feedback=feedback))
        print(f"r{number}", flush=True)
        memory.save()
        if number % 5 == 4:
            train(memory)


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]))
