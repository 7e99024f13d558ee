"""Recipes, which choose what a model is trained on, and controls: as many examples without the lesson.

A recipe is any object with a name, the number of attempts it needs per task, whether tasks answered wrongly are tried
again with the answer as a hint or are refined, and a method `examples`, which turns attempts into examples.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, cast, get_args

from agentkit.errors import UserError
from agentkit.json_types import JsonObject
from agentkit.training.examples import Attempt, Example, written

Control = Literal["unfiltered", "shuffled", "swapped", "independent"]
"""As many examples without the lesson: own answers, right or wrong; answers to other tasks; pairs with their sides
swapped at random; pairs of a right and a wrong answer that were sampled independently."""


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """How wrong answers are refined: the model says what is wrong with one, and answers again.

    Attributes:
        branching: refinements per answer, the first of them greedy.
        width: how many wrong refinements of each depth are refined further.
        depth: the depth of the search; 1 does not refine refinements.
        most_changed: the largest share of the answer that may change; below 1, the prompt also asks for little change.
    """

    branching: int = 1
    width: int = 1
    depth: int = 1
    most_changed: float = 1.0


class Recipe(Protocol):
    """Chooses what a model is trained on.

    Attributes:
        attempts: the number of answers per task; the first is the one that is measured.
        hinted: whether tasks that were answered wrongly are tried again with the right answer as a hint.
        refined: how wrong answers are refined; None if they are not.
    """

    @property
    def name(self) -> str: ...
    @property
    def attempts(self) -> int: ...
    @property
    def hinted(self) -> bool: ...
    @property
    def refined(self) -> Refinement | None: ...

    def examples(self, attempts: Sequence[Sequence[Attempt]], second: Sequence[Attempt]) -> list[Example]:
        """Turn attempts into examples.

        Args:
            attempts: one sequence per task, the measured attempt first; some attempts may be missing.
            second: right answers from second attempts: found with a hint, or refinements of `earlier` ones.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Own:
    """The model's own right answers (rejection sampling, as in STaR, arXiv 2203.14465, and RFT, arXiv 2308.01825).

    From a task that was answered right every time, only confidence can be learned, so the share of such examples is
    limited.

    Args:
        easy: the largest share of examples from tasks that were never answered wrongly.
    """

    attempts: int = 4
    easy: float = 0.5
    name: str = "own"
    hinted: bool = False
    refined: Refinement | None = None

    def examples(self, attempts: Sequence[Sequence[Attempt]], second: Sequence[Attempt]) -> list[Example]:
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
    """Corrections, by people or by a task's target, each paired with what the model said (after SYNFAC-EDIT, arXiv
    2402.13919); and the model's own right answers, so that it keeps its abilities."""

    attempts: int = 1
    name: str = "edits"
    hinted: bool = False
    refined: Refinement | None = None

    def examples(self, attempts: Sequence[Sequence[Attempt]], second: Sequence[Attempt]) -> list[Example]:
        first = [tries[0] for tries in attempts if tries]
        edits = [example for item in first if item.wrong and (example := item.corrected()) is not None]
        return edits + [item.own() for item in first if item.right][: max(1, len(edits))] if edits else []


@dataclass(frozen=True, kw_only=True)
class Hints:
    """The model's own right answers with their reasoning, and for tasks answered wrongly the reasoning found with the
    answer as a hint (rationalization in STaR, arXiv 2203.14465 §3.2). For runs that reason."""

    attempts: int = 1
    name: str = "hints"
    hinted: bool = True
    refined: Refinement | None = None

    def examples(self, attempts: Sequence[Sequence[Attempt]], second: Sequence[Attempt]) -> list[Example]:
        return [item.own() for tries in attempts for item in tries[:1] if item.right] + [item.own() for item in second]


