"""The report: one page, one picture, one JSON file, with controls and paired tests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from agentkit.evolution.arms import Arm, by_category, pooled, run_arms
from agentkit.evolution.controls import OthersCases, RandomBullets, full_text, scrambled
from agentkit.evolution.protocols import Cost, Fixed
from agentkit.evolution.report.build import build_report, join_seeds, write_report
from agentkit.protocols import Block
from agentkit.store import Store
from agentkit.tasks import Task
from tests.evolution.worlds import build


async def report_of(store: Store, **options: Any) -> dict[str, Any]:
    evolution, book, harness = build(store, **options)
    evolved = await evolution.run()
    test = harness.world.tasks(60, prefix="x")
    arms = await run_arms(evolution.trials, test, [book], start=evolved.start, chosen=evolved.chosen)
    return build_report(evolved, arms, store=store, about={"model": "a world"})


async def test_a_report_compares_arms_pair_by_pair(store: Store) -> None:
    report = await report_of(store, train=40, val=200)
    start, learned = report["arms"][:2]
    assert (start["name"], learned["name"]) == ("start", "learned")
    found = learned["against_start"]
    assert found["wins"] > found["losses"] and found["p"] < 0.05
    assert found["difference"]["low"] <= found["difference"]["value"] <= found["difference"]["high"]
    assert sum(row["n"] for row in report["categories"]) == 60
    assert learned["per_task"]["calls"] == 1


async def test_every_verdict_is_in_the_report_with_its_evidence(store: Store) -> None:
    report = await report_of(store, train=40, val=200)
    decisions = {row["decision"] for row in report["changes"]}
    assert decisions >= {"accept", "reject"}
    assert all("pairs" in row["evidence"] and row["run_id"] for row in report["changes"])


async def test_the_curve_marks_where_batches_end_even_where_nothing_was_spent(store: Store) -> None:
    report = await report_of(store, train=40, val=200)
    ends = [point for point in report["curve"] if "batch" in point]
    assert [point["batch"] for point in ends] == list(range(len(ends))) and len(ends) > 2
    decided = [row["decision"] for row in report["changes"]]
    assert ends[-1]["accepted"] == decided.count("accept") > 0 and ends[-1]["rejected"] == decided.count("reject") > 0


async def test_the_page_stands_alone_and_escapes_what_models_wrote(store: Store, tmp_path: Path) -> None:
    report = await report_of(store)
    report["changes"][0]["operations"] = [{"op": "add", "content": "<script>alert(1)</script>"}]
    paths = write_report(report, tmp_path / "out")
    html = paths["html"].read_text(encoding="utf-8")
    assert "<script" not in html and "&lt;script&gt;" in html
    assert not re.search(r"(?:src|href)=[\"']https?:", html) and "data:image/png;base64," in html
    assert paths["png"].read_bytes().startswith(b"\x89PNG")
    assert json.loads(paths["json"].read_text(encoding="utf-8"))["id"] == report["id"]


async def test_a_loop_that_proposes_nothing_raises_an_alarm(store: Store) -> None:
    report = await report_of(store, rate=0.0)
    assert any("nothing was proposed" in text for text in report["alarms"])


async def test_a_report_without_test_tasks_is_still_drawn(store: Store, tmp_path: Path) -> None:
    evolution, _, _ = build(store)
    report = build_report(await evolution.run(), [], store=store, about={})
    assert write_report(report, tmp_path / "out")["html"].exists()


async def test_random_bullets_keep_length_ids_and_layout_and_lose_the_lesson() -> None:
    text = "Lessons:\n[abc] (formula; roi) ROI is a fraction, not a percentage, in this data.\n[def] (x) Short."
    control = scrambled(text, seed=1)
    lines, learned = control.split("\n"), text.split("\n")
    assert [len(line) for line in lines] == [len(line) for line in learned]
    assert lines[0] == "Lessons:" and lines[1].startswith("[abc] (formula; roi) ") and "fraction" not in control
    assert scrambled(text, seed=1) == control != scrambled(text, seed=2)
    block = Block(kind="playbook", target="playbook:p", version=1, text=text)
    shown = await RandomBullets(Fixed(name="playbook", block=block), 1).recall(Task(id="1", input="?"), run_id="r")
    assert shown is not None and shown.text == control


async def test_random_cases_are_those_of_another_task() -> None:
    class Echo:
        name = "cases"

        async def recall(self, task: Task, *, run_id: str) -> Block | None:
            return Block(kind="cases", target="memory:m", version=0, text=task.id)

    tasks = [Task(id=str(number), input="?") for number in range(5)]
    for task in tasks:
        block = await OthersCases(Echo(), tasks).recall(task, run_id="r")
        assert block is not None and block.text != task.id
    assert await OthersCases(Echo(), tasks[:1]).recall(tasks[0], run_id="r") is None


def test_full_text_is_an_arm_only_for_tasks_that_have_it() -> None:
    tasks = [Task(id="1", input="q", metadata={"context": "all of it"}), Task(id="2", input="q")]
    assert [task.input for task in full_text(tasks)] == ["all of it"]


def arm(scores: dict[str, float], name: str = "learned") -> Arm:
    return Arm(name=name, scores=scores, categories=dict.fromkeys(scores, "c"), cost=Cost())


def test_seeds_of_one_task_count_as_one_task() -> None:
    found = pooled([arm({"a": 1.0, "b": 0.0}), arm({"a": 1.0, "b": 1.0})], [arm({"a": 0.0, "b": 0.0})] * 2)
    assert found["accuracy"]["n"] == 2 and found["by_seed"] == [0.5, 1.0] and found["wins"] == 2
    assert found["difference"]["value"] == pytest.approx(0.75)


def test_joined_seeds_have_one_pooled_row_an_arm() -> None:
    groups = [[arm({"a": 0.0}, "start"), arm({"a": 1.0})], [arm({"a": 0.0}, "start"), arm({"a": 1.0})]]
    joined = join_seeds([{"id": "e1"}, {"id": "e2"}], groups)
    assert [row["name"] for row in joined["seeds"]] == ["start", "learned"] and joined["runs"] == ["e1", "e2"]


def test_categories_are_compared_on_shared_tasks_only() -> None:
    rows = by_category(arm({"a": 0.0, "b": 1.0}), arm({"a": 1.0, "c": 1.0}))
    assert rows[0]["n"] == 1 and rows[0]["wins"] == 1
