"""Does curation keep a slow model busy? With a model of fixed latency, the actual time compared with the ideal one.

The ideal is calls × latency / concurrency. Papers per second without any model: `python -m benchmarks.pubmed_parse`.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from agentkit.curation.curate import Curation, CurationOptions
from agentkit.curation.documents import read_folder
from agentkit.curation.extraction.plan import make_plan
from agentkit.curation.grounding.grounders import Grounders
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.ontology.files import read_short
from agentkit.models import Limits
from agentkit.store import Store
from agentkit.testing import ScriptedModel
from benchmarks._results import Results, arguments
from benchmarks.bc5cdr import ONTOLOGY
from tests.curation.papers import reader, write_papers


def throughput(papers: int, latency: float, concurrency: int, results: Results) -> None:
    home = Path(tempfile.mkdtemp())
    folder = write_papers(home / "papers", papers)
    model = ScriptedModel(reader(), name="test/reader", latency=latency)
    run = Curation(
        KnowledgeBase(Store.open(home / "kb.db"), "x"),
        make_plan(read_short(ONTOLOGY)),
        explorer=model,
        evaluator=model,
        naming=Grounders(),
        options=CurationOptions(papers=concurrency),
        limits=Limits(concurrency=concurrency),
    )
    documents = list(read_folder(folder))
    began = time.monotonic()
    report = asyncio.run(run.run(documents))
    seconds = time.monotonic() - began
    ideal = report.calls * latency / concurrency
    arm = f"{concurrency} at once, {latency:g} s a call"
    results.add(arm=arm, metric="calls", value=report.calls, n=papers)
    results.add(arm=arm, metric="seconds", value=seconds, unit="s")
    results.add(arm=arm, metric="ideal over actual", value=ideal / seconds, n=papers, target="≥ 0.9")
    results.add(arm=arm, metric="papers a second", value=papers / seconds)


def main() -> None:
    parser = arguments("curate_throughput", __doc__.split("\n", 1)[0])
    parser.add_argument("--papers", type=int, default=256)
    parser.add_argument("--latency", type=float, default=2.0)
    parser.add_argument("--concurrency", type=int, default=64)
    args = parser.parse_args()
    results = Results("curate_throughput", settings=vars(args), label=args.label)
    throughput(args.papers, args.latency, args.concurrency, results)
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