@dataclass(frozen=True, kw_only=True)
class Refine:
    """Wrong answers that the model corrected after its own critique (SELF, arXiv 2310.00533) and that a check, not the
    model, found right: the corrected answer to the task, and to the task with answer and critique; and as many of the
    model's own right answers."""

    attempts: int = 1
    name: str = "refine"
    hinted: bool = False
    refined: Refinement | None = field(default_factory=Refinement)

    def examples(self, attempts: Sequence[Sequence[Attempt]], second: Sequence[Attempt]) -> list[Example]:
        made = [example for item in second for example in (_answered(item), item.own())]
        right = [tries[0].own() for tries in attempts if tries and tries[0].right]
        return made + right[: len(second)]


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Pairs of a wrong answer and the nearest right one in a tree of refinements, which differ only in what was wrong;
    and the refinements themselves (SPaR, arXiv 2412.11605). Unlike in SPaR's released code, a check decides what is
    right, and pairs that differ by more than `most_changed` are left out."""

    attempts: int = 4
    name: str = "tree"
    hinted: bool = False
    refined: Refinement | None = field(
        default_factory=lambda: Refinement(branching=3, width=2, depth=3, most_changed=0.5)
    )

    def examples(self, attempts: Sequence[Sequence[Attempt]], second: Sequence[Attempt]) -> list[Example]:
        pairs = [replace(_answered(item), rejected=item.first.said) for item in second]
        return pairs + [item.own() for item in second]


@dataclass(frozen=True, kw_only=True)
class Calls:
    """Calls of client tools (after iTool, arXiv 2501.09766): right calls, the model's own and corrected ones; and for
    each argument in which a wrong call of the model differs from the right one, a pair of calls that differ in that
    argument only. The grammar already guarantees the names of tools and arguments.

    Args:
        easy: the largest share of right calls from tasks that were never answered wrongly.
    """

    attempts: int = 4
    easy: float = 0.5
    name: str = "calls"
    hinted: bool = False
    refined: Refinement | None = None

    def examples(self, attempts: Sequence[Sequence[Attempt]], second: Sequence[Attempt]) -> list[Example]:
        right, pairs = list[Example](), list[Example]()
        for tries in attempts:
            wrong = [item for item in tries if item.wrong and item.said]
            mended = next((example for item in wrong if (example := item.corrected()) is not None), None)
            known = next((item.own() for item in tries if item.right), mended)
            if known is not None and wrong:
                right.append(replace(known, rejected=None))
                pairs += _pairs(known, wrong)
        easy = [tries[0].own() for tries in attempts if tries and all(item.right for item in tries)]
        room = round(self.easy * len(right) / (1 - self.easy)) if self.easy < 1 else len(easy)
        return [*pairs, *right, *easy[:room]] if right else []


def _pairs(right: Example, wrong: Sequence[Attempt]) -> Iterator[Example]:
    """Pairs of the right call and the same call with one argument from a wrong call, without duplicates."""
    wanted, seen = _call_in(right.answer), set[str]()
    for item in wrong:
        given = _call_in(item.said)
        if wanted is None or given is None or given["name"] != wanted["name"]:
            continue
        for name in {**wanted["arguments"], **given["arguments"]}:
            arguments = {key: value for key, value in wanted["arguments"].items() if key != name}
            if name in given["arguments"]:  # in its place
                arguments = {**wanted["arguments"], name: given["arguments"][name]}
            rejected = written({**wanted, "arguments": arguments})
            if rejected != written(wanted) and rejected not in seen:
                seen.add(rejected)
                yield replace(right, rejected=rejected)


def _call_in(text: str) -> JsonObject | None:
    """The tool call in a reply; None if the reply is an answer in words."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    called = isinstance(found, dict) and isinstance(found.get("arguments"), dict) and "name" in found
    return found if called else None


def _answered(refinement: Attempt) -> Example:
    """A refined answer, as an example for the original task."""
    return replace(refinement.own(), chat=refinement.first.chat, bare=refinement.first.bare)


RECIPES: Mapping[str, Recipe] = {item.name: item for item in (Own(), Edits(), Hints(), Refine(), Tree(), Calls())}
"""By name."""


def known_recipe(name: str) -> Recipe:
    """The recipe of that name; raise UserError if there is none."""
    if name not in RECIPES:
        raise UserError(f"no recipe {name!r}: there are {', '.join(RECIPES)}")
    return RECIPES[name]


def known_control(name: str | None) -> Control | None:
    """The control of that name; raise UserError if there is none."""
    if name is not None and name not in get_args(Control):
        raise UserError(f"no control {name!r}: there are {', '.join(get_args(Control))}")
    return cast("Control | None", name)


def control_of(
    kind: Control, examples: Sequence[Example], attempts: Sequence[Sequence[Attempt]], *, seed: int
) -> list[Example]:
    """As many examples as these, without their lesson.

    Args:
        kind: "unfiltered" takes answers, right or wrong; "shuffled" gives each prompt the answer of another example;
            "swapped" exchanges the wanted and the rejected answer in half of the pairs; "independent" makes each pair
            of a right and a wrong answer to one task that were sampled independently.

    Raises:
        UserError: there are too few attempts for this control.
    """
    rng = random.Random(seed)
    if kind == "unfiltered":
        pool = [item.own() for tries in attempts for item in tries if item.said and item.score is not None]
        if len(pool) < len(examples):
            raise UserError(f"the control needs {len(examples)} answers, but there are only {len(pool)}")
        return rng.sample(pool, len(examples))
    if kind == "swapped":
        return _swapped(examples, rng)
    if kind == "independent":
        return _independent(examples, attempts, rng)
    order = list(range(len(examples)))
    rng.shuffle(order)
    answer = {order[place]: examples[order[place - 1]].answer for place in range(len(order))}
    return [replace(example, answer=answer[place], rejected=None) for place, example in enumerate(examples)]


def _swapped(examples: Sequence[Example], rng: random.Random) -> list[Example]:
    """Swap the sides of half of the pairs; raise UserError if there are no pairs."""
    pairs = [place for place, example in enumerate(examples) if example.rejected is not None]
    if not pairs:
        raise UserError("the control 'swapped' is for recipes that make pairs: edits, tree, calls")
    turned = set(rng.sample(pairs, len(pairs) // 2))
    return [
        replace(example, answer=str(example.rejected), rejected=example.answer) if place in turned else example
        for place, example in enumerate(examples)
    ]


def _independent(
    examples: Sequence[Example], attempts: Sequence[Sequence[Attempt]], rng: random.Random
) -> list[Example]:
    """Pairs of independent answers; raise UserError if too few tasks have both right and wrong answers."""
    wanted = sum(example.rejected is not None for example in examples)
    pool = []
    for tries in attempts:
        right, wrong = ([item for item in tries if said(item)] for said in (_is_right, _is_wrong))
        if right and wrong:
            pool.append(replace(rng.choice(right).own(), rejected=rng.choice(wrong).said))
    if not wanted or len(pool) < wanted:
        why = f"{len(pool)} tasks have both right and wrong answers; make more attempts at each"
        raise UserError(f"the control 'independent' needs {wanted} pairs, and {why}")
    return [*rng.sample(pool, wanted), *(example for example in examples if example.rejected is None)]


def _is_right(attempt: Attempt) -> bool:
    return attempt.right


def _is_wrong(attempt: Attempt) -> bool:
    return attempt.wrong and bool(attempt.said)
