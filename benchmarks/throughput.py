"""How close concurrent runs come to the ideal throughput of a model server with fixed latency.

`python -m benchmarks.throughput` starts a local stub server, sends runs to it through `openai/…`, and reports the time
they would take if only the latency counted, over the time they took. One Python process uses one core: with
`--processes` the runs are divided among several, which work on one database. The peer in the same run is LiteLLM alone:
the same prompt and the same tool, in one process, without an agent or a database around it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from langchain_core.messages.utils import convert_to_openai_messages

from agentkit.agent import Agent
from agentkit.models import load_model
from agentkit.models.pricing import load_litellm
from agentkit.roles.explorer import explorer_messages
from agentkit.settings import Settings
from agentkit.store import Store
from agentkit.tasks import Task
from benchmarks._results import Results, arguments
from tests.support.stub_server import stub_server

MODEL = "openai/gpt-4.1-mini"
"""A name with a known price, so that the cost of each call is computed as usual."""


def main() -> None:
    parser = arguments("throughput", "concurrent runs beside the ideal")
    parser.add_argument("--runs", type=int, default=2048, help="runs in all; the first ones start one after another")
    parser.add_argument("--concurrency", type=int, default=64, help="runs at once, in all")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--latency", type=float, default=0.5, help="latency of the stub server in seconds")
    args = parser.parse_args()
    results = Results("throughput", settings=vars(args), label=args.label)
    with stub_server(args.latency) as url:
        calls, seconds, worked = asyncio.run(
            litellm_alone(url, calls=2 * args.runs, concurrency=args.concurrency, latency=args.latency)
        )
        report(results, f"LiteLLM alone, {args.concurrency} at once, {args.latency:g} s", args, calls, seconds, worked)
        spent = measure(
            url, runs=args.runs, concurrency=args.concurrency, processes=args.processes, latency=args.latency
        )
    seconds, calls = max(each[0] for each in spent), sum(each[1] for each in spent)
    arm = f"{args.concurrency} at once in {args.processes} process(es), {args.latency:g} s"
    report(results, arm, args, calls, seconds, sum(each[2] for each in spent), target="≥ 0.9")
    results.finish(json_=args.json, folder=args.out)


def report(
    results: Results, arm: str, args: Namespace, calls: int, seconds: float, worked: float, *, target: str = ""
) -> None:
    """The rows of one arm: share of the ideal, calls per second, processor time per call."""
    ideal = calls * args.latency / args.concurrency
    results.add(arm=arm, metric="share of the ideal throughput", value=ideal / seconds, n=calls, target=target)
    results.add(arm=arm, metric="model calls a second", value=calls / seconds, n=calls)
    results.add(arm=arm, metric="processor time a call", unit="s", value=worked / calls, n=calls)


async def litellm_alone(url: str, *, calls: int, concurrency: int, latency: float) -> tuple[int, float, float]:
    """Calls, wall seconds and processor seconds of the same requests without AgentKit."""
    litellm, gate = load_litellm(), asyncio.Semaphore(concurrency)
    prompt = convert_to_openai_messages(explorer_messages(Task(id="peer", input="task"), []))

    async def one(number: int) -> None:
        if number < concurrency:
            await asyncio.sleep(latency * number / concurrency)
        async with gate:
            await litellm.acompletion(model=MODEL, messages=prompt, api_base=url, api_key="none")

    await one(0)
    started, worked = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one(number) for number in range(calls)))
    return calls, time.perf_counter() - started, time.process_time() - worked


def measure(url: str, *, runs: int, concurrency: int, processes: int, latency: float) -> list[tuple[float, int, float]]:
    """The result of `drive` for each process; all begin together."""
    with tempfile.TemporaryDirectory() as folder:
        spawn = multiprocessing.get_context("spawn")
        start, answers = spawn.Barrier(processes), spawn.SimpleQueue()
        shares = (url, Path(folder) / "agentkit.db", runs // processes, concurrency // processes)
        stagger = latency * processes / concurrency
        workers = [spawn.Process(target=_worker, args=(*shares, stagger, start, answers)) for _ in range(processes)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if any(worker.exitcode for worker in workers):
            sys.exit("error: a process failed; its traceback is above")
        return [answers.get() for _ in workers]


def _worker(url: str, database: Path, runs: int, concurrency: int, stagger: float, start: Any, answers: Any) -> None:
    try:
        answers.put(asyncio.run(drive(url, database, runs=runs, concurrency=concurrency, stagger=stagger, start=start)))
    except BaseException:
        start.abort()  # the others wait for this one
        raise


async def drive(
    url: str, database: Path, *, runs: int, concurrency: int, stagger: float, start: Any
) -> tuple[float, int, float]:
    """Wall seconds, model calls and processor seconds of `runs` runs, `concurrency` of them at once.

    Args:
        stagger: seconds between the starts of the first ones.
    """
    model = load_model(MODEL, api_base=url, api_key="none")
    store = Store.open(database)
    agent = Agent(model, store=store, tools=[], evaluate=True, settings=Settings(concurrency=concurrency))
    await agent.arun("warm up")
    gate = asyncio.Semaphore(concurrency)

    async def one(number: int) -> int:
        if number < concurrency:  # or equal latencies keep all runs in step, and the processor idles while all wait
            await asyncio.sleep(stagger * number)
        async with gate:
            return (await agent.arun(f"task {number}")).usage.calls

    await asyncio.to_thread(start.wait)
    started, worked = time.perf_counter(), time.process_time()
    calls = sum(await asyncio.gather(*(one(number) for number in range(runs))))
    seconds, worked = time.perf_counter() - started, time.process_time() - worked
    agent.close()
    store.close()
    return seconds, calls, worked


if __name__ == "__main__":
    main()
