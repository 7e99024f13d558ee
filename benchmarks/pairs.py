"""Relations end to end without gold mentions, before and after reviews: BC5CDR, development part.

Names are spotted by machine (the training part's names as the user's lexicon, the tables if they are installed,
abbreviations that a paper defines). Every pair of a chemical and a disease in an abstract is a claim with its best
sentence; it is supported if the quote supports it and the verifier considers it likely enough. The verifier has seen
the reviews of 0 to 300 training abstracts, or as many reviews shuffled among themselves. The first rows show which
mentions and pairs are found at all; the curve is compared with floors that use the same mentions.

The lexicon for a training abstract does not contain that abstract's own names, just as it lacks those of a new paper.

With --model, a model gives each claim with a quote that supports it a verdict of one word, and the curve is drawn
again. The reviewed abstracts have no verdicts: a verifier that learnt from them weighs verdicts as the prior does.
Verdicts are kept in --store, so a stopped benchmark continues.

    python -m benchmarks.pairs --data DIR [--skip 100] [--limit 200] [--draws 3] [--model local/qwen2.5-coder-1.5b]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from statistics import median

from agentkit.aio import run_sync
from agentkit.curation.documents import Document
from agentkit.curation.extraction.pairs import CandidatePair, candidates, pairable
from agentkit.curation.extraction.verdicts import PairJudge
from agentkit.curation.grounding.grounders import Grounder, Grounders, Lexicon
from agentkit.curation.grounding.mentions import Spotter
from agentkit.curation.grounding.tables import TableGrounder
from agentkit.curation.kb.records import Record
from agentkit.curation.ontology.files import read_short
from agentkit.curation.ontology.schema import Relation
from agentkit.models import Budget, SqlJournal, load_model
from agentkit.store import Store
from benchmarks._curation import documents, without_gold
from benchmarks._results import Results, arguments, data_path, share
from benchmarks.bc5cdr import ONTOLOGY, gold_pairs
from benchmarks.verifier import Curve, Paper, floors

ENDS = ("Chemical", "Disease")
PARTS = 10
"""The number of folds of training abstracts: the names for one fold come from the others."""


def spotter_of(train: Sequence[Document], *, tables: bool) -> Spotter:
    """A spotter with names to which most annotations in the training part give a single identifier, then tables."""
    lexicon = Lexicon.from_mentions(train, name="train", share=0.51)
    table = TableGrounder.installed() if tables else None
    given: tuple[Grounder, ...] = (lexicon,) if table is None else (lexicon, table)
    return Spotter(Grounders(grounders=given, prefixes=dict.fromkeys(ENDS, ("MESH",))))


def papers(found: Sequence[Document], relation: Relation, spotter: Spotter) -> list[Paper]:
    """The claims of each abstract; gold annotations are used only for the answers."""
    return [
        _paper(document, bare, relation, spotter) for document, bare in zip(found, without_gold(found), strict=True)
    ]


def _paper(document: Document, bare: Document, relation: Relation, spotter: Spotter) -> Paper:
    return _paper_of(document, bare, candidates(bare, relation, spotter))


def _paper_of(document: Document, bare: Document, made: Sequence[CandidatePair]) -> Paper:
    gold = gold_pairs(document)
    return Paper(
        document=bare,
        records=tuple(_checked(item) for item in made),
        right=tuple((item.record.claim.subject, item.record.claim.object) in gold for item in made),
        gold=frozenset(gold),
        carried=tuple(not item.problem for item in made),
    )


def _checked(item: CandidatePair) -> Record:
    """A pair with the status that the checks alone give it."""
    claim = item.record.claim.with_status("unsupported" if item.problem else "supported", item.problem)
    return Record(claim=claim, names=item.record.names)


def coverage(found: Sequence[Document], spotter: Spotter, made: Sequence[Paper], results: Results) -> None:
    """The share of gold entities and gold pairs that are found."""
    for cls in ENDS:
        gold = [{c for m in d.mentions if m.cls == cls for c in m.curies} - {"MESH:-1"} for d in found]
        spotted = [{thing.entity.id for thing in spotter.spot(document, cls)} for document in found]
        hits = sum(len(a & b) for a, b in zip(gold, spotted, strict=True))
        for metric, total in (("recall", gold), ("precision", spotted)):
            results.add(arm=f"mentions: {cls}", metric=metric, **share(hits, sum(map(len, total))))
    pairs = sum(len(paper.gold) for paper in made)
    results.add(arm="pairs that are candidates", metric="recall", **share(sum(sum(p.right) for p in made), pairs))
    both = sum(r and c for p in made for r, c in zip(p.right, p.carried, strict=True))
    results.add(arm="pairs that a quote carries", metric="recall", **share(both, pairs))


def with_verdicts(
    dev: Sequence[Document], relation: Relation, spotter: Spotter, model: str, store: Path, results: Results
) -> list[Paper]:
    """The claims of each abstract with a model's verdicts."""
    meter, each = Budget().start(), list[float]()
    judge, made = PairJudge(load_model(model), meter=meter), list[Paper]()
    with closing(Store.open(store)) as journals:
        for number, (document, bare) in enumerate(zip(dev, without_gold(dev), strict=True), 1):
            began, calls = time.monotonic(), meter.calls
            found = candidates(bare, relation, spotter)
            found = run_sync(judge.judge(found, relation, SqlJournal(journals, None, prefix=f"{model}:{document.id}")))
            if meter.calls > calls:
                each.append(time.monotonic() - began)
            made.append(_paper_of(document, bare, found))
            print(f"{number} of {len(dev)} abstracts, {meter.calls} calls", end="\r", file=sys.stderr, flush=True)
    asked = sum(map(sum, (paper.carried for paper in made)))
    results.add(arm="verdicts", metric="verdicts an abstract", value=asked / len(dev), n=len(dev))
    if each:
        results.add(arm="verdicts", metric="seconds an abstract, median", value=median(each), n=len(each), unit="s")
    return made


