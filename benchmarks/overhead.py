"""What a run costs besides its model calls, as a share of a run whose calls take one second.

`python -m benchmarks.overhead` runs tasks with a model that answers immediately, so all the time that passes is
AgentKit's: the state machine, checkpoints, the store, prompts and checks. The share is that time over the time of the
same calls at one second each.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from agentkit.agent import Agent
from agentkit.store import Store
from agentkit.testing import ScriptedModel
from benchmarks._results import Results, arguments, mean

CALL = {"tool": "calculator", "arguments": {"expression": "1234*5678"}}
ANSWER = {"reasoning": "the calculator says so", "answer": "7006652"}
ACCEPT = {"reason": "it follows", "verdict": "accept", "confidence": 1.0}


def reply(messages: list[Any], _tools: list[str]) -> dict[str, Any]:
    """A tool call, then the answer, then the evaluator's acceptance."""
    if "check answers" in str(messages[0].content):
        return ACCEPT
    return ANSWER if messages[-1].type == "tool" else CALL


def main() -> None:
    parser = arguments("overhead", "time of a run besides its model calls")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--latency", type=float, default=1.0, help="seconds of a model call to compare with")
    args = parser.parse_args()
    results = Results("overhead", settings=vars(args), label=args.label)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "agentkit.db")
        with Agent(ScriptedModel(reply), store=store, tools=["calculator"], evaluate=True) as agent:
            _timed(agent, -1)
            seconds = [_timed(agent, number) for number in range(args.runs)]
        store.close()
    shares = [second / (3 * args.latency) for second in seconds]
    results.add(arm="3 calls, 1 tool", metric="own time of a run", unit="s", **mean(seconds))
    results.add(
        arm="3 calls, 1 tool", metric="median own time", unit="s", value=statistics.median(seconds), n=args.runs
    )
    results.add(arm="3 calls, 1 tool", metric=f"share at {args.latency:g} s a call", target="≤ 0.03", **mean(shares))
    results.finish(json_=args.json, folder=args.out)


def _timed(agent: Agent, number: int) -> float:
    started = time.perf_counter()
    agent.run(f"What is 1234*5678? ({number})")
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
