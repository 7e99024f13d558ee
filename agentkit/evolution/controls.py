"""Control arms: what a gain must beat before it can be attributed to what was learnt.

A longer prompt alone can help, and so can any worked example. So the learnt context is compared with advice of the same
length that was not learnt, with the cases of some other task, and with the task's full text if it has one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agentkit.protocols import Block, Recaller
from agentkit.tasks import Task

_ADVICE = (
    "Read the whole task before you begin and note what is being asked for.",
    "Check that the final result answers the question that was actually put.",
    "Write down the known quantities first and give each one a clear name.",
    "Prefer the simplest method that is certain to give the right result.",
    "If two readings of the task are possible, take the more common one.",
    "Work in small steps and look at each intermediate result with suspicion.",
    "Keep units and signs in view from the first line to the last.",
    "A result of an unexpected size is a reason to go over the work again.",
    "Do not round before the end, and round only as the task asks.",
    "Leave out whatever does not contribute to the answer.",
    "Look for words that change the meaning, such as not, each, total or per.",
    "When a tool is at hand that does a step reliably, let the tool do it.",
    "Compare the answer with a rough estimate made beforehand.",
    "State the answer once, in the form that was requested, and stop.",
    "Familiar tasks deserve the same care as new ones.",
    "Use the names and the wording of the task in the answer.",
)
"""Sound advice that contains nothing specific to any data set."""

_LEAD = re.compile(r"^(\[[^\]]*\]\s*(?:\([^)]*\)\s*)?)(.*)$")


@dataclass(frozen=True)
class RandomBullets:
    """The learnt playbook with every lesson replaced by general advice of the same length; ids and layout stay."""

    learned: Recaller
    seed: int = 0

    @property
    def name(self) -> str:
        return self.learned.name

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        block = await self.learned.recall(task, run_id=run_id)
        return None if block is None else replace(block, text=scrambled(block.text, seed=self.seed))


def scrambled(text: str, *, seed: int = 0) -> str:
    """Replace the words of each bullet line by advice of the same number of characters."""
    return "\n".join(_advice(line, f"{seed}/{number}") for number, line in enumerate(text.split("\n")))


def _advice(line: str, seed: str) -> str:
    found = _LEAD.match(line)
    if found is None or not found[2]:
        return line
    rng, words = random.Random(seed), ""
    while len(words) < len(found[2]):
        words += (" " if words else "") + rng.choice(_ADVICE)
    return found[1] + words[: len(found[2])]


@dataclass(frozen=True)
class OthersCases:
    """The block recalled for another task, drawn at random: real cases, but not matching ones."""

    learned: Recaller
    tasks: Sequence[Task]
    seed: int = 0

    @property
    def name(self) -> str:
        return self.learned.name

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        others = [other for other in self.tasks if other.id != task.id]
        if not others:
            return None
        other = random.Random(f"{self.seed}/{task.id}").choice(others)
        return await self.learned.recall(other, run_id=run_id)


def full_text(tasks: Sequence[Task]) -> list[Task]:
    """The tasks that carry their full text in `metadata.context`, with that text as their input."""
    return [
        task.model_copy(update={"input": str(task.metadata["context"])}) for task in tasks if "context" in task.metadata
    ]
