"""Evolutions: how accuracy went while learning, and the gate's evidence for each change it tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agentkit.store.evolution import EvolutionRow, EvolutionStepRow, GateTestRow
from agentkit.view.pictures import Interval, curves, forest
from agentkit.view.site import Site, shown

_WINDOW = 40
"""Training tasks of which a point of the curve is the mean."""
_DRAWN = 6
"""Tests whose capital is drawn."""


def routes(site: Site) -> list[Route]:
    return [shown(site, "/evolutions", listed), shown(site, "/evolutions/{id}", one)]


def listed(site: Site, request: Request) -> Response:
    row, tests = EvolutionRow, select(GateTestRow.evolution, func.count()).group_by(GateTestRow.evolution)
    with site.store.read() as connection:
        counts = {evolution: count for evolution, count in connection.execute(tests)}
        query = select(row.id, row.status, row.config, row.created_at).order_by(row.created_at.desc()).limit(200)
        rows = connection.execute(query).all()
    return site.page("evolutions", "Evolutions", rows=rows, tests=counts)


def one(site: Site, request: Request) -> Response:
    """One evolution, as far as it has come."""
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
        live=found.status == "running",
    )


def _accuracy(steps: Sequence[Any]) -> dict[str, list[tuple[float, float]]]:
    """The mean of the last training tasks, each scored before it was learned from; validations at their place."""
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
    """The capital of the gambler who bets on a change, pair by pair."""
    drawn = [test for test in tests if test.evidence.get("curve")][-_DRAWN:]
    return {f"test {test.number}": list(enumerate(test.evidence["curve"], 1)) for test in drawn}


def _border(tests: Sequence[Any]) -> float | None:
    """The capital at which the newest test accepts."""
    known: list[Mapping[str, Any]] = [test.evidence for test in tests if test.evidence.get("curve")]
    return float(known[-1]["threshold"]) if known and known[-1].get("threshold") else None
