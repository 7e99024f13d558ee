"""Evolutions: accuracy during learning, and the gate's evidence for each change it tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from markupsafe import Markup
from sqlalchemy import func, select
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agentkit.evolution.streams.watching import read_streams
from agentkit.store.evolution import EvolutionRow, EvolutionStepRow, GateTestRow
from agentkit.view.pictures import Interval, curves, forest, shares
from agentkit.view.site import Site, shown

_WINDOW = 40
"""The number of training tasks averaged for a point of the curve."""
_LISTED = 200
_DRAWN = 6
"""The number of tests whose capital is drawn."""


def routes(site: Site) -> list[Route]:
    return [
        shown(site, "/evolutions", listed),
        shown(site, "/evolutions/{id}", one),
        shown(site, "/streams/{key}", stream),
    ]


def listed(site: Site, request: Request) -> Response:
    row, tests = EvolutionRow, select(GateTestRow.evolution, func.count()).group_by(GateTestRow.evolution)
    with site.store.read() as connection:
        counts = {evolution: count for evolution, count in connection.execute(tests)}
        query = select(row.id, row.status, row.config, row.created_at).order_by(row.created_at.desc()).limit(_LISTED)
        rows = connection.execute(query).all()
    return site.page(
        "evolutions",
        "Evolutions and streams",
        rows=rows,
        tests=counts,
        streams=[*islice(read_streams(site.settings.home), _LISTED)],
    )


def one(site: Site, request: Request) -> Response:
    """One evolution, up to its current state."""
    id = request.path_params["id"]
    step = EvolutionStepRow
    with site.store.read() as connection:
        found = connection.execute(select(EvolutionRow.__table__).where(EvolutionRow.id == id)).one_or_none()
        if found is None:
            raise HTTPException(404, f"no evolution {id!r}")
        steps = connection.execute(select(step.kind, step.data).where(step.evolution == id).order_by(step.number)).all()
        tests = connection.execute(
            select(GateTestRow.__table__).where(GateTestRow.evolution == id).order_by(GateTestRow.number)
        ).all()
    means = [
        Interval(
            label=f"test {test.number}: {test.outcome}",
            value=test.evidence["mean"],
            low=test.evidence["interval"][0],
            high=test.evidence["interval"][1],
            note=f"{test.evidence['wins']}/{test.evidence['losses']} of {test.evidence['pairs']}",
        )
        for test in tests
        if test.evidence.get("interval")
    ]
    return site.page(
        "evolution",
        f"Evolution {id}",
        found=found,
        tests=tests,
        curve=curves(_accuracy(steps)),
        means=forest(means),
        capital=curves(_capital(tests), border=_border(tests), log=True),
        arms=_arms((found.result or {}).get("arms", ())),
        blocks=_blocks((found.result or {}).get("stream", {})),
        live=found.status == "running",
    )


def _arms(arms: Sequence[Mapping[str, Any]]) -> Markup:
    """The result of each arm, with its interval."""
    return shares([_estimate(arm.get("label", arm["name"]), arm.get("accuracy") or arm["stream"]) for arm in arms])


def _estimate(label: str, found: Mapping[str, Any]) -> Interval:
    return Interval(label=label, value=found["value"], low=found["low"], high=found["high"], note=f"n={found['n']}")


def _blocks(stream: Mapping[str, Any]) -> Markup:
    """Success along a stream, block by block, and on the frozen probes between blocks."""
    size, blocks = stream.get("block", 0), (stream.get("success") or {}).get("blocks", ())
    rows = [_estimate(f"tasks {n * size + 1} to {n * size + block['n']}", block) for n, block in enumerate(blocks)]
    probes = (stream.get("retention") or {}).get("curve", ())
    return shares([*rows, *(_estimate(f"probes after {point['tasks']}", point) for point in probes)])


def stream(site: Site, request: Request) -> Response:
    """Arms along one stream of tasks, up to their current state."""
    key = request.path_params["key"]
    told = next((told for name, told in read_streams(site.settings.home) if name == key), None)
    if told is None:
        raise HTTPException(404, f"no stream {key!r}")
    lines = {arm["label"]: list(enumerate(arm["curve"], 1)) for arm in told["arms"]}
    ends = ("last quarter", "hold-out")
    known = [(arm, ((arm.get("quarters") or [None])[-1], arm.get("holdout"))) for arm in told["arms"]]
    rows = {
        end: shares([_estimate(arm["label"], found[place]) for arm, found in known if found[place]])
        for place, end in enumerate(ends)
    }
    return site.page(
        "stream",
        f"Stream {told.get('name') or key}",
        told=told,
        curve=curves(lines),
        whole=_arms(told["arms"]),
        ends={end: picture for end, picture in rows.items() if picture},
        live=told["status"] == "running",
    )


def _accuracy(steps: Sequence[Any]) -> dict[str, list[tuple[float, float]]]:
    """The moving average over training tasks, each scored before it was learned from, and the validations."""
    scores: list[float] = []
    training: list[tuple[float, float]] = []
    checked: list[tuple[float, float]] = []
    for kind, data in steps:
        if kind == "learned":
            for score in data.get("scores", ()):
                if score is not None:
                    scores.append(score)
                    recent = scores[-_WINDOW:]
                    training.append((len(scores), sum(recent) / len(recent)))
        elif kind == "validated" and data.get("scores"):
            checked.append((len(scores), sum(data["scores"]) / len(data["scores"])))
    return {name: line for name, line in (("training", training), ("validation", checked)) if line}


def _capital(tests: Sequence[Any]) -> dict[str, list[tuple[float, float]]]:
    """The betting capital of each test (its e-process), pair by pair."""
    drawn = [test for test in tests if test.evidence.get("curve")][-_DRAWN:]
    return {f"test {test.number}": list(enumerate(test.evidence["curve"], 1)) for test in drawn}


def _border(tests: Sequence[Any]) -> float | None:
    """The capital at which the newest test accepts."""
    known: list[Mapping[str, Any]] = [test.evidence for test in tests if test.evidence.get("curve")]
    return float(known[-1]["threshold"]) if known and known[-1].get("threshold") else None
