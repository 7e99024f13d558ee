"""Is the agent ever worse than its model? A bare call beside the agent as a user gets it, and each effort.

    python -m benchmarks.bare --family banking77 [--data FOLDER] [--model local/qwen2.5-coder-1.5b] [--limit 100]

A bare call is one completion: the instructions as system message, the input as user message, the answer constrained to
the same form, temperature 0. If the task is to call a tool (`bfcl`), the bare call is offered the tools under the same
grammar, and the agent's answer is what it calls in its first turn; modes without tools are left out. No run sees a
target or a checker; all answers are scored afterwards in the same way. Tasks are taken in blocks, each arm's in its own
process, so that no arm reads another's prompts from the prefix cache and all see the machine in the same state.
Finished rows are kept in build/, so a stopped benchmark continues.

Confidence is fitted on the rows of the same arm, each row's by a calibration that did not see it (five folds); so is
the threshold below which out-of-scope rows are declined.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agentkit.agent import Agent
from agentkit.aio import run_sync
from agentkit.answer_type import answer_text
from agentkit.checkers import get_checker
from agentkit.confidence import Features, auroc, cross_fitted, features_of, features_of_calls, risk_coverage
from agentkit.errors import AgentKitError, DataError
from agentkit.ledger import digest
from agentkit.models import Caller, load_model
from agentkit.result import Result
from agentkit.settings import load_settings
from agentkit.statistics.estimates import bootstrap_mean, paired, proportion
from agentkit.tasks import Task
from agentkit.tools import client_tools
from benchmarks import _bfcl
from benchmarks._families import CALLS, CLOSED, FAMILIES, OUT_OF_SCOPE, load
from benchmarks._results import Results, arguments

ARMS = ("bare", "agent", "instant", "reasoning", "agentic")
TOOLLESS = ("instant", "reasoning")
"""Modes in which no tool can be called."""
BLOCK = 30


@dataclass(frozen=True, kw_only=True)
class Job:
    """Tasks for one arm to answer in its own process."""

    family: str
    data: Path | None
    limit: int
    seed: int
    model: str
    arm: str
    ids: tuple[str, ...]
    rows: Path


def main() -> None:
    parser = arguments("bare", "a bare call of a model beside the agent")
    parser.add_argument("--family", choices=[*FAMILIES], required=True)
    parser.add_argument("--data", type=Path, help="a folder laid out like the data folder (default: AGENTKIT_DATA)")
    parser.add_argument("--model", default="local/qwen2.5-coder-1.5b")
    parser.add_argument("--limit", type=int, default=100, help="tasks")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice of tasks")
    parser.add_argument("--fresh", action="store_true", help="discard the rows of an earlier run that was stopped")
    args = parser.parse_args()
    arms = list(dict.fromkeys(["bare", *args.arms]))
    if args.family in CALLS:
        arms = [arm for arm in arms if arm not in TOOLLESS]
    tasks = load(args.family, args.data, args.limit, seed=args.seed)
    name = args.model.replace("/", "_").replace(".gguf", "")
    path = Path("build/bare") / f"{args.family}-{name[-40:]}-{digest([task.model_dump() for task in tasks])[:8]}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    if args.fresh:
        path.unlink(missing_ok=True)
    answer_all(args, arms, tasks, path)
    if args.label == "default":
        args.label = f"{args.family}-{args.model.rsplit('/', 1)[-1]}"
    results = Results("bare", settings=vars(args) | {"arms": arms}, label=args.label)
    report(results, args.family, arms, tasks, finished(path))
    results.finish(json_=args.json, folder=args.out)


def answer_all(args: argparse.Namespace, arms: Sequence[str], tasks: Sequence[Task], rows: Path) -> None:
    """Have every arm answer every task, block by block; already answered tasks are skipped."""
    for begin in range(0, len(tasks), BLOCK):
        for arm in arms:
            done = finished(rows)
            ids = tuple(task.id for task in tasks[begin : begin + BLOCK] if (arm, task.id) not in done)
            if not ids:
                continue
            job = Job(
                family=args.family,
                data=args.data,
                limit=args.limit,
                seed=args.seed,
                model=args.model,
                arm=arm,
                ids=ids,
                rows=rows,
            )
            _apart(job)


def _apart(job: Job) -> None:
    """Do a job in its own process, which ends with this one."""
    process = multiprocessing.get_context("spawn").Process(target=answer, args=(job,), daemon=True)
    process.start()
    try:
        process.join()
    finally:
        process.kill()
    if process.exitcode:
        sys.exit(f"error: the arm {job.arm} ended with {process.exitcode}; what it had finished is kept in {job.rows}")


def _end_with_parent() -> None:
    """End this process when its parent is gone, also if that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def finished(rows: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """The finished rows, by arm and task; a line cut off by a kill is ignored."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for line in rows.read_text(encoding="utf-8").splitlines() if rows.exists() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[row["arm"], row["id"]] = row
    return found


def answer(job: Job) -> None:
    """Answer a block's tasks and store a row for each."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tasks = [task for task in load(job.family, job.data, job.limit, seed=job.seed) if task.id in job.ids]
    model = load_model(job.model)
    if warm_up := getattr(model, "warm_up", None):
        warm_up()
    with TemporaryDirectory() as home, job.rows.open("a", encoding="utf-8") as file:
        effort: Any = "auto" if job.arm in ("agent", "bare") else job.arm
        with Agent(model, effort=effort, settings=load_settings(home=Path(home), model=job.model)) as agent:
            for task in tasks:
                started = time.perf_counter()
                row = _bare(model, task) if job.arm == "bare" else _agent(agent, task)
                row |= {"arm": job.arm, "id": task.id, "wall": time.perf_counter() - started}
                row["score"] = _score(task, row["answer"])
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                file.flush()


def _bare(model: Any, task: Task) -> dict[str, Any]:
    from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

    prompt: list[BaseMessage] = [SystemMessage(task.instructions)] if task.instructions else []
    prompt.append(HumanMessage(task.input))
    form, tools = task.answer_type, client_tools(task.metadata.get("tools", ()))
    try:
        reply = run_sync(Caller(model).call(prompt, tools=tools, schema=form, temperature=0.0, logprobs=True))
    except AgentKitError as error:
        return {"answer": None, "error": str(error), "calls": 1, "read": 0, "written": 0, "seconds": 0.0}
    text = reply.text.strip() if form is None else answer_text(reply.parsed)
    if tools:
        text = json.dumps([{"name": call["name"], "arguments": call["args"]} for call in reply.message.tool_calls])
    used, told = reply.usage, features_of(reply.logprobs)
    return {
        "answer": text,
        "calls": 1,
        "read": used.input_tokens,
        "written": used.output_tokens,
        "seconds": used.seconds,
        "features": None if told is None else asdict(told),
    }


def _agent(agent: Agent, task: Task) -> dict[str, Any]:
    blind = task.model_copy(update={"target": None, "checker": None, "metadata": {}})
    run_id = digest(["bare", task.id])[:12]
    try:
        tools = task.metadata.get("tools", ())
        result = agent.run(blind, run_id=run_id, client_tools=tools)
        text, error = _first_calls(result) if tools else result.answer, None
    except AgentKitError as failed:
        text, error = None, str(failed)
    steps, used = agent.log.steps(run_id), agent.log.totals([run_id])
    mode = agent.log.get(run_id).effort or {}
    fit = agent.likeness.fit(task, text)
    told = features_of_calls(steps.model_calls, weighed=mode.get("weighed"), fit=fit)
    return {
        "answer": text,
        "error": error,
        "calls": used.calls,
        "read": used.input_tokens,
        "written": used.output_tokens,
        "seconds": used.model_seconds,
        "mode": mode.get("mode"),
        "tools": [call["tool"] for call in steps.tool_calls],
        "features": None if told is None else asdict(told),
    }


def _first_calls(result: Result) -> str:
    """What a run called in its first turn, if it waits for the results; nothing if it answered instead."""
    calls = (result.question or {}).get("calls", ())
    return json.dumps([{"name": call["tool"], "arguments": call["arguments"]} for call in calls])


def _score(task: Task, text: str | None) -> float:
    if text is None or task.target == OUT_OF_SCOPE:
        return 0.0
    if "functions" in task.metadata:
        return _bfcl.score(task, text)
    return run_sync(get_checker(task.own_checker or "exact").check(text, task)).score or 0.0


def report(results: Results, family: str, arms: Sequence[str], tasks: Sequence[Task], done: Any) -> None:
    """Add the rows of each arm: what it got right, what it cost, and what its confidence is worth."""
    inside = [task for task in tasks if task.target != OUT_OF_SCOPE]
    bare = [done["bare", task.id] for task in inside]
    for arm in arms:
        rows = [done[arm, task.id] for task in inside]
        scores = [row["score"] for row in rows]
        wanted = arm == "agent"
        results.add(
            arm=arm,
            metric="accuracy",
            **_interval(proportion(scores)),
            failed=sum(row["answer"] is None for row in rows),
            target="≥ 0.70" if wanted and family == "formula" else "",
        )
        if arm != "bare":
            _against(results, family, arm, rows, bare)
        for metric, keys in (
            ("calls a task", ("calls",)),
            ("tokens a task", ("read", "written")),
            ("tokens written a task", ("written",)),
            ("model seconds a task", ("seconds",)),
            ("seconds a task", ("wall",)),
        ):
            totals = [float(sum(row[key] for key in keys)) for row in rows]
            results.add(arm=arm, metric=metric, **_interval(bootstrap_mean(totals)))
        for row in _confidence(rows, scores, family=family, wanted=wanted):
            results.add(arm=arm, **row)
        if len(inside) < len(tasks):
            _declined(results, arm, [done[arm, task.id] for task in tasks], tasks)


def _against(results: Results, family: str, arm: str, rows: list[Any], bare: list[Any]) -> None:
    """Compare an arm with the bare call on the same tasks."""
    found = paired([row["score"] for row in rows], [row["score"] for row in bare])
    wanted = arm == "agent"
    results.add(
        arm=arm,
        metric="accuracy less bare",
        **_interval(found.difference),
        target="≥ 0" if wanted else "",
        wins=found.wins,
        losses=found.losses,
        p=found.p,
    )
    if wanted:
        results.add(
            arm=arm, metric="accuracy less bare, lower bound", value=found.difference.low, n=len(rows), target="> -0.05"
        )
    spent = [sum(row["seconds"] for row in item) for item in (rows, bare)]
    limit = "≤ 1.3" if family in CLOSED else "≤ 1.6"
    results.add(
        arm=arm,
        metric="model seconds by those of bare",
        value=spent[0] / spent[1] if spent[1] else None,
        n=len(rows),
        target=limit if wanted else "",
    )


def _confidence(rows: list[Any], scores: list[float], *, family: str, wanted: bool) -> Iterator[dict[str, Any]]:
    """AUROC and accuracy at half coverage of the fitted confidence, and the AUROC of the answer's probability alone."""
    known = [
        (Features(**row["features"]), score) for row, score in zip(rows, scores, strict=True) if row.get("features")
    ]
    if not known:
        return
    features, right = [item for item, _ in known], [score for _, score in known]
    raw = [item.total for item in features]
    yield {"metric": "AUROC of the answer's log-probability", "value": auroc(raw, right), "n": len(right)}
    try:
        confidences = cross_fitted(features, right)
    except DataError:
        return
    table = risk_coverage(confidences, right)
    goal = "≥ 0.75" if wanted and family in ("banking77", "formula") else ""
    yield {"metric": "AUROC of confidence", "value": table.auroc, "n": len(right), "target": goal}
    goal = "≥ 0.92" if wanted and family == "banking77" else ""
    half = next(point for point in table.points if point.coverage == 0.5)
    yield {
        "metric": "accuracy at half coverage",
        "value": table.half,
        "n": half.n,
        "target": goal,
        "table": [asdict(point) for point in table.points],
    }


def _declined(results: Results, arm: str, rows: list[Any], tasks: Sequence[Task]) -> None:
    """How well declining finds the rows that are out of scope."""
    outside = [float(task.target == OUT_OF_SCOPE) for task in tasks]
    if any(not row.get("features") for row in rows):
        return
    found = cross_fitted([Features(**row["features"]) for row in rows], [1 - value for value in outside])
    declined = [found[number] < _threshold(found, outside, fold=number % 5) for number in range(len(rows))]
    hits = sum(one and value for one, value in zip(declined, outside, strict=True))
    value = 2 * hits / (sum(declined) + sum(outside))
    results.add(
        arm=arm,
        metric="out of scope declined, F1",
        value=value,
        n=len(rows),
        target="≥ 0.6" if arm == "agent" else "",
        declined=sum(declined),
        outside=int(sum(outside)),
    )
    rank = auroc(found, [1 - item for item in outside])
    results.add(arm=arm, metric="AUROC of in scope against out of scope", value=rank, n=len(rows))


def _threshold(found: Sequence[float], outside: Sequence[float], *, fold: int) -> float:
    """The confidence below which declining has the best F1 on the other folds."""
    others = [pair for number, pair in enumerate(zip(found, outside, strict=True)) if number % 5 != fold]

    def f1(threshold: float) -> float:
        hits = sum(value for confidence, value in others if confidence < threshold)
        declined = sum(confidence < threshold for confidence, _ in others)
        return float(2 * hits / (declined + sum(value for _, value in others) or 1))

    ranked = sorted({confidence for confidence, _ in others})
    return max(((one + other) / 2 for one, other in pairwise(ranked)), key=f1, default=0.0)


def _interval(estimate: Any) -> dict[str, Any]:
    return dict(estimate.to_json())


if __name__ == "__main__":
    main()
