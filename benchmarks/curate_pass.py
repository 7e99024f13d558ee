"""The overhead of the state machine per question about a paper, apart from the model, with and without checkpoints.

Processor time is measured, so that other work on the machine matters little; explorer and evaluator answer at once.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from agentkit.curation.documents import Document, read_folder
from agentkit.curation.extraction.duo import Duo, curate_item
from agentkit.curation.extraction.plan import make_plan
from agentkit.curation.extraction.prompts import Question
from agentkit.curation.grounding.grounders import Grounders
from agentkit.curation.ontology.files import read_short
from agentkit.graph import passing
from agentkit.graph.build import build_graph
from agentkit.graph.checkpoints import open_checkpoints
from agentkit.models.caller import Caller
from agentkit.models.journal import SqlJournal
from agentkit.store import Store
from benchmarks._results import Results, arguments
from tests.curation.papers import ONTOLOGY, model, write_papers


def question_of(folder: Path) -> Question:
    (document,) = [item for item in read_folder(write_papers(folder, 1)) if isinstance(item, Document)]
    ontology = read_short(yaml.safe_load(ONTOLOGY))
    step = make_plan(ontology).steps[0]
    return Question(step=step, ontology=ontology, document=document, paper=document.text)


def cost(question: Question, store: Store, number: int) -> list[float]:
    """Milliseconds of processor time of each of `number` passes: an answer and an evaluation, both journalled."""

    async def passes() -> list[float]:
        found = []
        for index in range(number):
            caller = Caller(model(), journal=SqlJournal(store, None, prefix=f"{number}/{index}"))
            began = time.process_time()
            await curate_item(question, [], Duo(explorer=caller, evaluator=caller), Grounders(), scope=f"q{index}")
            found.append(1000 * (time.process_time() - began))
        return found

    return asyncio.run(passes())


def main() -> None:
    parser = arguments("curate_pass", __doc__.split("\n", 1)[0])
    parser.add_argument("--questions", type=int, default=300)
    args = parser.parse_args()
    results = Results("curate_pass", settings=vars(args), label=args.label)
    home = Path(tempfile.mkdtemp())
    question = question_of(home / "papers")
    for arm in ("without checkpoints", "with checkpoints"):
        store = Store.open(home / f"{arm}.db")
        saver: Any = open_checkpoints(store)
        graph = build_graph(saver if arm.startswith("with c") else None)
        passing.machine = lambda graph=graph: graph
        cost(question, store, 20)
        taken = cost(question, store, args.questions)
        results.add(
            arm=arm, metric="processor time a question", value=statistics.median(taken), unit="ms", n=len(taken)
        )
        saver.conn.close()
        store.close()
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
