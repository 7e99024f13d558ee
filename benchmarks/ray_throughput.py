"""How close an evaluation on Ray's workers comes to the ideal of a model server with fixed latency, beside one process.

`python -m benchmarks.ray_throughput` starts a local stub server and runs the same tasks through `agentkit.evaluation`
in this process and through `agentkit.distributed` with so many workers, each arm on a database of its own. Workers are
started, and have solved their first tasks, before the clock is: that takes seconds, and happens once an evaluation.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path

from agentkit.agent import Agent
from agentkit.distributed import Cluster
from agentkit.distributed.rollouts import RolloutCrew
from agentkit.distributed.shared import Shared
from agentkit.evaluation import EvalReport, evaluate_tasks
from agentkit.settings import Settings
from agentkit.tasks import Task
from benchmarks._results import Results, arguments
from tests.support.stub_server import stub_server

MODEL = "openai/gpt-4.1-mini"
Evaluation = Callable[..., Coroutine[None, None, EvalReport]]


def tasks(name: str, count: int) -> list[Task]:
    return [Task(id=f"{name}{number}", input=f"{name} task {number}", target="42") for number in range(count)]


def main() -> None:
    parser = arguments("ray_throughput", __doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=2048)
    parser.add_argument("--concurrency", type=int, default=128, help="calls at once, over all workers")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--latency", type=float, default=2.0, help="seconds of the stub server")
    args = parser.parse_args()
    results = Results("ray_throughput", settings=vars(args), label=args.label)
    with stub_server(args.latency) as url, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:

        def agent(name: str) -> Agent:
            settings = Settings(home=Path(folder) / name, concurrency=args.concurrency)
            return Agent(MODEL, tools=[], model_options={"api_base": url}, settings=settings)

        with agent("plain") as alone:
            plain = asyncio.run(timed(partial(evaluate_tasks, alone), args.runs, args.concurrency))
        with agent("ray") as many, Cluster("local", workers=args.workers, home=Path(folder)) as cluster:
            crew = RolloutCrew(cluster, many, args.concurrency, Shared())
            spread = asyncio.run(
                timed(partial(evaluate_tasks, many, elsewhere=crew.score), args.runs, args.concurrency)
            )
    ideal = args.runs * args.latency / args.concurrency
    arms = {"one process": plain, f"Ray, {args.workers} workers": spread}
    for arm, seconds in arms.items():
        target = "≥ 0.9" if arm.startswith("Ray") else ""
        results.add(arm=arm, metric="share of the ideal throughput", value=ideal / seconds, n=args.runs, target=target)
        results.add(arm=arm, metric="runs a second", value=args.runs / seconds, n=args.runs)
    results.add(arm="Ray over one process", metric="time, as a ratio", value=spread / plain, n=args.runs)
    results.finish(json_=args.json, folder=args.out)


async def timed(evaluate: Evaluation, runs: int, concurrency: int) -> float:
    """Seconds of so many tasks, after as many as are worked on at once have been solved for warmth."""
    await solved(evaluate, tasks("warm", concurrency), concurrency)
    started = time.perf_counter()
    await solved(evaluate, tasks("timed", runs), concurrency)
    return time.perf_counter() - started


async def solved(evaluate: Evaluation, given: Sequence[Task], concurrency: int) -> None:
    report = await evaluate(given, concurrency=concurrency)
    assert (report.failed, report.accuracy) == (0, 1.0)


if __name__ == "__main__":
    main()