def main() -> None:
    parser = arguments("pairs", __doc__ or "")
    parser.add_argument("--data", type=Path, help="folder with bc5cdr/")
    parser.add_argument("--draws", type=int, default=3, help="draws of the reviewed abstracts")
    parser.add_argument("--skip", type=int, default=100, help="leave out the first N abstracts, which were looked at")
    parser.add_argument("--limit", type=int, help="the most development abstracts")
    parser.add_argument("--train", type=int, help="reviewed abstracts are drawn from this many at the start")
    parser.add_argument("--no-tables", action="store_true")
    parser.add_argument("--model", help="also give each pair a verdict of this model")
    parser.add_argument("--store", type=Path, default=Path("build/benchmarks/pairs.db"), help="keeps its verdicts")
    args = parser.parse_args()
    folder = data_path(args.data and args.data / "bc5cdr", "bc5cdr")
    files = sorted(folder.glob("*.BioC.xml.gz"))
    train = documents(next(f for f in files if "train" in f.name.lower()))
    dev = documents(next(f for f in files if "dev" in f.name.lower()))[args.skip :][: args.limit]
    results = Results("pairs", settings=vars(args), label=args.label)
    relation = pairable(read_short(ONTOLOGY))[0]
    spotter = spotter_of(train, tables=not args.no_tables)
    began = time.process_time()
    held = papers(dev, relation, spotter)
    each = (time.process_time() - began) / len(dev)
    coverage(dev, spotter, held, results)
    results.add(arm="spotting and pairing", metric="CPU seconds an abstract", value=each, n=len(dev), unit="s")
    floors(held, results, "machine mentions")
    seen: list[Paper] = []
    for part in range(PARTS):
        own = train[: args.train][part::PARTS]
        ids = {document.id for document in own}
        others = spotter_of([d for d in train if d.id not in ids], tables=not args.no_tables)
        seen += papers(own, relation, others)
    wanted = {0: "≥ 0.40", 300: "≥ 0.48"}
    plain = Curve(seen, held, results, "supported claims", wanted=wanted).measure(args.draws)
    if args.model:
        told = with_verdicts(dev, relation, spotter, args.model, args.store, results)
        curve = Curve(seen, told, results, "supported claims with verdicts", wanted=wanted)
        for name, rows in curve.measure(args.draws).items():
            curve.gained(rows, plain[name], f"{name}, over none")
    results.note("values are means over draws of the reviewed abstracts; intervals by development abstracts drawn anew")
    results.note("the first 100 development abstracts were looked at while this was built, the others never")
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
