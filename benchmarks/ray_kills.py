"""Random kills of workers, nodes and the driver during work on a Ray cluster: nothing is lost or happens twice.

    python -m benchmarks.ray_kills --kills 50

A cluster of three local node processes evaluates tasks and curates papers on PostgreSQL, against a stub server, round
after round. At random moments, each after some progress since the last kill, a worker, a machine or the command is
killed by SIGKILL; a machine is replaced, and the command is started again. Each round must end with the report, the
export and the ledger of a single undisturbed process, with each call in the journal once; only calls that were in
flight are made again.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import func, select, text

from agentkit.curation.export import export
from agentkit.curation.kb.exchange import content_of
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.kb.verification import verify_kb
from agentkit.ledger import Ledger
from agentkit.store import Store
from agentkit.store.runs import ModelCallRow
from benchmarks._results import Results, arguments
from tests.curation.papers import ONTOLOGY, write_papers
from tests.distributed.nodes import ROOT, nodes, workers_of
from tests.support import postgres
from tests.support.stub_server import stub_server

KINDS = ("worker", "node", "driver")
AT_ONCE = 12


@dataclass
class Toll:
    """The kills and problems so far."""

    kills: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    again: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The cluster and servers on which the work is done, and whose parts are killed."""

    folder: Path
    url: str
    store: Store
    address: str
    kill_node: Callable[..., object]

    def command(self, work: str, home: Path, database: str, *more: str) -> subprocess.Popen[str]:
        """Start the command of a kind of work."""
        what = {
            "eval": ["eval", str(self.folder / "tasks.jsonl"), "--tools", "calculator", "--concurrency", str(AT_ONCE)],
            "curate": ["curate", str(self.folder / "papers"), "--ontology", str(self.folder / "ontology.yaml"),
                       "--papers", str(AT_ONCE)],
        }[work]  # fmt: skip
        settings = {"AGENTKIT_HOME": str(home), "AGENTKIT_DATABASE": database, "AGENTKIT_API_BASE": self.url}
        with (self.folder / "log").open("a", encoding="utf-8") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "agentkit", *what, "--model", "openai/gpt-4.1-mini", "--json", *more],
                env={**os.environ, **settings, "AGENTKIT_CONCURRENCY": str(AT_ONCE)},
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
            )

    def served(self) -> int:
        """The number of requests that the server has answered, including this one."""
        reply = httpx.post(f"{self.url}/chat/completions", json={"model": "x", "messages": []}, timeout=30)
        return int(str(reply.json()["id"]).removeprefix("stub-")) + 1

    def last_line(self) -> str:
        """The last line of a command on standard error."""
        lines = (self.folder / "log").read_text(encoding="utf-8").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def kill(self, kind: str, driver: subprocess.Popen[str], rng: random.Random) -> bool:
        """Kill a worker, a machine or the command; returns whether there was one to kill."""
        if kind == "driver":
            driver.kill()
            driver.communicate()
        elif kind == "node":
            self.kill_node(replace=True)
        else:
            pids = workers_of(psutil.Process())
            if not pids:
                return False
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(pids), signal.SIGKILL)
        return True


def main() -> int:
    parser = arguments("ray_kills", __doc__.split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--items", type=int, default=48, help="papers per round; six times as many tasks")
    parser.add_argument("--latency", type=float, default=2.0, help="latency of the stub server in seconds, on average")
    parser.add_argument("--longest", type=float, default=10.0, help="the most seconds between kills")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    results, tolls = Results("ray_kills", settings=vars(args), label=args.label), {}
    with scene(args.items, args.latency) as place:
        calm = {work: left_alone(place, work) for work in ("eval", "curate")}
        rng, tolls = random.Random(args.seed), {work: Toll() for work in calm}
        while sum(toll.kills.total() for toll in tolls.values()) < args.kills:
            work = min(tolls, key=lambda name: tolls[name].kills.total())
            left = args.kills - sum(toll.kills.total() for toll in tolls.values())
            a_round(place, work, calm[work], tolls[work], rng, left, args)
            results.rows = list(rows(tolls))
            results.save(args.out)
    for toll in tolls.values():
        for problem in toll.problems[:20]:
            results.note(problem)
    results.finish(json_=args.json, folder=args.out)
    return 1 if any(toll.problems for toll in tolls.values()) else 0


def rows(tolls: dict[str, Toll]) -> Iterator[dict[str, Any]]:
    made = Results("ray_kills")
    for work, toll in tolls.items():
        for kind in KINDS:
            made.add(arm=work, metric=f"kills of a {kind}", value=toll.kills[kind])
        made.add(arm=work, metric="rounds", value=toll.rounds)
        made.add(arm=work, metric="calls made again, of those in flight", value=toll.again)
        made.add(arm=work, metric="problems", value=len(toll.problems), n=toll.kills.total(), target="0")
    yield from made.rows


@contextlib.contextmanager
def scene(items: int, latency: float) -> Iterator[Scene]:
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name,
        stub_server(latency, rule="papers", spread=0.5) as url,
        postgres.server() as database,
        nodes(3) as (address, kill),
    ):
        if database is None:
            sys.exit("error: PostgreSQL is not installed")
        folder = Path(name)
        write_papers(folder / "papers", items)
        (folder / "ontology.yaml").write_text(ONTOLOGY, encoding="utf-8")
        tasks = [
            {"id": f"t{n}", "input": f"What is task {n}?", "target": "42" if n % 3 else "41"} for n in range(6 * items)
        ]
        (folder / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tasks), encoding="utf-8")
        store = Store.open(database)
        yield Scene(folder=folder, url=url, store=store, address=address, kill_node=kill)
        store.close()


