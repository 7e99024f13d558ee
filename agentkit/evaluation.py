"""Run a set of tasks and score the answers outside the runs, so that no model ever sees a target."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from agentkit.aio import together
from agentkit.confidence import Features, RiskCoverage, features_of_calls, risk_coverage
from agentkit.errors import AgentKitError, DataError, UserError
from agentkit.json_types import JsonObject
from agentkit.ledger import digest
from agentkit.statistics.estimates import proportion
from agentkit.tasks import Task

if TYPE_CHECKING:
    from agentkit.agent import Agent
    from agentkit.checkers import Checker
    from agentkit.result import Result


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The outcome of one task.

    Attributes:
        score: 0 to 1; 0 if the run failed; None where the check itself failed. For a declined answer, the score it
            would have had.
        confidence: the estimated probability that the answer is right; None if unknown.
        features: the signals that confidence is computed from; None if the model returned no log-probabilities.
        error: why the run failed, if it did.
    """

    task_id: str
    run_id: str
    answer: str | None
    score: float | None
    status: str
    seconds: float = 0.0
    confidence: float | None = None
    features: Features | None = None
    error: str | None = None
    usage: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EvalReport:
    """The result of an evaluation.

    Attributes:
        n: number of tasks. Failed ones are included and count as wrong; none is ever dropped.
        accuracy: the mean score; an answer that was declined or could not be checked counts as wrong.
        ci95: the Wilson interval of `accuracy` (an approximation where scores lie strictly between 0 and 1).
        answered: accuracy among the answers that were not declined; None if all were.
        risk: the accuracy that declining more or fewer answers would give; None if no answer's confidence is known.
        calibrated: whether `risk` uses calibrated confidence; otherwise it uses the probability of the answers' tokens.
        unknown: answers whose check failed; they count as wrong.
        tokens: read and written, cached ones included.
    """

    n: int
    accuracy: float
    ci95: tuple[float, float]
    abstained: int
    declined: int
    answered: float | None
    failed: int
    unknown: int
    calls: int
    tokens: int
    cached_tokens: int
    cost: float
    seconds: float
    model: str
    batch: str
    risk: RiskCoverage | None = None
    calibrated: bool = False
    results: tuple[Scored, ...] = ()

    def to_json(self) -> JsonObject:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """What all runs of an evaluation share.

    Attributes:
        batch: names the evaluation.
        base: the part of run ids that comes from the agent and the seed.
        checker: for tasks that don't name one.
    """

    batch: str
    base: str
    checker: str | JsonObject | None
    learn: bool
    seed: int

    def run_id(self, task: Task) -> str:
        """The id of a task's run: always the same, wherever and however often the evaluation is started."""
        return f"{digest([task.model_dump(), self.base])[:12]}-{self.seed}"

    async def score(self, agent: Agent, task: Task) -> Scored:
        """Run a task and score its answer.

        Raises:
            UserError: a problem that would make every run fail.
        """
        return await _score(agent, task, _checker(agent, task, self.checker), self)


Elsewhere = Callable[[Scoring, Task], Awaitable[Scored]]
"""Scores a task in another process, as `Scoring.score` does in this one."""


async def evaluate_tasks(
    agent: Agent,
    tasks: Sequence[Task],
    *,
    checker: str | JsonObject | None = None,
    batch: str | None = None,
    concurrency: int = 1,
    learn: bool = False,
    seed: int = 0,
    on_result: Callable[[Scored], None] = lambda scored: None,
    apart_from: tuple[str, ...] = (),
    elsewhere: Elsewhere | None = None,
) -> EvalReport:
    """Run every task and score it.

    Run ids are derived from the tasks, the agent and the seed: starting the same evaluation again continues it, and
    nothing that has finished is repeated. Failed runs are retried.

    Args:
        agent: solves the tasks.
        tasks: with targets or checkers.
        checker: for tasks that don't name one; None means "exact" where there is a target.
        batch: names the evaluation; with None a name is derived.
        concurrency: how many runs at once.
        learn: let each run teach the agent's learners.
        on_result: called with each outcome as it arrives.
        apart_from: prefixes of the names of learnt state to ignore when deciding whether this is the same evaluation.
        elsewhere: runs the tasks in other processes; None runs them here.

    Raises:
        DataError: a task that can't be scored; raised before anything runs.
        UserError: a problem that would make every run fail, such as a missing key; the evaluation can be resumed.
    """
    checkers_for(agent, tasks, checker)
    said = agent.describe()
    versions = {name: number for name, number in said["versions"].items() if not name.startswith(apart_from or ("~",))}
    base = digest([said | {"versions": versions}, seed, learn])[:8]
    batch = batch or f"eval-{digest([[task.model_dump() for task in tasks], base])[:8]}"
    scoring = Scoring(batch=batch, base=base, checker=checker, learn=learn, seed=seed)
    gate, started = asyncio.Semaphore(concurrency), time.perf_counter()

    async def one(task: Task) -> Scored:
        async with gate:
            scored = await (scoring.score(agent, task) if elsewhere is None else elsewhere(scoring, task))
        on_result(scored)
        return scored

    results = await together(one(task) for task in tasks)
    return _report(agent, results, batch, time.perf_counter() - started)


