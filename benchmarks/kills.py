"""Kills and interrupts at random moments of everything that stores data: nothing is lost, nothing happens twice.

    python -m benchmarks.kills --kills 300 --interrupts 60 --json

Runs, evolutions, a case memory, a playbook and curations, with models that replay or follow rules, are stopped by
SIGKILL and by Ctrl-C, checked, and restarted where they were, each kind equally often.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks._results import Results, arguments, share
from tests.support.kills.kinds import KINDS
from tests.support.kills.work import torture


def main() -> int:
    parser = arguments("kills", __doc__ or "")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--interrupts", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default=",".join(KINDS), help="kinds, separated by commas (default: all)")
    parser.add_argument("--longest", type=float, default=3.0, help="the most processor seconds to work for")
    args = parser.parse_args()
    names, results = args.kinds.split(","), Results("kills", settings=vars(args), label=args.label)
    problems = 0
    for number, name in enumerate(names):
        counts = [len(range(number, total, len(names))) for total in (args.kills, args.interrupts)]
        with tempfile.TemporaryDirectory() as folder:
            toll = torture(
                KINDS[name], Path(folder), kills=counts[0], interrupts=counts[1], seed=args.seed, longest=args.longest
            )
        results.add(arm=name, metric="kills", value=toll.kills)
        results.add(arm=name, metric="interrupts", value=toll.interrupts)
        results.add(arm=name, metric="pieces of work acknowledged", value=toll.acknowledged)
        stops = toll.kills + toll.interrupts
        results.add(arm=name, metric="problems a stop", **share(len(toll.problems), max(1, stops)), target="0")
        slowest = round(toll.slowest, 2)
        results.add(arm=name, metric="slowest end after an interrupt", value=slowest, unit="s", target="≤ 2 s")
        for problem in toll.problems[:20]:
            results.note(problem)
        problems += len(toll.problems)
        results.save(args.out)
    results.finish(json_=args.json, folder=args.out)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
