"""Eight writers and eight readers on one memory: processes on SQLite and PostgreSQL, each reading its own writes.

    python -m benchmarks.memory_together [--seconds 60] [--postgres postgresql://…]

A writer appends a case and searches for it at once; a reader searches and checks that nothing appears twice and that
what it has seen once does not disappear. At the end every acknowledged case must be there exactly once, and there must
have been no error. Without --postgres a server is started from the system's package if there is one.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._results import Results, arguments
from tests.support.postgres import server
from tests.support.together import together

WRITERS = READERS = 8


def main() -> None:
    parser = arguments("memory_together", __doc__ or "")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--postgres", help="URL of an empty database")
    args = parser.parse_args()
    results = Results("memory_together", settings=vars(args) | {"postgres": bool(args.postgres)}, label=args.label)
    with tempfile.TemporaryDirectory() as folder:
        _report(results, "SQLite", together(str(Path(folder) / "a.db"), args.seconds, writers=WRITERS, readers=READERS))
    with contextlib.nullcontext(args.postgres) if args.postgres else server() as url:
        if url is None:
            results.note("PostgreSQL is not installed here: not run")
        else:
            _report(results, "PostgreSQL", together(url, args.seconds, writers=WRITERS, readers=READERS))
    results.finish(json_=args.json, folder=args.out)


def _report(results: Results, arm: str, report: dict[str, Any]) -> None:
    arm = f"{arm}, {WRITERS} writers and {READERS} readers"
    results.add(arm=arm, metric="cases acknowledged", value=report["writes"])
    results.add(arm=arm, metric="searches", value=report["searches"])
    results.add(arm=arm, metric="lost, doubled, unread or errors", value=len(report["problems"]), target="0")
    for problem in report["problems"][:10]:
        results.note(f"{arm}: {problem}")


if __name__ == "__main__":
    main()
