"""The results of a stream: the gain over no experience, the quarters, a hold-out, forgetting, and the cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from agentkit.evolution.streams.arms import ARMS
from agentkit.evolution.streams.comparing import ArmRun, StreamAnswer
from agentkit.statistics.estimates import bootstrap_mean, paired, proportion

QUARTERS = 4


def stream_report(runs: Sequence[ArmRun]) -> dict[str, Any]:
    """The report of `compare_arms`, as JSON values.

    The gain is that of Continual Learning Bench (arXiv 2606.05661 §3): the reward with experience minus the reward of
    the same agent without it, on the same tasks, divided by the room for improvement above the latter.
    """
    base = [run for run in runs if run.arm == "stateless"]
    names = [name for name in ARMS if any(run.arm == name for run in runs)]
    by_arm = {name: [run for run in runs if run.arm == name] for name in names}
    arms = []
    for place, name in enumerate(names):
        over = {other: _over(by_arm[name], by_arm[other]) for other in names[:place]}
        arms.append(_arm(name, by_arm[name], base) | {"over": over})
    return {"tasks": len(runs[0].stream), "orders": max(run.order for run in runs) + 1, "arms": arms}


def _arm(name: str, runs: Sequence[ArmRun], base: Sequence[ArmRun]) -> dict[str, Any]:
    every = [answered for run in runs for answered in run.stream]
    quarters = [_scores(part) for part in zip(*(_quarters(run.stream) for run in runs), strict=True)]
    found: dict[str, Any] = {
        "name": name,
        "label": ARMS[name].label,
        "stream": proportion([item.score for item in every]).to_json(),
        "quarters": [proportion(scores).to_json() for scores in quarters],
        "holdout": _estimate([item.score for run in runs for item in run.holdout]),
        "unseen": _estimate([item.score for run in runs for item in run.unseen]),
        "forgotten": _estimate([max(0.0, before - after) for run in runs for before, after in run.again]),
        "tokens": _mean([item.tokens for item in every]),
        "seconds": _mean([item.seconds for item in every]),
        "forms": dict(Counter(item.form for item in every if item.form).most_common()),
        "curve": curve([[item.score for item in run.stream] for run in runs]),
    }
    return found | (_against(runs, base) if base and name != "stateless" else {})


def _against(runs: Sequence[ArmRun], base: Sequence[ArmRun]) -> dict[str, Any]:
    """The difference to the stateless arm on the same tasks, and the gain as a share of the room for improvement."""
    mine, theirs = _matched(runs, base)
    room = 1 - sum(theirs) / len(theirs)
    gain = (sum(mine) - sum(theirs)) / len(theirs) / room if room else 0.0
    spent = [_mean([item.tokens for run in arm for item in run.stream]) for arm in (runs, base)]
    return {
        "difference": paired(mine, theirs).to_json(),
        "gain": gain,
        "tokens_ratio": spent[0] / spent[1] if spent[1] else None,
    }


def _over(runs: Sequence[ArmRun], others: Sequence[ArmRun]) -> dict[str, Any]:
    """The differences to another arm on the same tasks, in the orders that both have."""
    known = {run.order: run for run in others}
    both = [(run, known[run.order]) for run in runs if run.order in known]
    parts = {
        "stream": [(one.stream, other.stream) for one, other in both],
        "last quarter": [(_quarters(one.stream)[-1], _quarters(other.stream)[-1]) for one, other in both],
        "holdout": [(one.holdout, other.holdout) for one, other in both],
    }
    return {
        name: paired(*map(_scores, zip(*pairs, strict=True))).to_json()
        for name, pairs in parts.items()
        if any(one and other for one, other in pairs)
    }


def _matched(runs: Sequence[ArmRun], base: Sequence[ArmRun]) -> tuple[list[float], list[float]]:
    """The scores of both arms by task, in the orders that both have."""
    known = {run.order: {item.task_id: item.score for item in run.stream} for run in base}
    pairs = [(item.score, known[run.order][item.task_id]) for run in runs if run.order in known for item in run.stream]
    return [mine for mine, _ in pairs], [theirs for _, theirs in pairs]


def _quarters(stream: Sequence[StreamAnswer]) -> list[list[StreamAnswer]]:
    borders = [round(len(stream) * part / QUARTERS) for part in range(QUARTERS + 1)]
    return [list(stream[begin:end]) for begin, end in pairwise(borders)]


def _scores(parts: Sequence[Sequence[StreamAnswer]]) -> list[float]:
    return [item.score for part in parts for item in part]


def curve(orders: Sequence[Sequence[float]], *, window: int = 30) -> list[float]:
    """The mean score over the last `window` tasks at each position, over all orders."""
    size = min(len(scores) for scores in orders)
    begins = [max(0, place + 1 - window) for place in range(size)]
    return [_mean([v for scores in orders for v in scores[begin : place + 1]]) for place, begin in enumerate(begins)]


def _estimate(values: Sequence[float]) -> dict[str, Any] | None:
    return bootstrap_mean(values).to_json() if values else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
