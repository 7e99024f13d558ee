"""Chemical-induced diseases (BioCreative V CDR): relation-level micro precision, recall and F1 on MeSH identifiers.

Always beside two floors that need no model: every pair of a chemical and a disease in the paper, and every chemical of
the title with every disease of the paper. Floors and arms find mentions alike, by the names of the lexicon (from the
training file, and the user's own), never by the gold mentions of the scored papers. Arms: one pass; explorer and
evaluator; and, with `--train`, the same after learning from the training papers' gold labels.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from agentkit.curation.curate import Options
from agentkit.curation.documents import Document
from agentkit.curation.grounding import Grounder, Grounders, Lexicon
from agentkit.curation.grounding_tables import TableGrounder
from agentkit.curation.knowledge_base import KnowledgeBase
from agentkit.curation.schema_files import read_short
from agentkit.store import Store
from benchmarks._curation import Pair, curated, documents, scored, without_gold
from benchmarks._results import Results, arguments

ONTOLOGY: dict[str, Any] = {
    "name": "cdr",
    "concepts": {
        "Chemical": {
            "description": "a drug or chemical substance that was given or taken, by its name",
            "ids": ["MESH"],
            "relations": {
                "induces": {
                    "to": "Disease",
                    "many": True,
                    "together": True,
                    "description": "the paper states that the chemical causes, induces or worsens the disease",
                    "question": "Which diseases, disorders or side effects does the paper say are caused by these "
                    "chemicals: {subject}? Give each pair once. Leave out what a chemical treats or prevents.",
                }
            },
        },
        "Disease": {"description": "a disease, disorder, symptom or side effect, by its name", "ids": ["MESH"]},
    },
}


def gold_pairs(document: Document) -> set[Pair]:
    return {(r.roles["Chemical"], r.roles["Disease"]) for r in document.relations if r.predicate == "CID"}


def naming_from(train: Iterable[Document], lexicon: Path | None, *, tables: bool) -> Grounders:
    """The user's lexicon, then names from the training papers, then the installed tables."""
    given: list[Grounder] = [Lexicon.read(lexicon)] if lexicon is not None else []
    given.append(Lexicon.from_mentions(train, name="train"))
    table = TableGrounder.installed() if tables else None
    prefixes = {"Chemical": ("MESH",), "Disease": ("MESH",)}
    return Grounders(grounders=tuple(given + ([table] if table is not None else [])), prefixes=prefixes)


class Spotter:
    """Finds the lexicon's names in a text: what the floors, which have no model, know of mentions."""

    def __init__(self, train: Iterable[Document]) -> None:
        self.names: dict[str, dict[str, str]] = {"Chemical": {}, "Disease": {}}
        for mention in (m for d in train for m in d.mentions if len(m.curies) == 1 and m.cls in self.names):
            self.names[mention.cls].setdefault(mention.text.casefold(), mention.curies[0])

    def spot(self, text: str, cls: str) -> set[str]:
        """Longest names first, word by word; what a longer name covers is not a shorter one's."""
        words = [(m.start(), m.end()) for m in re.finditer(r"[\w-]+", text)]
        found, at, low = set(), 0, text.casefold()
        while at < len(words):
            for size in range(min(8, len(words) - at), 0, -1):
                name = low[words[at][0] : words[at + size - 1][1]]
                if name in self.names[cls]:
                    found.add(self.names[cls][name])
                    at += size - 1
                    break
            at += 1
        return found

    def pairs(self, document: Document, *, title: bool) -> set[Pair]:
        chemicals = self.spot(document.title if title else document.text, "Chemical")
        return {(chemical, disease) for chemical in chemicals for disease in self.spot(document.text, "Disease")}


def found_pairs(kb: KnowledgeBase, papers: Iterable[Document], *, everything: bool) -> list[set[Pair]]:
    """By paper, the pairs of MeSH identifiers that are claimed; a claim without identifiers can't be scored right."""
    found: dict[str, set[Pair]] = {document.id: set() for document in papers}
    for claim in kb.claims():
        if everything or claim.exported:
            found[claim.document].add((claim.subject, claim.object))
    return list(found.values())


def main() -> None:
    args = _arguments()
    gold = documents(args.gold, args.limit)
    train = documents(args.train) if args.train else []
    results = Results("bc5cdr", settings=vars(args), label=args.label)
    truth = [gold_pairs(document) for document in gold]
    spotter = Spotter(train)
    floors: dict[str, Callable[[Document], set[Pair]]] = {
        "floor: co-occurrence": lambda d: spotter.pairs(d, title=False),
        "floor: chemical in title": lambda d: spotter.pairs(d, title=True),
    }
    if train:
        for name, rule in floors.items():
            _add(results, name, [rule(d) for d in gold], truth)
    floors_with_gold = {"floor: co-occurrence, gold mentions": False, "floor: chemical in title, gold mentions": True}
    for name, title in floors_with_gold.items():
        _add(results, name, [_gold_mention_pairs(d, title=title) for d in gold], truth)
    if args.model:
        asyncio_arms(args, gold, train, truth, results)
    results.note("mentions come from the training lexicon and tables; from gold where it says so")
    results.finish(json_=args.json, folder=args.out)


