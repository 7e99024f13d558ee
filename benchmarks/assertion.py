"""Is a claim supported only by sentences that assert it? Sentences of twelve kinds, for a cause and for a treatment.

`assertion_sentences/frames.tsv` has sentences with gaps for names and verbs, which are filled in here for both
relations; `hand.tsv` has whole ones. They were written before the rules that they test, and independently of them:
every other sentence of each kind was looked at while the rules were made (`--half seen`), and the figures are for the
others. `more.tsv`, also seen, was written to find out what the rules miss. Each sentence is a separate paper, quoted
whole, and the claim goes through the same check as in a curation.

    python -m benchmarks.assertion [--half seen|held] [--list]
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agentkit.curation.claims import Claim
from agentkit.curation.documents import Document
from agentkit.curation.evidence import evidence_at, verify
from benchmarks._results import Results, arguments, share

FOLDER = Path(__file__).parent / "assertion_sentences"
Half = Literal["seen", "held"]

PAIRS = {
    "induces": (
        "lithium:tremor cisplatin:deafness amiodarone:thyroiditis heparin:thrombocytopenia isoniazid:hepatitis "
        "doxorubicin:cardiomyopathy haloperidol:dystonia gentamicin:nephropathy"
    ),
    "treats": (
        "propranolol:migraine prednisone:arthritis lamotrigine:epilepsy ondansetron:nausea sertraline:depression "
        "omeprazole:gastritis baclofen:spasticity colchicine:gout"
    ),
}
STEMS = {
    "induces": "caus induc provok trigger produc precipitat",
    "treats": "reliev alleviat improv cur suppress ameliorat",
}


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A sentence, its category with respect to the claim (subject, relation, object), and the half that it is in."""

    relation: str
    category: str
    subject: str
    object: str
    text: str
    half: Half

    def supports(self) -> bool:
        """Whether the machine's checks find the claim supported by the sentence."""
        document = Document(id="d" * 64, title="", text=self.text)
        quote = evidence_at(document, 0, len(self.text))
        claim = Claim(
            subject=self.subject, predicate=self.relation, object=self.object, document=document.id, evidence=(quote,)
        )
        return verify(claim, document).supported


def sentences() -> Iterator[Sentence]:
    """All sentences; of each kind, every other one is held out."""
    for number, (category, frame) in enumerate(_rows("frames.tsv")):
        for relation in PAIRS:
            subject, object_ = PAIRS[relation].split()[number % 8].split(":")
            text = frame.format(S=subject, O=object_, **_verb(STEMS[relation].split()[number % 6]))
            text = text[0].upper() + text[1:]
            yield _sentence(relation, category, subject, object_, text, seen=number % 2 == 1)
    count = Counter[tuple[str, str]]()
    for relation, category, subject, object_, text in _rows("hand.tsv"):
        count[relation, category] += 1
        yield _sentence(relation, category, subject, object_, text, seen=count[relation, category] % 2 == 1)
    for relation, category, subject, object_, text in _rows("more.tsv"):
        yield _sentence(relation, category, subject, object_, text, seen=True)


def _sentence(relation: str, category: str, subject: str, object_: str, text: str, *, seen: bool) -> Sentence:
    half: Half = "seen" if seen else "held"
    return Sentence(relation=relation, category=category, subject=subject, object=object_, text=text, half=half)


def _rows(name: str) -> Iterator[list[str]]:
    for line in (FOLDER / name).read_text(encoding="utf-8").splitlines():
        yield line.split("\t")


def _verb(stem: str) -> dict[str, str]:
    """A verb in the forms that frames use.

    >>> _verb("caus")["vd"], _verb("trigger")["v3"]
    ('caused', 'triggers')
    """
    e = "" if stem.endswith(("ger", "ss")) else "e"
    s = "es" if stem.endswith("ss") else f"{e}s"
    return {"v3": stem + s, "vd": f"{stem}ed", "vp": f"{stem}ed", "vi": stem + e, "vg": f"{stem}ing"}


def main() -> None:
    parser = arguments("assertion", __doc__ or "")
    parser.add_argument("--half", choices=("seen", "held"), default="held", help="which half to measure")
    parser.add_argument("--list", action="store_true", help="print the sentences that are judged wrongly")
    args = parser.parse_args()
    results = Results("assertion", settings=vars(args), label=args.label)
    wrong: dict[str, list[bool]] = defaultdict(list)
    for sentence in sentences():
        if sentence.half != args.half:
            continue
        mistaken = sentence.supports() != (sentence.category == "finding")
        wrong[sentence.category].append(mistaken)
        if mistaken and args.list:
            print(f"{sentence.category}, {sentence.relation}: {sentence.text}")
    others = [mistaken for category, found in wrong.items() if category != "finding" for mistaken in found]
    results.add(arm="all", metric="wrong support", **share(sum(others), len(others)), target="≤ 3 %")
    refused = wrong["finding"]
    results.add(arm="all", metric="true findings refused", **share(sum(refused), len(refused)), target="≤ 10 %")
    for category, found in wrong.items():
        results.add(arm=category, metric="judged wrongly", **share(sum(found), len(found)))
    results.note(f"{sum(map(len, wrong.values()))} sentences, the {args.half} half; kinds after ConText, two relations")
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