def checkers_for(agent: Agent, tasks: Sequence[Task], default: str | JsonObject | None) -> dict[str, Checker]:
    """The checker of each task, by task id.

    Raises:
        DataError: a task that can't be scored.
        UserError: a checker that does not exist.
    """
    return {task.id: _checker(agent, task, default) for task in tasks}


def _checker(agent: Agent, task: Task, default: str | JsonObject | None) -> Checker:
    checker = agent.checker_for(task, default or ("exact" if task.target is not None else None))
    if checker is None:
        raise DataError(f"task {task.id!r} has neither a target nor a checker, so it can't be scored")
    if checker.needs_target and task.target is None:
        raise DataError(f"task {task.id!r} has no target, which its checker needs")
    return checker


async def _score(agent: Agent, task: Task, checker: Checker, scoring: Scoring) -> Scored:
    run_id, learn, seed = scoring.run_id(task), scoring.learn, scoring.seed
    try:
        result: Result = await agent.arun(task, run_id=run_id, batch=scoring.batch, learn=learn, seed=seed)
    except UserError:
        raise
    except AgentKitError as error:
        used = asdict(agent.log.totals([run_id]))
        return Scored(
            task_id=task.id, run_id=run_id, answer=None, score=0.0, status="failed", error=str(error), usage=used
        )
    feedback = await checker.check(result.answer or "", task)
    effort = result.effort or {}
    fit = await asyncio.to_thread(agent.likeness.fit, agent.log.get(run_id).task, result.answer)
    return Scored(
        task_id=task.id,
        run_id=run_id,
        answer=result.answer,
        score=feedback.score,
        status=result.status,
        seconds=result.seconds,
        confidence=result.confidence,
        features=features_of_calls(
            agent.log.steps(run_id).model_calls,
            samples=effort.get("samples"),
            weighed=effort.get("weighed"),
            fit=fit,
        ),
        usage=asdict(result.usage),
    )


def _report(agent: Agent, results: Sequence[Scored], batch: str, seconds: float) -> EvalReport:
    def total(name: str) -> Any:
        return sum(item.usage.get(name, 0) for item in results)

    interval = proportion([0.0 if item.status == "declined" else item.score or 0.0 for item in results])
    given = [item.score or 0.0 for item in results if item.status != "declined"]
    risk, calibrated = risk_of(results)
    return EvalReport(
        n=len(results),
        accuracy=interval.value,
        ci95=(interval.low, interval.high),
        abstained=sum(item.status == "abstained" for item in results),
        declined=len(results) - len(given),
        answered=sum(given) / len(given) if given else None,
        failed=sum(item.status == "failed" for item in results),
        unknown=sum(item.score is None for item in results),
        calls=total("calls"),
        tokens=total("input_tokens") + total("output_tokens"),
        cached_tokens=total("cached_tokens"),
        cost=total("cost"),
        seconds=seconds,
        model=agent.model_name,
        batch=batch,
        risk=risk,
        calibrated=calibrated,
        results=tuple(results),
    )


def risk_of(results: Sequence[Scored]) -> tuple[RiskCoverage | None, bool]:
    """The accuracy that declining would give, by calibrated confidence where it is known and by token probability
    otherwise."""
    scored = [item for item in results if item.score is not None]
    known = [(item.confidence, item.score) for item in scored if item.confidence is not None]
    told = [(math.exp(item.features.total), item.score) for item in scored if item.features is not None]
    calibrated = bool(known) and len(known) >= len(told)
    pairs = known if calibrated else told
    if not pairs:
        return None, False
    return risk_coverage([sure for sure, _ in pairs], [score or 0.0 for _, score in pairs]), calibrated
