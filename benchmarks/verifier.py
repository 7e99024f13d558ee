"""Does a verifier that learns from reviews separate right claims from wrong ones better with each reviewed paper?

The claims are generated without a model: every chemical of a BC5CDR abstract with every disease of it (by the gold
mentions, or by the names of the training lexicon), each with the first sentence that names both as its quote. The gold
relations of the training part are the reviewers' decisions. The figures are for the development part, by a verifier
that saw the reviews of 0 to 300 training abstracts, or as many reviews shuffled among themselves. They are compared
with baselines: every pair, pairs of one sentence, chemicals of the title.

    python -m benchmarks.verifier --data DIR [--draws 3]
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from agentkit.confidence.risk import risk_coverage
from agentkit.curation.claims import Claim
from agentkit.curation.documents import Document
from agentkit.curation.evidence import evidence_at, verify
from agentkit.curation.kb.records import Record
from agentkit.curation.language.sentences import boundaries
from agentkit.curation.learning.signals import Decided, Known, PaperSignals, Signals
from agentkit.curation.learning.verifier import Verifier, fit
from agentkit.curation.learning.wording import Worded, WordOdds
from benchmarks._curation import documents, scored
from benchmarks._results import Results, arguments, data_path
from benchmarks.bc5cdr import Spotter, gold_pairs

SIZES = (0, 20, 50, 100, 300)
Names = Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Paper:
    """An abstract with its candidate claims and the answers."""

    document: Document
    records: tuple[Record, ...]
    right: tuple[bool, ...]
    gold: frozenset[tuple[str, str]]
    carried: tuple[bool, ...] = ()
    """For each claim, whether its quote supports it; empty if that is not asked."""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """A verifier's output on the development part: probabilities by paper, and the threshold from which claims are
    accepted."""

    told: list[list[float]]
    threshold: float
    seconds: float


def papers(found: Sequence[Document], spotter: Spotter | None) -> list[Paper]:
    """The candidates of each abstract, from its gold mentions or from those that a lexicon finds."""
    return [_paper(document, spotter) for document in found]


def _paper(document: Document, spotter: Spotter | None) -> Paper:
    gold = gold_pairs(document)
    spans: dict[str, dict[str, list[tuple[int, int]]]] = {"Chemical": defaultdict(list), "Disease": defaultdict(list)}
    if spotter is None:
        for mention in document.mentions:
            for curie in mention.curies if mention.cls in spans else ():
                spans[mention.cls][curie].append(mention.spans[0])
    else:
        for cls, places in spans.items():
            for curie, span in spotter.places(document.text, cls):
                places[curie].append(span)
    records = tuple(
        _record(document, (chemical, disease), {**spans["Chemical"], **spans["Disease"]})
        for chemical in sorted(spans["Chemical"])
        for disease in sorted(spans["Disease"])
    )
    right = tuple((r.claim.subject, r.claim.object) in gold for r in records)
    return Paper(document=document, records=records, right=right, gold=frozenset(gold))


def _record(document: Document, pair: tuple[str, str], spans: Mapping[str, Sequence[tuple[int, int]]]) -> Record:
    chemical, disease = pair
    marks = boundaries(document.text)
    both = [
        (low, high)
        for low, high in pairwise(marks)
        if all(any(low <= s and e <= high for s, e in spans[end]) for end in pair)
    ]
    start, end = both[0] if both else spans[disease][0]
    names = {curie: tuple(dict.fromkeys(document.text[s:e] for s, e in spans[curie])) for curie in (chemical, disease)}
    claim = Claim(
        subject=chemical,
        predicate="induces",
        object=disease,
        document=document.id,
        evidence=(evidence_at(document, start, end),),
    )
    supported = verify(claim, document, names).supported
    return Record(claim=claim.with_status("supported" if supported else "unsupported"), names=names)


def _read(paper: Paper) -> list[tuple[Signals, frozenset[str]]]:
    """The signals of each claim without decisions about other papers, and its words."""
    read = PaperSignals(paper.document, paper.records)
    return [(read.of(record), read.words(record.claim)) for record in paper.records]


class Curve:
    """Verifiers that saw more and more reviews, measured on the development part.

    Args:
        wanted: the target F1, by the number of reviewed abstracts.
    """

    def __init__(
        self,
        train: Sequence[Paper],
        dev: Sequence[Paper],
        results: Results,
        arm: str,
        *,
        wanted: Mapping[int, str] | None = None,
    ) -> None:
        self.wanted = wanted or {}
        self.train, self.dev, self.results, self.arm = train, dev, results, arm
        self._plain = {id(p): _read(p) for p in (*train, *dev)}
        whole = np.arange(len(dev))
        self._picks = [whole, *np.random.default_rng(0).integers(0, len(dev), size=(200, len(dev)))]

    def measure(self, draws: int) -> dict[str, list[Draw]]:
        """Measure every size; returns the draws by name."""
        made: dict[str, list[Draw]] = {}
        for size in SIZES:
            for shuffled in (False, True) if size else (False,):
                name = f"{size} abstracts{', shuffled decisions' if shuffled else ''}"
                made[name] = [self._draw(size, seed, shuffled=shuffled) for seed in range(draws if size else 1)]
                self._add(name, made[name], wanted="" if shuffled else self.wanted.get(size, ""))
        most = f"{SIZES[-1]} abstracts"
        self.gained(made[most], made["0 abstracts"], f"{most} over none")
        self.gained(made[most], made[f"{most}, shuffled decisions"], f"{most} over as many shuffled")
        return made

    def _draw(self, size: int, seed: int, *, shuffled: bool) -> Draw:
        order = random.Random(seed)
        seen = order.sample(list(self.train), size)
        labels = [right for paper in seen for right in paper.right]
        if shuffled:
            order.shuffle(labels)
        records = [record for paper in seen for record in paper.records]
        began = time.monotonic()
        words = [told for paper in seen for _, told in self._plain[id(paper)]]
        papers_ = [record.claim.document for record in records]
        worded = (Worded(paper=p, words=w, accepted=a) for p, w, a in zip(papers_, words, labels, strict=True))
        decisions = (Decided(claim=r.claim, accepted=a) for r, a in zip(records, labels, strict=True))
        known = Known(decisions, wording=WordOdds(worded))
        data = [s for paper in seen for s in self._signals(paper, known)]
        verifier = fit(data, labels, papers=papers_)
        told = [self._told(paper, verifier, known) for paper in self.dev]
        return Draw(told=told, threshold=verifier.threshold, seconds=time.monotonic() - began)

    def _told(self, paper: Paper, verifier: Verifier, known: Known) -> list[float]:
        """The probability of each claim; 0 if its quote does not support it and that is asked."""
        told = [verifier.probability(signals) for signals in self._signals(paper, known)]
        return [p * c for p, c in zip(told, paper.carried, strict=True)] if paper.carried else told

    def _signals(self, paper: Paper, known: Known) -> list[Signals]:
        """The paper's signals, with those that follow from decisions about other papers filled in."""
        plain = zip(paper.records, self._plain[id(paper)], strict=True)
        return [known.informed(signals, record.claim, words) for record, (signals, words) in plain]

    def _add(self, name: str, rows: Sequence[Draw], *, wanted: str = "") -> None:
        arm = f"{self.arm}, {name}"
        for metric in ("relation F1", "precision", "recall", "AUROC", "Brier"):
            target = wanted if metric == "relation F1" else ""
            values = self._drawn(metric, rows)
            self.results.add(arm=arm, metric=metric, **_interval(values), n=len(self.dev), target=target)
        told, right = [[p for paper in row.told for p in paper] for row in rows], self._right
        self.results.add(arm=arm, metric="calibration error", value=float(np.mean([_ece(t, right) for t in told])))
        half = float(np.mean([risk_coverage(t, right).half for t in told]))
        self.results.add(arm=arm, metric="right of the likelier half", value=half)
        self.results.add(arm=arm, metric="seconds to learn and judge", value=rows[-1].seconds, unit="s")

    @property
    def _right(self) -> list[float]:
        return [float(r) for paper in self.dev for r in paper.right]

    def _drawn(self, metric: str, rows: Sequence[Draw]) -> list[float]:
        """A metric as its mean over draws: on the development part, then on bootstrap resamples of its papers."""
        measures = [_Measure(self.dev, row) for row in rows]
        return [float(np.mean([m.value(metric, pick) for m in measures])) for pick in self._picks]

    def gained(self, after: Sequence[Draw], before: Sequence[Draw], name: str) -> None:
        """How much better `after` is than `before`, on the same papers."""
        for metric in ("relation F1", "AUROC"):
            pairs = zip(self._drawn(metric, after), self._drawn(metric, before), strict=True)
            values = [a - b for a, b in pairs]
            arm = f"{self.arm}, {name}"
            self.results.add(arm=arm, metric=f"{metric} gained", **_interval(values), n=len(self.dev), target="> 0")


