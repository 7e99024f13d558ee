"""The demo's tasks, drawn from a seed: numbers, names, and a folder of text generated for them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentkit import Task


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A task to show, and what its agent can use."""

    name: str
    title: str
    task: Task
    options: dict[str, Any] = field(default_factory=dict)


def draw(seed: int, folder: Path) -> list[Scene]:
    """Three scenes; the same for the same seed.

    Args:
        seed: any whole number.
        folder: an empty folder for the documents of the second scene.
    """
    chance = random.Random(seed)
    return [_arithmetic(chance), _folder(chance, folder), _repair(chance)]


_STORES = (
    ("A freight train has {a} wagons and each wagon carries {b} sacks", "sacks", "train"),
    ("A stadium has {a} rows and each row has {b} seats", "seats", "stadium"),
    ("An orchard has {a} trees and each tree bears {b} plums", "plums", "orchard"),
    ("A mosaic has {a} panels and each panel is made of {b} tiles", "tiles", "mosaic"),
)


def _arithmetic(chance: random.Random) -> Scene:
    told, things, whole = chance.choice(_STORES)
    a, b = chance.randint(1_100, 8_900), chance.randint(1_100, 8_900)
    return Scene(
        name="arithmetic",
        title="Arithmetic with a tool",
        task=Task(
            id="arithmetic",
            input=f"{told.format(a=a, b=b)}. How many {things} are there in the whole {whole}?",
            target=str(a * b),
            checker="numeric",
        ),
        options={"tools": ["calculator"]},
    )


_PLACES = ("Alder Mill", "Brook Street", "Cobbler's Yard", "Dyer's Wharf", "Elm Cross", "Foundry Row")
_THINGS = (
    "ladders",
    "tents",
    "cameras",
    "sewing machines",
    "telescopes",
    "pressure washers",
    "record players",
    "kayaks",
)


def _folder(chance: random.Random, folder: Path) -> Scene:
    place, things = chance.choice(_PLACES), chance.sample(_THINGS, 4)
    days, fees = chance.sample(range(12, 90), 4), chance.sample(range(2, 19), 4)
    loans = [
        f"## {thing.capitalize()}\n\nBorrowed {thing} are due back after {due} days.\n"
        for thing, due in zip(things, days, strict=True)
    ]
    prices = [f"A day late costs {fee} crowns for {thing}." for thing, fee in zip(things, fees, strict=True)]
    documents = {
        "loans.md": f"# Loans\n\nThe {place} Lending Shed lends to whoever lives nearby.\n\n" + "\n".join(loans),
        "fees.md": "# Fees\n\n" + "\n\n".join(prices) + "\n",
        "visiting.md": f"# Visiting\n\nThe shed is behind the school at {place}. It is open on Fridays.\n",
    }
    for name, text in documents.items():
        (folder / name).write_text(text, encoding="utf-8")
    return Scene(
        name="folder",
        title="A question over a folder of text",
        task=Task(
            id="folder",
            input=f"After how many days are borrowed {things[0]} due back at the {place} Lending Shed? Search the "
            "folder; answer with the number.",
            target=str(days[0]),
            checker="numeric",
        ),
        options={"tools": ["search", "read_file"], "root": folder},
    )


_FUNCTIONS: tuple[tuple[str, str, Callable[[list[int]], float]], ...] = (
    ("mean", "the average", lambda numbers: sum(numbers) / len(numbers)),
    ("spread", "the largest minus the smallest", lambda numbers: max(numbers) - min(numbers)),
    ("midpoint", "half of the smallest plus the largest", lambda numbers: (min(numbers) + max(numbers)) / 2),
)


def _repair(chance: random.Random) -> Scene:
    name, told, right = chance.choice(_FUNCTIONS)
    lists = [[chance.randrange(2, 60, 2) for _ in range(length)] for length in (3, 1, 4)]
    empty = chance.choice((None, -1))
    lines = [f"assert {name}({numbers}) == {right(numbers)!r}" for numbers in lists]
    lines += [
        "try:",
        f"    got = {name}([])",
        "except Exception as error:",
        "    got = 'an error'",
        f"assert got == {empty!r}, f'{name}([]) gives {{got}}; it must return {empty!r}'",
    ]
    return Scene(
        name="repair",
        title="A first answer that is rejected and repaired",
        task=Task(
            id="repair",
            input=f"Write a Python function `{name}(numbers)` that returns {told} of a list of numbers. Answer with "
            "the code alone.",
            checker={"name": "tests", "code": "\n".join(lines)},
        ),
        options={"tools": [], "max_rounds": 4},
    )
