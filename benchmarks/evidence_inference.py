"""Evidence Inference 2.0: does a trial's outcome rise, fall or stay with the intervention, and on which quote?

Each prompt (outcome, intervention, comparator) is one question about its article. Measured: label accuracy (no answer
counts as wrong), and quote recall (the answer's quote overlaps a gold span by its offsets), beside the floor that
always says the commonest label. Arms: one pass; explorer and evaluator.

    python -m benchmarks.evidence_inference --data DIR --model M [--limit N] [--json]
"""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentkit.curation.claims import Entity
from agentkit.curation.documents import Document, read_documents
from agentkit.curation.duo import Duo, Outcome, curate_item, records_of
from agentkit.curation.grounding import Grounders
from agentkit.curation.plan import make_plan
from agentkit.curation.prompts import Question, question_text
from agentkit.curation.reading import reading
from agentkit.curation.schema_files import read_short
from agentkit.errors import ModelError
from agentkit.models import Caller, SqlJournal, load_model
from agentkit.store import Store
from benchmarks._results import Results, arguments, data_path, share

LABELS = {"1": "increased", "0": "no difference", "-1": "decreased"}

ONTOLOGY: dict[str, Any] = {
    "name": "trials",
    "concepts": {
        "Intervention": {
            "description": "what the trial tests",
            "relations": {
                "affects": {
                    "to": "Outcome",
                    "question": "With {subject}, how was the outcome {value!r} compared with the comparator?".replace(
                        "{value!r}", "'{value}'"
                    ),
                    "qualifiers": {
                        "comparator": {"description": "what it was compared with"},
                        "direction": {
                            "required": True,
                            "description": "how the outcome is with the intervention, against the comparator",
                            "values": {
                                "increased": ["higher", "more", "greater"],
                                "decreased": ["lower", "less", "fewer", "reduced"],
                                "no difference": ["no significant difference", "similar"],
                            },
                        },
                    },
                }
            },
        },
        "Outcome": {"description": "what was measured"},
    },
}


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One question with its gold answer: the majority label, and every annotator's span."""

    id: str
    document: Document
    outcome: str
    intervention: str
    comparator: str
    label: str
    spans: tuple[tuple[int, int], ...]


def prompts(folder: Path, limit: int | None) -> list[Prompt]:
    """The prompts that have annotations, shortest articles first where `limit` asks for a part of them."""
    articles = {Path(d.source).stem.split("!")[-1]: d for d in _articles(folder)}
    found = []
    annotations: dict[str, list[dict[str, str]]] = {}
    for row in _table(folder / "annotations_v2.csv.gz"):
        annotations.setdefault(row["PromptID"], []).append(row)
    for row in _table(folder / "prompts.csv.gz"):
        rows, document = annotations.get(row["PromptID"]), articles.get(f"PMC{row['PMCID']}")
        if rows and document is not None:
            found.append(_prompt(row, rows, document))
    found.sort(key=lambda p: (len(p.document.text), p.id))
    return found if limit is None else found[:limit]


def _articles(folder: Path) -> list[Document]:
    return [d for d in read_documents(folder / "articles.txt.tar.gz") if isinstance(d, Document)]


def _prompt(row: dict[str, str], rows: Sequence[dict[str, str]], document: Document) -> Prompt:
    labels = Counter(LABELS[r["Label Code"]] for r in rows if r["Label Code"] in LABELS)
    spans = tuple((int(r["Evidence Start"]), int(r["Evidence End"])) for r in rows if int(r["Evidence Start"]) >= 0)
    return Prompt(
        id=row["PromptID"], document=document, outcome=row["Outcome"], intervention=row["Intervention"],
        comparator=row["Comparator"], label=max(labels, key=lambda label: (labels[label], label)), spans=spans,
    )  # fmt: skip


def _table(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(io.StringIO(stream.read())))


