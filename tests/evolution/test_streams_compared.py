"""A stream under several arms: same tasks, same order, and what experience was worth."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import DataError, UserError
from agentkit.evolution.streams import ARMS, StreamPlan, compare_arms, stream_report
from agentkit.evolution.streams.comparing import ArmRun, StreamAnswer
from agentkit.evolution.streams.picture import draw_stream
from agentkit.evolution.streams.report import curve
from agentkit.memory import CaseMemory, HashEmbedder
from agentkit.settings import Settings
from agentkit.tasks import Task
from agentkit.testing import ScriptedModel

LANDS = ("ohio", "texas", "maine", "utah")


def tasks(count: int) -> list[Task]:
    return [
        Task(
            id=f"t{n}", input=f"the code of {LANDS[n % 4]} in house {n}", target=f"code-{LANDS[n % 4]}", checker="exact"
        )
        for n in range(count)
    ]


class Copier:
    """A model that knows nothing, and answers as the last turn that speaks of the same land."""

    def __call__(self, messages: Sequence[Any], tools: Sequence[str]) -> dict[str, str]:
        land = next(land for land in LANDS if land in messages[-1].text)
        shown = [later for asked, later in pairwise(messages[:-1]) if land in asked.text]
        known = f"code-{land}" if any(f"code-{land}" in answer.text for answer in shown) else "unknown"
        return {"reasoning": "copied", "answer": known}


def plan(folder: Path, **options: Any) -> StreamPlan:
    return StreamPlan(tasks=tasks(24), folder=folder, model=lambda: ScriptedModel(Copier()), **options)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, embedder="hash-64")


def compared(given: StreamPlan, settings: Settings) -> dict[str, dict[str, Any]]:
    report = stream_report(asyncio.run(compare_arms(given, settings)))
    return {arm["name"]: arm for arm in report["arms"]}


def test_corrections_teach_what_a_model_can_not_know(tmp_path: Path, settings: Settings) -> None:
    arms = compared(plan(tmp_path, arms=("stateless", "neighbours", "ours"), holdout=tasks(4)), settings)
    assert arms["stateless"]["stream"]["value"] == 0
    assert arms["ours"]["quarters"][-1]["value"] > 0.4
    assert arms["ours"]["gain"] == pytest.approx(arms["ours"]["stream"]["value"])
    assert arms["neighbours"]["tokens"] == 0
    assert sum(arms["ours"]["forms"].values()) == 24


def test_binary_feedback_shows_nothing_that_was_not_right(tmp_path: Path, settings: Settings) -> None:
    arms = compared(plan(tmp_path, arms=("stateless", "self-streamicl", "ours"), feedback="binary"), settings)
    assert [arm["stream"]["value"] for arm in arms.values()] == [0, 0, 0]


def test_a_stream_started_again_goes_on_and_says_the_same(tmp_path: Path, settings: Settings) -> None:
    first = compared(plan(tmp_path, arms=("ours",)), settings)
    again = compared(plan(tmp_path, arms=("ours",)), settings)
    assert first["ours"]["stream"] == again["ours"]["stream"] and first["ours"]["forms"] == again["ours"]["forms"]
    memory = CaseMemory.open(_store(tmp_path), "stream", embedder=HashEmbedder(64))
    assert memory.count() == 24


def test_without_experience_the_order_is_nothing_so_each_task_is_answered_once(
    tmp_path: Path, settings: Settings
) -> None:
    asked = ScriptedModel(Copier())
    given = replace(plan(tmp_path, arms=("stateless",), orders=3), model=lambda: asked)
    first, *others = asyncio.run(compare_arms(given, settings))
    assert asked.calls <= 24 + 3 * given.again
    assert [{item.task_id for item in run.stream} for run in others] == [{item.task_id for item in first.stream}] * 2
    assert others[0].stream != first.stream


def test_a_teacher_who_is_wrong_a_fifth_of_the_time_does_no_harm(tmp_path: Path, settings: Settings) -> None:
    given = plan(tmp_path, arms=("stateless", "ours"), harm=0.2)
    arms = compared(given, settings)
    assert arms["ours"]["stream"]["value"] >= arms["stateless"]["stream"]["value"] - 0.02
    memory = CaseMemory.open(_store(tmp_path), "stream", embedder=HashEmbedder(64))
    taught = [found.case for found in memory.search(LANDS[0], k=24) if found.case.correction is not None]
    assert any((case.correction or "").removeprefix("code-") not in case.state for case in taught)


def _store(folder: Path) -> Any:
    from agentkit.store import Store

    return Store.open(folder / "ours-0.db")


@pytest.mark.parametrize(
    ("options", "says"),
    [({"arms": ("nonsense",)}, "no arm 'nonsense'"), ({"tasks": tasks(1)}, "at least two tasks")],
)
def test_what_can_not_be_compared_is_one_line(
    tmp_path: Path, settings: Settings, options: dict[str, Any], says: str
) -> None:
    given = {"tasks": tasks(3), "folder": tmp_path, **options}
    with pytest.raises(UserError, match=says):
        asyncio.run(compare_arms(StreamPlan(**given), settings))


def test_tasks_without_targets_are_refused_before_anything_runs(tmp_path: Path, settings: Settings) -> None:
    bare = [task.model_copy(update={"target": None}) for task in tasks(3)]
    with pytest.raises(DataError, match="has no target"):
        asyncio.run(compare_arms(StreamPlan(tasks=bare, folder=tmp_path / "new"), settings))
    assert not (tmp_path / "new").exists()


def run_of(arm: str, scores: Sequence[float], tokens: int) -> ArmRun:
    stream = [StreamAnswer(task_id=f"t{n}", score=score, tokens=tokens) for n, score in enumerate(scores)]
    return ArmRun(arm=arm, order=0, stream=stream, holdout=[], again=[(1.0, 0.0), (1.0, 1.0)])


def test_the_gain_is_what_was_won_of_the_room_that_was_left(tmp_path: Path) -> None:
    report = stream_report([run_of("stateless", [0, 0, 1, 0], 10), run_of("ours", [0, 1, 1, 1], 15)])
    ours = report["arms"][1]
    assert ours["gain"] == pytest.approx((0.75 - 0.25) / (1 - 0.25))
    assert ours["tokens_ratio"] == 1.5 and ours["forgotten"]["value"] == 0.5
    assert [quarter["value"] for quarter in ours["quarters"]] == [0, 1, 1, 1]
    assert curve([[0, 1, 1, 1]], window=2) == [0, 0.5, 1, 1]
    draw_stream(report, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000
    assert set(ARMS) >= {arm["name"] for arm in report["arms"]}