def _gold_mention_pairs(document: Document, *, title: bool) -> set[Pair]:
    end = len(document.title) if title else len(document.text)
    chemicals = {c for m in document.mentions if m.cls == "Chemical" and m.spans[0][0] < end for c in m.curies}
    diseases = {c for m in document.mentions if m.cls == "Disease" for c in m.curies}
    return {(chemical, disease) for chemical in chemicals for disease in diseases}


def _add(results: Results, arm: str, found: list[set[Pair]], truth: list[set[Pair]], **more: Any) -> None:
    for metric, row in scored(found, truth).items():
        results.add(arm=arm, metric=metric, **row, **more)


def asyncio_arms(args: Any, gold: list[Document], train: list[Document], truth: list[Any], results: Results) -> None:
    """Each arm over the same papers, in one store, so that equal calls are made once."""
    from agentkit.models import load_model

    explorer = load_model(args.model)
    evaluator = load_model(args.evaluator_model) if args.evaluator_model else explorer
    naming = naming_from(train, args.lexicon, tables=not args.no_tables)
    store = Store.open(args.store or Path(tempfile.mkdtemp()) / "bc5cdr.db")
    ontology = read_short(ONTOLOGY)
    papers = without_gold(gold)
    common: dict[str, Any] = {"explorer": explorer, "naming": naming, "store": store}
    arms: dict[str, dict[str, Any]] = {
        "one pass": {"evaluator": None, "options": Options(max_rounds=1, around=args.around, papers=args.papers)},
        "explorer + evaluator": {
            "evaluator": evaluator,
            "options": Options(max_rounds=args.rounds, around=args.around, papers=args.papers),
        },
    }
    if args.learn:
        arms["after learning"] = arms["explorer + evaluator"] | {"recallers": _learnt(args, train, common, arms, store)}
    for name, settings in arms.items():
        kb, report = curated(papers, ontology, kb=name, **common, **settings)
        for which, everything in (("supported", False), ("all claims", True)):
            found = found_pairs(kb, gold, everything=everything)
            _add(results, f"{name}, {which}", found, truth, calls=report.calls, tokens=report.tokens)
        failures = len(report.failed)
        results.add(arm=name, metric="seconds", value=report.seconds, n=len(gold), unit="s", failed=failures)
        results.add(arm=name, metric="tokens", value=report.tokens, n=len(gold), calls=report.calls)
    store.close()


def _learnt(args: Any, train: list[Document], common: dict[str, Any], arms: Any, store: Store) -> list[Any]:
    """Curate training papers, and let the playbook learn from their gold labels."""
    from agentkit.curation.feedback import labelled, learn
    from agentkit.models import Caller
    from benchmarks._learning import open_playbook

    part = train[: args.learn]
    kb, _ = curated(without_gold(part), read_short(ONTOLOGY), kb="train", **common, **arms["explorer + evaluator"])
    gold = {document.id: gold_pairs(document) for document in part}
    labels = {entity.id: entity.label for entity in kb.entities()}
    episodes = labelled(
        kb.records(), lambda r: (r.claim.subject, r.claim.object) in gold[r.claim.document], labels=labels
    )
    recaller, learner = open_playbook(store, "bc5cdr")
    caller = Caller(common["explorer"])

    async def call(role: str, messages: Any, *, schema: Any = None) -> Any:
        return await caller.call(messages, schema=schema, role=role)

    asyncio.run(learn(episodes, [learner], call=call))
    return [recaller]


def _arguments() -> argparse.Namespace:
    parser = arguments("bc5cdr", __doc__.split("\n", 1)[0])
    parser.add_argument("--gold", type=Path, required=True, help="BioC XML with gold relations")
    parser.add_argument("--train", type=Path, help="BioC XML of training papers: names, and what is learnt")
    parser.add_argument("--model", help="the explorer's; without one only the floors are printed")
    parser.add_argument("--evaluator-model")
    parser.add_argument("--lexicon", type=Path)
    parser.add_argument("--no-tables", action="store_true")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--learn", type=int, default=0, help="training papers to learn from")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--around", type=int, default=1)
    parser.add_argument("--papers", type=int, default=1)
    parser.add_argument("--store", type=Path, help="keep calls and claims here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
