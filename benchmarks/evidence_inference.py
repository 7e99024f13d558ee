"""Evidence Inference 2.0: does a trial's outcome rise, fall or stay with the intervention, and which quote shows it?

Each prompt (outcome, intervention, comparator) is one question about its article. Measured: label accuracy (no answer
counts as wrong), and quote recall (the answer's quote overlaps a gold span by its offsets), compared with a baseline
that always gives the most common label. Arms: a verdict on the direction, as `curate` asks for it; the same question as
a list, in one pass and with an evaluator.

    python -m benchmarks.evidence_inference --data DIR --model M [--skip N] [--limit N] [--arms verdict] [--json]
"""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentkit.curation.claims import Entity
from agentkit.curation.documents import Document, read_documents
from agentkit.curation.extraction.directions import DirectionJudge
from agentkit.curation.extraction.duo import Duo, QuestionOutcome, curate_item, records_of
from agentkit.curation.extraction.passages import reading
from agentkit.curation.extraction.plan import make_plan
from agentkit.curation.extraction.prompts import Question, question_text
from agentkit.curation.grounding.grounders import Grounders
from agentkit.curation.kb.knowledge_base import Author, KnowledgeBase, Write
from agentkit.curation.kb.records import Record
from agentkit.curation.kb.verification import verify_kb
from agentkit.curation.ontology.files import read_short
from agentkit.curation.ontology.schema import Relation
from agentkit.errors import ModelError
from agentkit.models import Caller, Retry, SqlJournal, load_model
from agentkit.store import Store
from benchmarks._results import Results, arguments, data_path, share

ARMS = ("verdict", "one pass", "explorer + evaluator")
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


class Listed(DirectionJudge):
    """Gives no verdicts: the explorer's own word for a direction stands."""

    def judges(self, caller: Caller, relation: Relation | None) -> bool:
        return False


def prompts(folder: Path, limit: int | None, *, skip: int = 0) -> list[Prompt]:
    """The prompts that have annotations; with `limit`, those of the shortest articles first.

    Args:
        skip: leave out this many of them, and the others of their articles.
    """
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
    seen = {prompt.document.id for prompt in found[:skip]}
    found = [prompt for prompt in found if prompt.document.id not in seen]
    return found if limit is None else found[:limit]


def _articles(folder: Path) -> list[Document]:
    return [d for d in read_documents(folder / "articles.txt.tar.gz") if isinstance(d, Document)]


def _prompt(row: dict[str, str], rows: Sequence[dict[str, str]], document: Document) -> Prompt:
    labels = Counter(LABELS[r["Label Code"]] for r in rows if r["Label Code"] in LABELS)
    spans = tuple((int(r["Evidence Start"]), int(r["Evidence End"])) for r in rows if int(r["Evidence Start"]) >= 0)
    return Prompt(
        id=row["PromptID"],
        document=document,
        outcome=row["Outcome"],
        intervention=row["Intervention"],
        comparator=row["Comparator"],
        label=max(labels, key=lambda label: (labels[label], label)),
        spans=spans,
    )


def _table(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(io.StringIO(stream.read())))


async def ask(prompt: Prompt, duo: Duo, limit: int) -> tuple[QuestionOutcome, Question]:
    """One prompt, one question; the same code path as a curation run."""
    ontology = read_short(ONTOLOGY)
    step = make_plan(ontology).by_element["Intervention.affects.Outcome"]
    bare = Question(
        step=step,
        ontology=ontology,
        document=prompt.document,
        paper="",
        subjects=(prompt.intervention,),
        value=prompt.outcome,
        given=(("comparator", prompt.comparator),),
    )
    paper = reading(prompt.document, question_text(bare), limit=limit)
    question = Question(**{**vars(bare), "paper": paper})
    subject = Entity.named(prompt.intervention, "Intervention", groundable=True)
    return await curate_item(question, [subject], duo, Grounders(), scope=prompt.id), question


