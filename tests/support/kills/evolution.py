"""Evolutions in a planted world: each ends in the state of one that was left alone."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

from agentkit.aio import run_sync
from agentkit.store import Store
from tests.evolution.worlds import build, final_state
from tests.support.kills.work import Say, Work, number_of


def evolve(folder: Path, name: str) -> None:
    """Evolve in a database of that name, from its beginning or where it was stopped, and write what came of it."""
    store = Store.open(folder / f"{name}.db")
    evolution, _, _ = build(store)
    state = final_state(store, run_sync(evolution.run()))
    store.close()
    part = folder / f"{name}.part"
    part.write_text(json.dumps(state, sort_keys=True), encoding="utf-8")
    part.replace(folder / f"{name}.json")


def prepare(folder: Path) -> None:
    evolve(folder, "calm")


def work(folder: Path, said: list[str], say: Say) -> None:
    for number in itertools.count(number_of(said)):
        evolve(folder, str(number))
        say(str(number))


def problems(folder: Path, said: list[str], stops: int, rng: random.Random) -> list[str]:
    calm = (folder / "calm.json").read_bytes()
    return [f"evolution {name} ended otherwise" for name in said if (folder / f"{name}.json").read_bytes() != calm]


WORK = Work(name="evolve", prepare=prepare, work=work, problems=problems)