async def ask(prompt: Prompt, duo: Duo, limit: int) -> tuple[Outcome, Question]:
    """One prompt, one question; the same code path as a curation run."""
    ontology = read_short(ONTOLOGY)
    step = make_plan(ontology).by_element["Intervention.affects.Outcome"]
    bare = Question(
        step=step, ontology=ontology, document=prompt.document, paper="", subjects=(prompt.intervention,),
        value=prompt.outcome, given=(("comparator", prompt.comparator),),
    )  # fmt: skip
    paper = reading(prompt.document, question_text(bare), limit=limit)
    question = Question(**{**vars(bare), "paper": paper})
    subject = Entity.named(prompt.intervention, "Intervention", groundable=True)
    return await curate_item(question, [subject], duo, Grounders(), scope=prompt.id), question


async def arm(name: str, duo: Duo, items: Sequence[Prompt], limit: int, results: Results) -> None:
    right, quoted, located, supported, rounds, failed = [], [], [], [], [], 0
    began = time.monotonic()
    for prompt in items:
        try:
            outcome, question = await ask(prompt, duo, limit)
        except ModelError:
            outcome, question, failed = Outcome(items=(), rounds=0, stable=False), None, failed + 1
        item = outcome.items[0] if outcome.items else None
        right.append(item is not None and item.qualifiers.get("direction") == prompt.label)
        quoted.append(item is not None and item.evidence is not None)
        spot = item.evidence if item is not None else None
        located.append(spot is not None and any(spot.start < end and start < spot.end for start, end in prompt.spans))
        records = [] if question is None else records_of(outcome, question, duo, run_id="", model="")
        supported.append(any(record.claim.status == "supported" for record in records))
        rounds.append(outcome.rounds)
    n = len(items)
    results.add(arm=name, metric="label accuracy", **share(sum(right), n), failed=failed)
    results.add(arm=name, metric="quote recall", **share(sum(located), n))
    results.add(arm=name, metric="quote found exactly", **share(sum(quoted), n))
    results.add(arm=name, metric="claims supported", **share(sum(supported), n))
    kept = [r for r, s in zip(right, supported, strict=True) if s]
    results.add(arm=name, metric="label accuracy of supported claims", **share(sum(kept), len(kept)))
    results.add(arm=name, metric="rounds", value=sum(rounds) / max(1, n), n=n)
    results.add(arm=name, metric="seconds", value=time.monotonic() - began, n=n, unit="s")


def main() -> None:
    parser = arguments("evidence_inference", __doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, help="the folder with articles, prompts and annotations")
    parser.add_argument("--model", help="the explorer's; without one only the floor is printed")
    parser.add_argument("--evaluator-model")
    parser.add_argument("--limit", type=int, help="so many prompts, those of the shortest articles")
    parser.add_argument("--characters", type=int, default=48_000, help="read papers whole up to this size")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--store", type=Path, help="keep calls here")
    args = parser.parse_args()
    items = prompts(data_path(args.data, "evidence_inference"), args.limit)
    results = Results("evidence_inference", settings=vars(args), label=args.label)
    label, count = Counter(prompt.label for prompt in items).most_common(1)[0]
    results.add(arm=f"floor: always {label!r}", metric="label accuracy", **share(count, len(items)))
    if args.model:
        asyncio.run(_arms(args, items, results))
    results.finish(json_=args.json, folder=args.out)


async def _arms(args: Any, items: Sequence[Prompt], results: Results) -> None:
    store = Store.open(args.store or Path(tempfile.mkdtemp()) / "ei.db")

    def caller(name: str, part: str) -> Caller:
        return Caller(load_model(name), journal=SqlJournal(store, None, prefix=f"ei-{part}"))

    single = Duo(explorer=caller(args.model, "explorer"), max_rounds=1)
    await arm("one pass", single, items, args.characters, results)
    checker = caller(args.evaluator_model or args.model, "evaluator")
    both = Duo(explorer=caller(args.model, "explorer"), evaluator=checker, max_rounds=args.rounds)
    await arm("explorer + evaluator", both, items, args.characters, results)


if __name__ == "__main__":
    main()
