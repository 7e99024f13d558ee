"""The benchmark of effort: all arms follow from one pool of answers, and say what they should where that is known."""

from __future__ import annotations

import random
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from agentkit.tasks import Task
from agentkit.testing import ScriptedModel
from benchmarks import effort
from benchmarks._results import Results
from benchmarks.effort import SAMPLES, Item


def row(answer: str, score: float, *, tokens: int = 100, seconds: float = 1.0, **more: Any) -> dict[str, Any]:
    return {"answer": answer, "score": score, "read": tokens, "written": 0, "seconds": seconds, **more}


def item(number: int, rng: random.Random) -> Item:
    """Sorting is as well done at once; sums need thought. The evaluator spoils what it is asked about."""
    family, right = ("sort", 0.8) if number % 2 else ("sums", 0.3)
    target, score = "a", float(rng.random() < right)
    thought = float(rng.random() < 0.75)
    samples = {way: ("a" if rng.random() < right else rng.choice("bcd")) for way in SAMPLES}
    first = "a" if score else "b"
    return Item(
        family=family,
        task=Task(id=f"{number}", input="…", instructions=family),
        rows={
            "instant": row(first, score),
            "reasoning": row("a" if thought else "b", thought, tokens=300, seconds=6.0),
            "evaluator": row("b", 0.0, tokens=250, first_score=score, asked=1),
            **{way: row(text, float(text == target)) for way, text in samples.items()},
        },
        tools=(),
        sure=0.8 if family == "sort" else 0.3,
    )


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, str], Any]:
    rng = random.Random(0)
    results = Results("effort", settings={}, label="test")
    effort.report(results, [item(number, rng) for number in range(160)], effort.WAYS, 1)
    return {(found["arm"], found["metric"]): found["value"] for found in results.rows}


def test_routing_finds_the_mode_of_each_family_and_its_shuffled_modes_do_not(rows: dict[Any, Any]) -> None:
    best = max(rows["mode instant", "accuracy"], rows["mode reasoning", "accuracy"])
    assert rows["mode auto, later half", "accuracy"] >= 0.95 * best
    assert rows["mode auto, later half", "tokens a task"] < rows["mode reasoning", "tokens a task"]
    assert rows["mode random mix", "accuracy"] < rows["mode auto", "accuracy"]
    shares = [value for (arm, metric), value in rows.items() if arm == "mode auto" and metric.startswith("share of")]
    assert sum(shares) == pytest.approx(1)


def test_votes_cost_what_their_samples_cost(rows: dict[Any, Any]) -> None:
    assert rows["samples 1", "tokens a task"] == 100
    assert rows["samples 8", "tokens a task"] == 800
    mean = rows["samples auto", "samples a task"]
    assert 1 < mean < 8 and rows["samples auto", "tokens a task"] == pytest.approx(100 * mean)
    assert rows["samples random stop", "samples a task"] == pytest.approx(mean, abs=0.8)


def test_an_evaluator_that_spoils_is_off_as_shipped(rows: dict[Any, Any]) -> None:
    assert rows["evaluator always", "accuracy less off"] < -0.2
    assert (rows["evaluator as shipped", "asked"], rows["evaluator as shipped", "accuracy less off"]) == (0, 0)


def test_rows_that_are_there_are_not_answered_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agentkit.settings import load_settings

    def reply(messages: list[Any], tools: list[str]) -> Any:
        judges = "You check answers" in messages[0].text
        return {"reason": "fine", "verdict": "accept", "confidence": 0.9} if judges else "Answer: 4"

    model = ScriptedModel(reply)
    monkeypatch.setattr(effort, "load_model", lambda name: model)
    tasks = [Task(id=f"{n}", input="Name it", target="Answer: 4") for n in range(3)]
    args, path = Namespace(model="m", ways=["instant", "evaluator", "sample1"]), tmp_path / "rows.jsonl"
    effort.fill(args, tasks, path, load_settings(home=tmp_path / "one", model="local/none"))
    calls = model.calls
    assert calls == 3 * 4
    found = effort.finished(path)
    assert len(found) == 9 and all(item["score"] == 1 for item in found.values())
    effort.fill(args, tasks, path, load_settings(home=tmp_path / "two", model="local/none"))
    assert model.calls == calls
