"""Alarms: a loop that runs and does nothing says so, and one that works is quiet."""

from __future__ import annotations

from typing import Any

from agentkit.playbooks.alarms import alarms
from agentkit.playbooks.evidence import LearningStep
from agentkit.protocols import Learnt


def steps(
    count: int, *, status: Any = "quarantined", note: str = "", dropped: str = "", **more: Any
) -> list[LearningStep]:
    learnt = Learnt(status=status, note=note, details={"dropped": [dropped]} if dropped else {})
    values = {"reflected": True, "operations": 1, "votes": 1, **more}
    return [LearningStep(run_id=f"r{number}", learnt=learnt, **values) for number in range(count)]


def test_deltas_of_which_none_is_applied_raise_an_alarm() -> None:
    held = steps(4)
    assert alarms(held, window=4) == ["deltas, but not one of them applied, in the last 4 steps"]
    assert alarms([*held[1:], *steps(1, status="applied")], window=4) == []


def test_too_few_steps_say_nothing() -> None:
    assert alarms(steps(3), window=4) == []


def test_evidence_that_is_always_too_weak_raises_an_alarm() -> None:
    weak = steps(4, reflected=False, operations=0, note="the evidence is too weak")
    assert alarms(weak, window=4) == ["the evidence was too weak to learn from in all of the last 4 steps"]


def test_lessons_that_are_known_already_are_no_reason_for_one() -> None:
    assert len(alarms(steps(4, operations=0), window=4)) == 1
    assert alarms(steps(4, operations=0, dropped="said already by x"), window=4) == []
