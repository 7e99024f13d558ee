"""Recipes: what of a model's attempts it is trained on, and the same number of examples without a lesson in them.

A recipe is any object with a name, a number of attempts it wants for each task, whether the wrong ones are tried again
with the answer as a hint, and `examples`, which turns attempts into examples.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, cast, get_args

from agentkit.errors import UserError
from agentkit.training.examples import Attempt, Example

Control = Literal["unfiltered", "shuffled"]
"""Examples of equal number that hold no lesson: own answers whether right or not, or answers of other tasks."""


class Recipe(Protocol):
    """Chooses what a model is trained on.

    Attributes:
        attempts: answers wanted for each task; the first is the one that is measured.
        hinted: whether tasks that were answered wrongly are tried again with the right answer as a hint.
    """

    @property
    def name(self) -> str: ...
    @property
    def attempts(self) -> int: ...
    @property
    def hinted(self) -> bool: ...

    def examples(self, attempts: Sequence[Sequence[Attempt]], hinted: Sequence[Attempt]) -> list[Example]:
        """Examples of attempts.

        Args:
            attempts: of each task, the measured one first; of which some may be missing.
            hinted: right answers that were found with a hint, whose prompts hold none.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Own:
    """The model's own right answers (rejection sampling, as in STaR, arXiv 2203.14465, and RFT, arXiv 2308.01825).

    Of a task that was answered rightly each time there is nothing to learn but confidence, so that only a share of the
    examples may be of such tasks.

    Args:
        easy: the largest share of examples of tasks that were never answered wrongly.
    """

    attempts: int = 4
    easy: float = 0.5
    name: str = "own"
    hinted: bool = False

    def examples(self, attempts: Sequence[Sequence[Attempt]], hinted: Sequence[Attempt]) -> list[Example]:
        hard, easy = [], []
        for tries in attempts:
            right = {item.said: item for item in tries if item.right}
            chosen = [item.own() for item in right.values()]
            if len(tries) > 1 and all(item.right for item in tries):
                easy += chosen[:1]
            else:
                hard += chosen
        room = round(self.easy * len(hard) / (1 - self.easy)) if self.easy < 1 else len(easy)
        return hard + easy[: max(room, 0 if hard else len(easy))]


@dataclass(frozen=True, kw_only=True)
class Edits:
    """Corrections, by people or by a task's target, each beside what the model said (after SYNFAC-EDIT, arXiv
    2402.13919); and its own right answers, so that it keeps what it can do."""

    attempts: int = 1
    name: str = "edits"
    hinted: bool = False

    def examples(self, attempts: Sequence[Sequence[Attempt]], hinted: Sequence[Attempt]) -> list[Example]:
        first = [tries[0] for tries in attempts if tries]
        edits = [example for item in first if item.wrong and (example := item.corrected()) is not None]
        return edits + [item.own() for item in first if item.right][: max(1, len(edits))] if edits else []


@dataclass(frozen=True, kw_only=True)
class Hints:
    """Own right answers with their reasoning, and for tasks that were answered wrongly the reasoning that was found
    with the answer as a hint (rationalization, STaR, arXiv 2203.14465 §3.2). For runs that reason."""

    attempts: int = 1
    name: str = "hints"
    hinted: bool = True

    def examples(self, attempts: Sequence[Sequence[Attempt]], hinted: Sequence[Attempt]) -> list[Example]:
        return [item.own() for tries in attempts for item in tries[:1] if item.right] + [item.own() for item in hinted]


RECIPES: Mapping[str, Recipe] = {"own": Own(), "edits": Edits(), "hints": Hints()}
"""By name."""


def known_recipe(name: str) -> Recipe:
    """Raises UserError where there is no such recipe."""
    if name not in RECIPES:
        raise UserError(f"no recipe {name!r}: there are {', '.join(RECIPES)}")
    return RECIPES[name]


def known_control(name: str | None) -> Control | None:
    """Raises UserError where there is no such control."""
    if name is not None and name not in get_args(Control):
        raise UserError(f"no control {name!r}: there are {', '.join(get_args(Control))}")
    return cast("Control | None", name)


def control_of(
    kind: Control, examples: Sequence[Example], attempts: Sequence[Sequence[Attempt]], *, seed: int
) -> list[Example]:
    """As many examples as these, without their lesson.

    Args:
        kind: "unfiltered" takes first answers, whether right or wrong; "shuffled" gives each prompt the answer of
            another example.

    Raises:
        UserError: too few attempts for it.
    """
    rng = random.Random(seed)
    if kind == "unfiltered":
        pool = [item.own() for tries in attempts for item in tries if item.said and item.score is not None]
        if len(pool) < len(examples):
            raise UserError(f"the control needs {len(examples)} answers, and there are {len(pool)}")
        return rng.sample(pool, len(examples))
    order = list(range(len(examples)))
    rng.shuffle(order)
    answer = {order[place]: examples[order[place - 1]].answer for place in range(len(order))}
    return [replace(example, answer=answer[place], rejected=None) for place, example in enumerate(examples)]