@dataclass
class Arm:
    """One way to answer, with its claims in their own knowledge base, and what it got right so far."""

    name: str
    duo: Duo
    kb: KnowledgeBase
    right: list[bool] = field(default_factory=list)
    quoted: list[bool] = field(default_factory=list)
    located: list[bool] = field(default_factory=list)
    supported: list[bool] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0

    async def answer(self, prompt: Prompt, limit: int) -> None:
        began = time.monotonic()
        try:
            outcome, question = await ask(prompt, self.duo, limit)
        except ModelError as error:
            print(f"{self.name}: {prompt.id}: {error}", file=sys.stderr)
            outcome, question = QuestionOutcome(items=(), rounds=0, stable=False), None
            self.failed += 1
        item = outcome.items[0] if outcome.items else None
        spot = item.evidence if item is not None else None
        self.right.append(item is not None and item.qualifiers.get("direction") == prompt.label)
        self.quoted.append(spot is not None)
        self.located.append(
            spot is not None and any(spot.start < end and start < spot.end for start, end in prompt.spans)
        )
        records = [] if question is None else records_of(outcome, question, self.duo, run_id="", model="")
        self.supported.append(any(record.claim.status == "supported" for record in records))
        self.rounds.append(outcome.rounds)
        self._keep(prompt, outcome, records)
        self.seconds += time.monotonic() - began
        told = item.qualifiers.get("direction") if item else None
        print(f"{self.name}: {prompt.id} {told!r}, gold {prompt.label!r}, {self.seconds:.0f} s", file=sys.stderr)

    def _keep(self, prompt: Prompt, outcome: QuestionOutcome, records: list[Record]) -> None:
        self.kb.add_document(prompt.document)
        ends = [e for item in outcome.items for e in (item.subject, item.value) if e is not None]
        key = f"{self.name}:{prompt.id}"
        self.kb.write(Write(records=records, entities=ends), key=key, author=Author(role="explorer"))

    def report(self, results: Results, *, timed: bool) -> None:
        """Add its results; the seconds only if no answer came from an earlier run's store."""
        n, add = len(self.right), results.add
        add(arm=self.name, metric="label accuracy", **share(sum(self.right), n), failed=self.failed, target="≥ 0.65")
        add(arm=self.name, metric="quote recall", **share(sum(self.located), n))
        add(arm=self.name, metric="quote found exactly", **share(sum(self.quoted), n))
        add(arm=self.name, metric="claims supported", **share(sum(self.supported), n), target="≥ 0.40")
        kept = [r for r, s in zip(self.right, self.supported, strict=True) if s]
        add(arm=self.name, metric="label accuracy of supported claims", **share(sum(kept), len(kept)), target="≥ 0.80")
        found = verify_kb(self.kb)
        holds = share(found.supported, found.checked)
        add(arm=self.name, metric="claims that kb verify finds supported", **holds, target="100 %")
        add(arm=self.name, metric="rounds", value=sum(self.rounds) / max(1, n), n=n)
        if timed:
            add(arm=self.name, metric="seconds", value=self.seconds, n=n, unit="s")


def main() -> None:
    parser = arguments("evidence_inference", __doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, help="the folder with articles, prompts and annotations")
    parser.add_argument("--model", help="the explorer's model; without one, only the floor is printed")
    parser.add_argument("--evaluator-model")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=["verdict"])
    parser.add_argument("--skip", type=int, default=0, help="leave out the first N prompts, and their articles")
    parser.add_argument("--limit", type=int, help="number of prompts, those of the shortest articles")
    parser.add_argument("--characters", type=int, default=48_000, help="read papers whole up to this size")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--minutes", type=float, help="start no further prompt after so many minutes")
    parser.add_argument("--store", type=Path, help="keep calls and claims here; an interrupted run continues")
    args = parser.parse_args()
    items = prompts(data_path(args.data, "evidence_inference"), args.limit, skip=args.skip)
    results = Results("evidence_inference", settings=vars(args), label=args.label)
    _floor(items, results)
    if args.model:
        asyncio.run(_arms(args, items, results))
    results.finish(json_=args.json, folder=args.out)


def _floor(items: Sequence[Prompt], results: Results) -> None:
    label, count = Counter(prompt.label for prompt in items).most_common(1)[0]
    results.add(arm=f"floor: always {label!r}", metric="label accuracy", **share(count, len(items)))


async def _arms(args: Any, items: Sequence[Prompt], results: Results) -> None:
    """Go prompt by prompt, so that all arms share an article in the prefix cache; results are written after each."""
    timed = args.store is None or not args.store.exists()
    store = Store.open(args.store or Path(tempfile.mkdtemp()) / "ei.db")

    def caller(name: str) -> Caller:
        return Caller(load_model(name), journal=SqlJournal(store, None, prefix="ei"), retry=Retry(invalid=2))

    checker = caller(args.evaluator_model or args.model)
    ways = {
        "verdict": Duo(explorer=caller(args.model), max_rounds=1),
        "one pass": Duo(explorer=caller(args.model), max_rounds=1, directions=Listed()),
        "explorer + evaluator": Duo(
            explorer=caller(args.model), evaluator=checker, max_rounds=args.rounds, directions=Listed()
        ),
    }
    run = f"{args.model}:{time.time_ns()}"
    arms = [Arm(name=name, duo=ways[name], kb=KnowledgeBase(store, f"{name} {run}"[:160])) for name in args.arms]
    began = time.monotonic()
    for count, prompt in enumerate(items, 1):
        if args.minutes is not None and time.monotonic() - began > 60 * args.minutes:
            results.note(f"stopped after {count - 1} of {len(items)} prompts: the time given was over")
            break
        for arm in arms:
            await arm.answer(prompt, args.characters)
        results.rows.clear()
        _floor(items[:count], results)
        for arm in arms:
            arm.report(results, timed=timed)
        results.save(args.out)
    store.close()


if __name__ == "__main__":
    main()
