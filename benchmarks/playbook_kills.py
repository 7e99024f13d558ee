"""Learning under random SIGKILLs: nothing unreadable, nothing lost, nothing twice, replay byte-identical.

    python -m benchmarks.playbook_kills [--kills 1000]

A worker learns run after run and writes each acknowledged run to a file; it is killed at a random moment and started
again, until it has been killed often enough. The worker forks from a warm process, so that a kill costs no start-up.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import tempfile
import time
from pathlib import Path

from agentkit.playbooks import LearningPolicy, PlaybookLearner, PlaybookRecaller, PlaybookStore, Withholding
from agentkit.store import Store
from benchmarks._playbook_world import PlantedWorld, truthful
from benchmarks._results import Results, arguments, share


def work(database: Path, acknowledged: Path, first: int) -> None:
    """Learn from one run after the other, for ever; a line is written after each, never before."""
    logging.disable()
    world = PlantedWorld(26)
    store = Store.open(database)
    book = PlaybookStore.open(store, "kills")
    recaller = PlaybookRecaller(book, withholding=Withholding(share=0.3))
    learner, roles = PlaybookLearner(book, policy=LearningPolicy(batch=2)), truthful(world)
    with acknowledged.open("a", encoding="utf-8") as log:
        number = first
        while True:
            task = world.task(number)
            block = recaller.recall_now(task.input, run_id=f"r{number}")
            learnt = asyncio.run(learner.learn(world.episode(task, block, run_id=f"r{number}"), call=roles))
            log.write(json.dumps({"run": number, "changes": learnt.changes}) + "\n")
            log.flush()
            number += 1


def run(kills: int, folder: Path, *, seed: int = 0, longest: float = 0.6) -> dict[str, int]:
    """Kill workers at random moments.

    Returns:
        counts: kills, runs acknowledged, versions, unreadable states, commits lost, commits doubled, runs learnt twice.
    """
    rng, database, acknowledged = random.Random(seed), folder / "kills.db", folder / "acknowledged.jsonl"
    Store.open(database).close()
    counts = dict.fromkeys(("kills", "unreadable", "lost", "twice"), 0)
    for kill in range(1, kills + 1):
        pid = os.fork()
        if pid == 0:
            try:
                work(database, acknowledged, _next_run(acknowledged))
            finally:
                os._exit(1)
        time.sleep(rng.uniform(0.005, longest))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        counts["kills"] += os.WIFSIGNALED(status)
        if acknowledged.exists() and kill % 25 == 0:
            counts["unreadable"] += check(database, acknowledged)["unreadable"]
    last = check(database, acknowledged)
    return counts | last | {"unreadable": counts["unreadable"] + last["unreadable"]}


def check(database: Path, acknowledged: Path) -> dict[str, int]:
    """What is wrong with what is left; `verify` compares the tables with a replay of the ledger, byte for byte."""
    store = Store.open(database)
    book = PlaybookStore.open(store, "kills")
    versions = book.verify()
    replayed = json.dumps(book.replay().playbook().to_json())
    applied = book.ledger.applied(book.target)
    known = {change.id for change in applied}
    done = [json.loads(line) for line in acknowledged.read_text(encoding="utf-8").splitlines()]
    lost = sum(change not in known for row in done for change in row["changes"])
    keys = [change.key for change in applied]
    with store.read() as connection:
        intact = connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    result = {"acknowledged": len(done), "versions": versions, "lost": lost, "twice": len(keys) - len(set(keys))}
    result["unreadable"] = int(not intact or replayed != json.dumps(book.current().to_json()))
    store.close()
    return result


def _next_run(acknowledged: Path) -> int:
    """The last acknowledged run again, to see that it is not learnt twice; then the one that was cut off."""
    lines = acknowledged.read_text(encoding="utf-8").splitlines() if acknowledged.exists() else []
    return int(json.loads(lines[-1])["run"]) if lines else 0


def main() -> None:
    parser = arguments("playbook_kills", __doc__ or "")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    results = Results("playbook_kills", settings=vars(args), label=args.label)
    with tempfile.TemporaryDirectory() as folder:
        counts = run(args.kills, Path(folder), seed=args.seed)
    for name in ("unreadable", "lost", "twice"):
        n = counts["kills"] if name == "unreadable" else counts["acknowledged"]
        results.add(arm="SIGKILL", metric=f"{name} states or commits", **share(counts[name], n), target="0")
    for name in ("kills", "acknowledged", "versions"):
        results.add(arm="SIGKILL", metric=name, value=counts[name])
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
