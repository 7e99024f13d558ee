"""How much processor time a cold `agentkit --help` takes.

`python -m benchmarks.cold_start` starts it repeatedly in separate processes and measures their user and system time,
which, unlike wall time, does not depend on what else the machine does.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys

from benchmarks._results import Results, arguments, mean

HEAVY = ("litellm", "torch", "transformers", "langgraph", "faiss", "sqlalchemy", "langchain_core", "pydantic")


def main() -> None:
    parser = arguments("cold_start", "processor time of agentkit --help")
    parser.add_argument("--runs", type=int, default=20)
    args = parser.parse_args()
    results = Results("cold_start", settings=vars(args), label=args.label)
    _seconds()  # so that everything is compiled
    seconds = [_seconds() for _ in range(args.runs)]
    bare = [_seconds("pass") for _ in range(args.runs)]
    results.add(arm="agentkit --help", metric="processor time", unit="s", target="≤ 0.5", **mean(seconds))
    results.add(arm="agentkit --help", metric="slowest", unit="s", target="≤ 0.5", value=max(seconds), n=args.runs)
    results.add(arm="python -c pass", metric="processor time", unit="s", **mean(bare))
    ratio = statistics.median(seconds) / statistics.median(bare)
    results.add(arm="agentkit --help", metric="ratio to bare Python (medians)", value=ratio, n=args.runs)
    results.add(arm="agentkit --help", metric="heavy packages imported", target="0", value=_heavy(), n=1)
    results.finish(json_=args.json, folder=args.out)


_HELP = (
    "import sys; sys.argv = ['agentkit', '--help']\n"
    "from agentkit.cli.main import main\n"
    "try: main()\n"
    "except SystemExit: pass\n"
)


def _seconds(code: str = _HELP) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True, env=_environment())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _heavy() -> int:
    code = _HELP + f"print(len([name for name in {HEAVY!r} if name in sys.modules]), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=True,
        text=True,
        env=_environment(),
    )
    return int(done.stderr.split()[-1])


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[:1] or ["."])}


if __name__ == "__main__":
    main()