def _interval(values: Sequence[float]) -> dict[str, Any]:
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return {"value": values[0], "low": float(low), "high": float(high)}


class _Measure:
    """The metrics of one draw's probabilities, on papers given by their indices."""

    def __init__(self, dev: Sequence[Paper], draw: Draw) -> None:
        self.papers = [(np.array(told), np.array(p.right, dtype=float)) for told, p in zip(draw.told, dev, strict=True)]
        rows = [((t >= draw.threshold) @ y, (t >= draw.threshold).sum()) for t, y in self.papers]
        self.counts = np.array([(*row, len(p.gold)) for row, p in zip(rows, dev, strict=True)], dtype=float)

    def value(self, metric: str, pick: Sequence[int]) -> float:
        hits, found, gold = self.counts[pick].sum(axis=0)
        if metric == "relation F1":
            return float(2 * hits / max(1, found + gold))
        if metric in ("precision", "recall"):
            return float(hits / max(1, found if metric == "precision" else gold))
        told = np.concatenate([self.papers[i][0] for i in pick])
        right = np.concatenate([self.papers[i][1] for i in pick])
        if metric == "Brier":
            return float(np.mean((told - right) ** 2))
        ones = right.sum()
        return float((rankdata(told)[right == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(right) - ones)))


def _ece(told: Sequence[float], right: Sequence[float]) -> float:
    """The mean gap between probability and outcome over ten equally large groups."""
    order = np.argsort(told)
    groups = np.array_split(order, 10)
    p, y = np.array(told), np.array(right)
    return float(sum(len(g) * abs(p[g].mean() - y[g].mean()) for g in groups) / len(p))


