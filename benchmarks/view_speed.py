"""How long the server takes for each page of `agentkit view`, with many runs and claims.

    python -m benchmarks.view_speed --runs 100000 --claims 30000

The time is from a request to its whole answer within one process, without browser and network. Each page is requested
several times; the median is reported, with the slowest as the end of the interval.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from starlette.testclient import TestClient

from agentkit.curation.kb.knowledge_base import open_kb
from agentkit.settings import load_settings
from agentkit.store import Store
from agentkit.view import ViewOptions, create_view
from benchmarks._results import Results, arguments
from tests.support.view_world import RUN, Sizes, fill

WANTED = "≤ 1 s"


def pages(claim: str) -> dict[str, str]:
    """Every kind of page, by what it shows."""
    return {
        "runs": "/runs",
        "runs by status": "/runs?status=done",
        "runs by batch": "/runs?batch=a%20batch",
        "runs by words that are in one": "/runs?q=Question%2077%3F",
        "runs by words that are in none": "/runs?q=nosuchword",
        "one run": f"/runs/{RUN}",
        "two runs": f"/compare?a={RUN}&b=run-1",
        "playbooks": "/playbooks",
        "a playbook": "/playbooks/main",
        "two versions": "/playbooks/main/diff",
        "memories": "/memories",
        "a memory": "/memories/main",
        "a map of cases": "/memories/main/map",
        "evolutions": "/evolutions",
        "an evolution": "/evolutions/evolution-1",
        "knowledge bases": "/kbs",
        "a knowledge base": "/kbs/main",
        "claims": "/kbs/main/claims?status=supported",
        "one claim": f"/kbs/main/claims/{claim}",
        "a paper": "/kbs/main/papers/doc-00000",
        "the review queue": "/kbs/main/review",
        "the graph of claims": "/kbs/main/graph",
    }


def measure(folder: Path, sizes: Sizes, repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Wall seconds and processor seconds of each page, in a fresh database of these sizes."""
    store = Store.open(folder / "a.db")
    fill(store, sizes)
    claim = next(open_kb(store, "main").heads()).id
    app = create_view(store, load_settings(home=folder), ViewOptions(token="token"))
    seconds: dict[str, list[tuple[float, float]]] = {}
    with TestClient(app, base_url="http://127.0.0.1:8700") as client:
        client.get("/?token=token")
        for name, path in pages(claim).items():
            for _ in range(repeats):
                begun = (time.perf_counter(), time.process_time())
                answer = client.get(path)
                ended = (time.perf_counter(), time.process_time())
                seconds.setdefault(name, []).append((ended[0] - begun[0], ended[1] - begun[1]))
                assert answer.status_code == 200, (path, answer.status_code)
    store.close()
    return seconds


def main() -> None:
    parser = arguments("view_speed", __doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--claims", type=int, default=30_000)
    parser.add_argument("--papers", type=int, default=300)
    parser.add_argument("--bullets", type=int, default=200)
    parser.add_argument("--cases", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    names = ("runs", "claims", "papers", "bullets", "cases")
    sizes = Sizes(**{name: getattr(args, name) for name in names}, steps=200)
    results = Results("view_speed", settings=vars(args), label=args.label)
    with tempfile.TemporaryDirectory() as folder:
        for page, measured in measure(Path(folder), sizes, args.repeats).items():
            for metric, times in zip(("server time", "processor time"), zip(*measured, strict=True), strict=True):
                value = statistics.median(times)
                spread = {"low": min(times), "high": max(times), "n": len(times)}
                results.add(arm=page, metric=metric, value=value, **spread, unit="s", target=WANTED)
    results.note("The processor's time is what the clock would tell on a machine that does nothing else.")
    results.note("The interval is that of the fastest and the slowest of the n requests.")
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
