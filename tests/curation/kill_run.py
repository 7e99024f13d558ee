"""A curation that is killed and resumed: `python -m tests.curation.kill_run FOLDER DATABASE LOG PAPERS_AT_ONCE`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from agentkit.curation.curate import Curation, CurationOptions
from agentkit.curation.documents import read_folder
from agentkit.curation.extraction.plan import make_plan
from agentkit.curation.grounding.grounders import Grounders
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.ontology.files import load_ontology
from agentkit.store import Store

from .papers import ONTOLOGY, model


def main(folder: Path, database: Path, log: Path, papers: int) -> None:
    schema = folder.parent / "ontology.yaml"
    schema.write_text(ONTOLOGY, encoding="utf-8")
    store, reader = Store.open(database), model(log)
    run = Curation(
        KnowledgeBase(store, "x"),
        make_plan(load_ontology(schema)),
        explorer=reader,
        evaluator=reader,
        naming=Grounders(),
        options=CurationOptions(papers=papers),
    )
    asyncio.run(run.run(read_folder(folder)))
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
