"""How close concurrent runs come to the ideal throughput of a model server with fixed latency.

`python -m benchmarks.throughput` starts a local stub server, drives runs through `openai/…` at it, and reports the time
they would take if nothing but the latency counted, over the time they took.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentkit.agent import Agent
from agentkit.models import load_model
from agentkit.settings import Settings
from agentkit.store import Store
from benchmarks._results import Results, arguments


def main() -> None:
    parser = arguments("throughput", "concurrent runs beside the ideal")
    parser.add_argument("--runs", type=int, default=512)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.5, help="seconds of the stub server")
    args = parser.parse_args()
    results = Results("throughput", settings=vars(args), label=args.label)
    with stub_server(args.latency) as url:
        seconds, calls = asyncio.run(drive(url, runs=args.runs, concurrency=args.concurrency))
    ideal = calls * args.latency / args.concurrency
    arm = f"{args.concurrency} at once, {args.latency:g} s"
    results.add(arm=arm, metric="share of the ideal throughput", value=ideal / seconds, n=args.runs, target="≥ 0.9")
    results.add(arm=arm, metric="model calls a second", value=calls / seconds, n=calls)
    results.finish(json_=args.json, folder=args.out)


async def drive(url: str, *, runs: int, concurrency: int) -> tuple[float, int]:
    """Wall seconds and model calls of so many runs, `concurrency` of them at once."""
    model = load_model("openai/stub", api_base=url, api_key="none")
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "agentkit.db")
        agent = Agent(model, store=store, tools=[], settings=Settings(concurrency=concurrency))
        await agent.arun("warm up")
        gate = asyncio.Semaphore(concurrency)

        async def one(number: int) -> int:
            async with gate:
                return (await agent.arun(f"task {number}")).usage.calls

        started = time.perf_counter()
        calls = sum(await asyncio.gather(*(one(number) for number in range(runs))))
        seconds = time.perf_counter() - started
        agent.close()
        store.close()
    return seconds, calls


@contextmanager
def stub_server(latency: float) -> Iterator[str]:
    """The stub in a process of its own; yields its address."""
    command = [sys.executable, "-m", "benchmarks.stub_server", "--latency", str(latency), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().split()[-1]
        finally:  # leaving Popen waits for the process, so it must end after an error too
            server.terminate()


if __name__ == "__main__":
    main()
