"""Calibrating an agent: run tasks whose answers can be checked, and fit its confidence to the outcomes.

The same outcomes also teach which effort mode pays off; any evaluation also teaches whether the evaluator does
(`agentkit.routing`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from agentkit.confidence import CalibrationStore, RiskCoverage, cross_fitted, fit, risk_coverage, thresholds_of
from agentkit.confidence.calibration import LEAST_OF_A_KIND, LEAST_OUTCOMES
from agentkit.errors import DataError
from agentkit.evaluation import EvalReport, Scored, checkers_for, evaluate_tasks
from agentkit.json_types import JsonObject
from agentkit.models.caller import model_name
from agentkit.routing import EffortRecord, Levels, levels_of, outcome_of
from agentkit.tasks import Task

if TYPE_CHECKING:
    from agentkit.agent import Agent


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """The outcome of a calibration.

    Attributes:
        target, version: of the calibration in the ledger.
        outcomes, right: how many answers it was fitted on, and how many of them were right.
        thresholds: by error rate (as text), the lowest confidence at which that rate could be shown to hold.
        risk: accuracy against coverage when answers are declined; each answer is scored by a calibration that was
            fitted without it.
    """

    target: str
    version: int
    model: str
    outcomes: int
    right: int
    thresholds: dict[str, float]
    risk: RiskCoverage

    def to_json(self) -> JsonObject:
        return asdict(self)


async def calibrate(
    agent: Agent,
    tasks: Sequence[Task],
    *,
    checker: str | JsonObject | None = None,
    concurrency: int = 1,
    on_result: Callable[[Scored], None] = lambda scored: None,
) -> Calibrated:
    """Fit the agent's calibration to its own answers and put it into effect. If interrupted, call it again to continue.

    Args:
        agent: whose confidence is calibrated; it answers every task and declines none. What it has learnt about effort
            so far does not make this a new calibration.
        tasks: with targets or checkers.
        checker: for tasks that don't name one.

    Raises:
        DataError: too few outcomes (raised before anything runs if there are too few tasks), or a model that returns no
            log-probabilities.
    """
    if len(tasks) < LEAST_OUTCOMES:
        raise DataError(
            f"too few tasks to calibrate on: {len(tasks)}; {LEAST_OUTCOMES} are needed, of which at least "
            f"{LEAST_OF_A_KIND} are answered right and {LEAST_OF_A_KIND} wrong"
        )
    if not agent.tells_confidence:
        raise DataError(f"{agent.model_name} returns no log-probabilities, so its confidence can't be calibrated")
    report = await evaluate_tasks(
        agent, tasks, checker=checker, concurrency=concurrency, on_result=on_result, apart_from=("effort:",)
    )
    known = [item for item in report.results if item.features is not None and item.score is not None]
    features, scores = [item.features for item in known if item.features], [item.score or 0.0 for item in known]
    compared = any(item.likeness is not None for item in features)
    embedder = agent.likeness.name if compared else ""
    found = fit(features, scores, model=model_name(agent.explorer), embedder=embedder)
    confidences = cross_fitted(features, scores)
    thresholds = thresholds_of(confidences, scores)
    store = CalibrationStore(agent.store, agent.calibration)
    version = store.save(found, thresholds, source=report.batch)
    sure = {item.run_id: confidence for item, confidence in zip(known, confidences, strict=True)}
    await teach(agent, tasks, report, checker=checker, sure=sure)
    return Calibrated(
        target=store.target,
        version=version,
        model=found.model,
        outcomes=found.outcomes,
        right=found.right,
        thresholds=thresholds,
        risk=risk_coverage(confidences, scores),
    )


async def teach(
    agent: Agent,
    tasks: Sequence[Task],
    report: EvalReport,
    *,
    checker: str | JsonObject | None = None,
    sure: Mapping[str, float] | None = None,
) -> Levels | None:
    """Learn from an evaluation which mode suits such tasks and whether the evaluator helps; each run counts once.

    Args:
        report: the evaluation of these tasks.
        checker: for tasks that don't name one.
        sure: the confidence in each answer, by run id; None takes it from the report.

    Returns:
        what consulting the evaluator changed; None if it was not asked.
    """
    checkers, known = checkers_for(agent, tasks, checker), {task.id: task for task in tasks}
    record, taught = EffortRecord(agent.store), []
    for item in report.results:
        run = agent.log.get(item.run_id) if item.score is not None and item.answer is not None else None
        if run is None or not run.effort or item.score is None:
            continue
        earlier = [str(text) for text in run.effort.get("earlier", ())]
        scores = {text: (await checkers[item.task_id].check(text, known[item.task_id])).score for text in earlier}
        outcome = outcome_of(
            run.id,
            run.task,
            run.effort,
            agent.log.steps(run.id).model_calls,
            answer=item.answer,
            score=item.score,
            confidence=item.confidence if sure is None else sure.get(run.id),
            score_of=scores.get,
        )
        if outcome is not None:
            record.learn(replace(outcome, used=False), key=f"{run.id}:taught", signal="label", source=report.batch)
            taught.append(outcome)
    return levels_of(taught)