def floors(dev: Sequence[Paper], results: Results, arm: str) -> None:
    """Baselines that need neither model nor learning."""
    rules: dict[str, Any] = {
        "every pair": lambda paper, record: True,
        "pairs of one sentence": lambda paper, record: _together(record),
        "supported by the checks": lambda paper, record: record.claim.status == "supported",
        "chemicals of the title": lambda paper, record: _titled(paper, record),
    }
    truth = [set(paper.gold) for paper in dev]
    for name, rule in rules.items():
        found = [{(r.claim.subject, r.claim.object) for r in paper.records if rule(paper, r)} for paper in dev]
        for metric, row in scored(found, truth).items():
            results.add(arm=f"{arm}, floor: {name}", metric=metric if metric != "F1" else "relation F1", **row)


def _together(record: Record) -> bool:
    quote = record.claim.evidence[0].quote.casefold()
    return all(any(name.casefold() in quote for name in names) for names in record.names.values())


def _titled(paper: Paper, record: Record) -> bool:
    title = paper.document.title.casefold()
    return any(name.casefold() in title for name in record.names[record.claim.subject])


def main() -> None:
    parser = arguments("verifier", __doc__ or "")
    parser.add_argument("--data", type=Path, help="folder with bc5cdr/")
    parser.add_argument("--draws", type=int, default=3, help="draws of the reviewed abstracts")
    parser.add_argument("--limit", type=int, help="the most development abstracts")
    args = parser.parse_args()
    folder = data_path(args.data and args.data / "bc5cdr", "bc5cdr")
    files = sorted(folder.glob("*.BioC.xml.gz"))
    train = documents(next(f for f in files if "train" in f.name.lower()))
    dev = documents(next(f for f in files if "dev" in f.name.lower()), args.limit)
    results = Results("verifier", settings=vars(args), label=args.label)
    for arm, spotter in (("gold mentions", None), ("lexicon mentions", Spotter(train))):
        seen, held = papers(train, spotter), papers(dev, spotter)
        floors(held, results, arm)
        Curve(seen, held, results, arm).measure(args.draws)
    results.note("values are means over draws of the reviewed abstracts; intervals by development abstracts drawn anew")
    results.note("the rules of language.assertion were made while looking at the training part, never at this one")
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
