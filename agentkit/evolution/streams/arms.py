"""The arms of a stream: ways of giving an agent its experience, and the controls to compare them with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agentkit.memory import CaseMemory, FormRecaller, FormSettings
from agentkit.memory.forms import Demonstrations
from agentkit.protocols import Recaller
from agentkit.settings import Settings

Build = Callable[[CaseMemory, bool, Settings], Recaller | None]
"""Creates the recaller for a memory; the flag says whether the controls, too, may show right answers that were not
their own."""


@dataclass(frozen=True, kw_only=True)
class StreamArm:
    """One way of using experience.

    Attributes:
        label: its description in the report.
        learns: whether outcomes are stored.
        model: whether a model answers; the nearest-neighbours arm needs none and is told every label.
        recaller: gives a run its context.
    """

    name: str
    label: str
    recaller: Build
    learns: bool = True
    model: bool = True


def _none(memory: CaseMemory, labels: bool, settings: Settings) -> Recaller | None:
    return None


def _random(memory: CaseMemory, labels: bool, settings: Settings) -> Recaller:
    forms = (Demonstrations(repeats=None),)
    return FormRecaller(memory, settings=FormSettings(forms=forms, size=4, own=not labels, ranking="random"))


def _self_streamicl(memory: CaseMemory, labels: bool, settings: Settings) -> Recaller:
    """StreamBench's Self-StreamICL (arXiv 2406.08747 §4): the nearest right answers of one's own, k = 16, verbatim."""
    forms = (Demonstrations(room=40_000, repeats=None),)
    return FormRecaller(memory, settings=FormSettings(forms=forms, size=16, own=not labels, ranking="meaning"))


def _ours(memory: CaseMemory, labels: bool, settings: Settings) -> Recaller:
    return FormRecaller(memory, settings=FormSettings(weighs=settings.weigh_choices))


ARMS: dict[str, StreamArm] = {
    arm.name: arm
    for arm in (
        StreamArm(name="stateless", label="no experience", recaller=_none, learns=False),
        StreamArm(name="random", label="four right answers of its own, at random", recaller=_random),
        StreamArm(
            name="self-streamicl", label="Self-StreamICL: its own right answers, k = 16", recaller=_self_streamicl
        ),
        StreamArm(
            name="neighbours", label="vote of the five nearest, all labels, no model", recaller=_none, model=False
        ),
        StreamArm(name="ours", label="AgentKit's case memory", recaller=_ours),
    )
}
"""By name, in the order of a report."""
