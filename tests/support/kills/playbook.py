"""A playbook that learns run after run: nothing unreadable, nothing lost, nothing twice, replay byte-identical.

Every run teaches something new, and the curator updates, merges, splits and retires, so that a stop always finds a
change in the making.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from pathlib import Path

from agentkit.aio import run_sync
from agentkit.playbooks import LearningPolicy, PlaybookLearner, PlaybookRecaller, PlaybookStore, Withholding
from agentkit.roles.curator import CuratorDelta, CuratorOperation
from agentkit.roles.reflector import BulletJudgement
from agentkit.store import Store
from tests.support.kills.work import Say, Work
from tests.support.playbook_world import PlantedWorld, Roles, lesson

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


def work(folder: Path, said: list[str], say: Say) -> None:
    """Learn from one run after the other; the last acknowledged one is learnt from again."""
    world = PlantedWorld(26)
    book = PlaybookStore.open(Store.open(folder / "a.db"), "kills")
    recaller = PlaybookRecaller(book, withholding=Withholding(share=0.3))
    learner, call = PlaybookLearner(book, policy=LearningPolicy(batch=2, curate="always")), roles()
    for number in itertools.count(json.loads(said[-1])["run"] if said else 0):
        task = world.task(number).model_copy(update={"input": f"Close amber order {number} with its code."})
        block = recaller.recall_now(task.input, run_id=f"r{number}")
        cited = tuple(offer.id for offer in block.offers[:3] if offer.shown) if block else ()
        episode = world.episode(task, block, run_id=f"r{number}", cited=cited)
        learnt = run_sync(learner.learn(episode, call=call))
        say(json.dumps({"run": number, "changes": learnt.changes}))


def problems(folder: Path, said: list[str], stops: int, rng: random.Random) -> list[str]:
    """`verify` compares the tables with a replay of the ledger, byte for byte."""
    store = Store.open(folder / "a.db")
    book = PlaybookStore.open(store, "kills")
    book.verify()
    known = {change.id for change in book.ledger.history(book.target)}
    done = [change for line in said for change in json.loads(line)["changes"]]
    work = [(change.run_id, change.key.rpartition(":")[2]) for change in book.ledger.applied(book.target)]
    with store.read() as connection:
        intact = connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    found = [] if intact else ["the database is broken"]
    if json.dumps(book.replay().playbook().to_json()) != json.dumps(book.current().to_json()):
        found.append("the playbook is not what a replay gives")
    found += [f"change {change} is lost" for change in done if change not in known]
    found += [f"{len(work) - len(set(work))} changes are there twice"] if len(work) != len(set(work)) else []
    store.close()
    return found


WORK = Work(name="playbook", work=work, problems=problems)
