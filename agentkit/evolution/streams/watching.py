"""How far a comparison of arms has come, in a file beside their databases, for those who look on."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

from agentkit.errors import DataError
from agentkit.evolution.streams.arms import ARMS
from agentkit.evolution.streams.comparing import StreamAnswer, StreamPlan
from agentkit.evolution.streams.report import curve
from agentkit.json_types import JsonObject
from agentkit.statistics.estimates import proportion
from agentkit.whole import written_whole

FILE = "stream.json"
_EVERY = 5
"""Answers between two writes."""


class StreamWatch:
    """Writes down what has been answered and, at the end, the report."""

    def __init__(self, plan: StreamPlan, **about: object) -> None:
        self.folder, self.scores = plan.folder, dict[str, list[list[float]]]()
        began = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self.about = {
            "tasks": len(plan.tasks),
            "orders": plan.orders,
            "feedback": plan.feedback,
            "began": began,
            **about,
        }
        self._answered = 0

    def answered(self, arm: str, order: int, place: int, answer: StreamAnswer) -> None:
        """One more task of the stream was answered (an `OnAnswer`)."""
        orders = self.scores.setdefault(arm, [])
        if len(orders) <= order:
            orders.append([])
        orders[order].append(answer.score)
        self._answered += 1
        if self._answered % _EVERY == 0:
            self._write("running", [self._so_far(name) for name in self.scores])

    def done(self, report: JsonObject) -> None:
        """Every arm has answered every task."""
        self._write("done", report["arms"])

    def _so_far(self, arm: str) -> JsonObject:
        orders = self.scores[arm]
        every = [score for scores in orders for score in scores]
        return {"name": arm, "label": ARMS[arm].label, "stream": proportion(every).to_json(), "curve": curve(orders)}

    def _write(self, status: str, arms: list[JsonObject]) -> None:
        with written_whole(self.folder / FILE) as part:
            part.write_text(json.dumps({**self.about, "status": status, "arms": arms}), encoding="utf-8")


def read_streams(home: Path) -> Iterator[tuple[str, JsonObject]]:
    """The comparisons below an agent's home by their keys, the newest first.

    Raises:
        DataError: a file that is none of ours.
    """
    found = sorted((home / "streams").glob(f"*/{FILE}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found:
        try:
            told = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise DataError(f"not a stream: {error}", path=path) from None
        yield path.parent.name, told
