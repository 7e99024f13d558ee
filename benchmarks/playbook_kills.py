"""Learning under random SIGKILLs: nothing unreadable, nothing lost, nothing twice, replay byte-identical.

    python -m benchmarks.playbook_kills [--kills 1000]

A worker learns run after run and writes each acknowledged run to a file; it is killed at a random moment and started
again, until it has been killed often enough. Every run teaches something new, and the curator updates, merges, splits
and retires, so that a kill always finds a change in the making. Workers fork from a warm process, so that a kill costs
no start-up.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import re
import select
import signal
import tempfile
import time
from pathlib import Path

from agentkit.playbooks import LearningPolicy, PlaybookLearner, PlaybookRecaller, PlaybookStore, Withholding
from agentkit.roles.curator import CuratorDelta, CuratorOperation
from agentkit.roles.reflector import BulletJudgement
from agentkit.store import Store
from benchmarks._playbook_world import PlantedWorld, Roles
from benchmarks._results import Results, arguments, share
from benchmarks.playbook_speed import lesson

SIZE = 60
"""Bullets above which the curator retires one for each it adds."""


def roles() -> Roles:
    """A reflector with a new lesson for every order, and a curator that uses every operation there is.

    Both depend on their prompt alone: a repeated call says the same.
    """

    def reflect(prompt: str) -> list[str]:
        number = re.findall(r"Close (?:\w+) order (\d+)", prompt)[-1]
        return [lesson(random.Random(number), int(number))]

    def curate(prompt: str) -> CuratorDelta:
        ids = re.findall(r"^\[(\w{8})\]", prompt, re.MULTILINE)
        new = re.findall(r"<lesson>\n(.*)", prompt)
        rng = random.Random(new[-1])
        found = [CuratorOperation(op="add", texts=[text]) for text in new]
        if len(ids) > 4:
            one, two, three, four = rng.sample(ids, 4)
            text = f"In short: {new[0][:200]}"
            found += rng.choice(
                (
                    [CuratorOperation(op="update", ids=[one], texts=[text])],
                    [CuratorOperation(op="merge", ids=[one, two], texts=[text])],
                    [CuratorOperation(op="split", ids=[one], texts=[text, f"And also {text}"])],
                    [CuratorOperation(op="retire", ids=[one])],
                )
            )
            found += [CuratorOperation(op="retire", ids=[three]), CuratorOperation(op="retire", ids=[four])] * (
                len(ids) > SIZE
            )
        return CuratorDelta(reasoning="", operations=found)

    def judge(prompt: str) -> list[BulletJudgement]:
        shown = re.findall(r"^(\w{8}): ", prompt, re.MULTILINE)
        return [BulletJudgement(id=id, verdict=random.Random(id).choice(("helpful", "harmful"))) for id in shown]

    return Roles(reflect, curate=curate, judge=judge)


def work(database: Path, acknowledged: Path, first: int, ready: int | None = None, last: int = 10**9) -> None:
    """Learn from one run after the other; a line is written after each, never before.

    Args:
        ready: a file descriptor that is told when learning begins.
    """
    world = PlantedWorld(26)
    store = Store.open(database)
    book = PlaybookStore.open(store, "kills")
    recaller = PlaybookRecaller(book, withholding=Withholding(share=0.3))
    learner, call = PlaybookLearner(book, policy=LearningPolicy(batch=2, curate="always")), roles()
    with acknowledged.open("a", encoding="utf-8") as log:
        if ready is not None:
            os.write(ready, b"!")
        for number in range(first, last):
            task = world.task(number).model_copy(update={"input": f"Close amber order {number} with its code."})
            block = recaller.recall_now(task.input, run_id=f"r{number}")
            cited = tuple(offer.id for offer in block.offers[:3] if offer.shown) if block else ()
            episode = world.episode(task, block, run_id=f"r{number}", cited=cited)
            learnt = asyncio.run(learner.learn(episode, call=call))
            log.write(json.dumps({"run": number, "changes": learnt.changes}) + "\n")
            log.flush()
    store.close()


def run(kills: int, folder: Path, *, seed: int = 0, longest: float = 1.0) -> dict[str, int]:
    """Kill workers at random moments: nine of ten after learning has begun, the others even while they start.

    Returns:
        counts: kills, runs learnt from, versions, operations, unreadable states, commits lost, commits doubled.
    """
    rng, database, acknowledged = random.Random(seed), folder / "kills.db", folder / "acknowledged.jsonl"
    Store.open(database).close()
    work(folder / "warm.db", folder / "warm.jsonl", 0, last=4)
    counts = dict.fromkeys(("kills", "unreadable"), 0)
    for kill in range(1, kills + 1):
        begun, ready = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                logging.disable()
                work(database, acknowledged, _next_run(acknowledged), ready)
            finally:
                os._exit(1)
        if rng.random() < 0.9:
            select.select([begun], [], [], 60)
        os.close(begun)
        os.close(ready)
        time.sleep(rng.uniform(0.005, longest))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        counts["kills"] += os.WIFSIGNALED(status)
        if acknowledged.exists() and kill % 50 == 0:
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
    known = {change.id for change in book.ledger.history(book.target)}
    done = [json.loads(line) for line in acknowledged.read_text(encoding="utf-8").splitlines()]
    lost = sum(change not in known for row in done for change in row["changes"])
    work = [(change.run_id, change.key.rpartition(":")[2]) for change in applied]
    with store.read() as connection:
        intact = connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    result = {
        "runs": len({row["run"] for row in done}),
        "versions": versions,
        "lost": lost,
        "twice": len(work) - len(set(work)),
    }
    result["operations"] = sum(len(change.operations) for change in applied)
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
    parser.add_argument("--longest", type=float, default=1.0, help="seconds a worker learns at most")
    args = parser.parse_args()
    results = Results("playbook_kills", settings=vars(args), label=args.label)
    with tempfile.TemporaryDirectory() as folder:
        counts = run(args.kills, Path(folder), seed=args.seed, longest=args.longest)
    for name in ("unreadable", "lost", "twice"):
        n = counts["kills"] if name == "unreadable" else counts["versions"]
        results.add(arm="SIGKILL", metric=f"{name} states or commits", **share(counts[name], n), target="0")
    for name in ("kills", "runs", "versions", "operations"):
        results.add(arm="SIGKILL", metric=name, value=counts[name])
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