def left_alone(place: Scene, work: str) -> tuple[Any, int]:
    """The result of one undisturbed process, and its number of calls."""
    home = place.folder / f"calm-{work}"
    database = f"sqlite:///{home / 'agentkit.db'}"
    process = place.command(work, home, database)
    out, _ = process.communicate()
    if process.returncode:
        sys.exit(f"error: {work} failed in one process: {place.last_line()}")
    store = Store.open(database)
    found = outcome(store, place.folder, work, out), calls_in(store)
    store.close()
    return found


def a_round(
    place: Scene, work: str, calm: tuple[Any, int], toll: Toll, rng: random.Random, left: int, args: Any
) -> None:
    """Do the work from start to end on an empty database, with kills on the way."""
    emptied(place.store)
    database = place.store.engine.url.render_as_string(hide_password=False)
    begun, stops, done = place.served(), 0, 0
    home = place.folder / f"{work}-{toll.rounds}"
    again = ("--ray", place.address, "--workers", "3")
    process = place.command(work, home, database, *again)
    while True:
        quiet = stops >= left
        try:
            out, _ = process.communicate(timeout=900 if quiet else rng.uniform(1, args.longest))
            break
        except subprocess.TimeoutExpired:
            if quiet:
                process.kill()
                toll.problems.append(f"{work}, round {toll.rounds}: not finished within 900 s")
                return
        kind = rng.choice(args.kinds.split(","))
        if (calls := calls_in(place.store)) > done and place.kill(kind, process, rng):
            toll.kills[kind] += 1
            stops, done = stops + 1, calls
            if kind == "driver":
                process = place.command(work, home, database, *again)
    toll.rounds += 1
    made = place.served() - begun - 1
    toll.again += made - calm[1]
    checks = {
        f"the command failed: {place.last_line()}": process.returncode == 0,
        "the result differs": process.returncode == 0 and outcome(place.store, place.folder, work, out) == calm[0],
        "calls are missing or recorded twice": calls_in(place.store) == calm[1],
        "completed calls were made again": 0 <= made - calm[1] <= stops * AT_ONCE,
    }
    toll.problems += [f"{work}, round {toll.rounds}: {said}" for said, fine in checks.items() if not fine]
    print(f"{work}, round {toll.rounds}: {dict(toll.kills)}, {made - calm[1]} again", file=sys.stderr, flush=True)


def outcome(store: Store, folder: Path, work: str, out: str) -> Any:
    """The result of a command without what always differs: times, and the work that was already done."""
    report = json.loads(out)
    if work == "eval":
        rows = [
            (row["task_id"], row["run_id"], row["answer"], row["score"], row["status"]) for row in report["results"]
        ]
        return rows, report["accuracy"], report["calls"], report["tokens"]
    kb = KnowledgeBase(store, "default")
    changes = [{**vars(change), "created_at": None} for change in Ledger(store).applied(kb.target)]
    files = export(content_of(kb, everything=True), folder / "export.jsonl")
    return b"".join(file.read_bytes() for file in files), changes, verify_kb(kb).ok


def calls_in(store: Store) -> int:
    """The number of completed calls; 0 before the tables exist."""
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(ModelCallRow)).scalar_one()


def emptied(store: Store) -> None:
    """Empty all tables except the one with the schema version."""
    with store.write() as connection:
        names = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars()
        kept = ("alembic_version", "checkpoint_migrations")
        connection.execute(text("TRUNCATE " + ", ".join(f'"{name}"' for name in names if name not in kept)))


if __name__ == "__main__":
    sys.exit(main())
