"""SIGKILL at random moments of a many-paper curation: calls repeated, and whether the export is the same bytes."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from agentkit.curation.export import export
from agentkit.curation.kb.exchange import content_of
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.kb.verification import verify_kb
from agentkit.store import Store
from benchmarks._results import Results, arguments, share
from tests.curation.papers import write_papers

ROOT = Path(__file__).resolve().parent.parent


def start(folder: Path, database: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.curation.kill_run", str(folder), str(database), str(log), "4"]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})


def completed(database: Path) -> int:
    """How many calls the journal holds."""
    if not database.exists():
        return 0
    connection = sqlite3.connect(database)
    try:
        return int(connection.execute("SELECT count(*) FROM model_calls").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def lines(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8").split() if log.exists() else []


def exported(database: Path, home: Path) -> tuple[bytes, bool]:
    store = Store.open(database)
    kb = KnowledgeBase(store, "x")
    data = b"".join(file.read_bytes() for file in export(content_of(kb, everything=True), home / "kb.jsonl"))
    good = verify_kb(kb).ok
    store.close()
    return data, good


def main() -> None:
    parser = arguments("curation_kill", __doc__)
    parser.add_argument("--papers", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    results, rng = Results("curation_kill", settings=vars(args), label=args.label), random.Random(args.seed)
    home = Path(tempfile.mkdtemp())
    folder = write_papers(home / "papers", args.papers)
    began = time.monotonic()
    assert start(folder, home / "calm.db", home / "calm.log").wait() == 0
    seconds = time.monotonic() - began
    calm, calm_good = exported(home / "calm.db", home)
    killed, repeated = 0, 0
    while killed < args.kills:
        process = start(folder, home / "killed.db", home / "killed.log")
        try:
            process.wait(timeout=rng.uniform(0.3, 0.3 + 2.5 * seconds / args.kills))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        killed += 1
        repeated += len(lines(home / "killed.log")) - len(set(lines(home / "killed.log")))
    assert start(folder, home / "killed.db", home / "killed.log").wait() == 0
    data, good = exported(home / "killed.db", home)
    made, needed = len(lines(home / "killed.log")), len(lines(home / "calm.log"))
    results.add(arm="killed", metric="kills", value=killed, n=args.papers)
    results.add(arm="killed", metric="calls the undisturbed run made", value=needed)
    results.add(
        arm="killed", metric="calls cut off by a kill and made again", value=made - needed, target=f"≤ {killed * 4}"
    )
    results.add(arm="killed", metric="calls in the journal at the end", value=completed(home / "killed.db"))
    results.add(arm="killed", metric="export is the same bytes", **share(data == calm, 1), target="1")
    results.add(arm="killed", metric="verified", **share(good and calm_good, 1), target="1")
    results.note("a call is cut off when the process dies after the model answered and before the answer was written")
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
