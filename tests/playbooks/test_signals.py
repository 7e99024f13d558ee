"""What feedback is worth, and how much of the target an episode may hold."""

from __future__ import annotations

import pytest

from agentkit.playbooks.signals import visible, weigh
from agentkit.protocols import Episode
from agentkit.tasks import Channel, Feedback, Labels, Task

TOLD = Feedback(channel="label", score=0.0, text="the right answer is 42")
SEEN = Feedback(channel="check", score=0.0, text="no number")


def episode(*feedback: Feedback, labels: Labels = "gold") -> Episode:
    task = Task(id="t", input="How many?", target="42", checker={"name": "exact"}, metadata={"answer": "42"})
    return Episode(run_id="r", task=task, labels=labels, answer="41", feedback=feedback)


@pytest.mark.parametrize(
    ("channel", "score", "weak"),
    [
        ("judge", 0.5, True),
        ("judge", 0.74, True),
        ("judge", 0.76, False),
        ("judge", 0.2, False),
        ("check", 0.5, False),
        ("check", None, True),
    ],
)
def test_an_unsure_judge_and_nothing_at_all_are_too_weak(channel: Channel, score: float | None, weak: bool) -> None:
    found = weigh(episode(Feedback(channel=channel, score=score)))
    assert bool(found.weak) is weak


def test_an_episode_holds_no_more_of_the_target_than_its_labels_allow() -> None:
    assert visible(episode(TOLD, SEEN)).task.target == "42"
    for labels in ("check", "none"):
        shown = visible(episode(TOLD, SEEN, labels=labels))  # type: ignore[arg-type]
        assert "42" not in str(shown)
        assert [(item.channel, item.score) for item in shown.feedback if item.channel == "label"] == (
            [("label", 0.0)] if labels == "check" else []
        )
        assert SEEN in shown.feedback
