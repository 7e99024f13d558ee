"""What a run's feedback is worth: nothing is learnt from weak evidence, and no part of the target leaks."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agentkit.protocols import Episode
from agentkit.tasks import Channel


@dataclass(frozen=True, kw_only=True)
class Signal:
    """Whether a run went well, who says so, and, if that is not enough to learn from, why."""

    score: float | None
    channel: Channel | None
    weak: str = ""


def visible(episode: Episode) -> Episode:
    """The episode with no more of the target than its labels allow, no matter who built it."""
    if episode.labels == "gold":
        return episode
    bare = tuple(f.model_copy(update={"text": ""}) if f.channel == "label" else f for f in episode.feedback)
    feedback = bare if episode.labels == "check" else tuple(f for f in bare if f.channel != "label")
    task = episode.task.model_copy(update={"target": None, "checker": None, "metadata": {}})
    return replace(episode, task=task, feedback=feedback)


def weigh(episode: Episode, *, margin: float = 0.25) -> Signal:
    """The strongest feedback, and whether it is strong enough.

    Args:
        margin: how far from one half a judge's probability must be.
    """
    known = next((item for item in episode.feedback if item.score is not None), None)
    if known is None or known.score is None:
        return Signal(score=None, channel=None, weak="the evidence is too weak: nothing is known about the answer")
    if known.channel == "judge" and abs(known.score - 0.5) < margin:
        return Signal(score=known.score, channel="judge", weak="the evidence is too weak: the judge is not sure")
    return Signal(score=known.score, channel=known.channel)
