"""Chemical-induced diseases (BioCreative V CDR): relation-level micro precision, recall and F1 on MeSH identifiers.

Always compared with two baselines that need no model: every pair of a chemical and a disease in the paper, and every
chemical of the title with every disease of the paper. Baselines and arms find mentions in the same way, by the names of
the lexicon (from the training file, and the user's own), never by the gold mentions of the scored papers. Arms: one
pass; explorer and evaluator; and, with `--train`, the same after learning from the training papers' gold labels.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from agentkit.curation.curate import CurationOptions
from agentkit.curation.documents import Document
from agentkit.curation.grounding.grounders import Grounder, Grounders, Lexicon
from agentkit.curation.grounding.tables import TableGrounder
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.kb.verification import verify_kb
from agentkit.curation.ontology.files import read_short
from agentkit.models.journal import SqlJournal
from agentkit.store import Store
from benchmarks._curation import Pair, curated, documents, scored, without_gold
from benchmarks._results import Results, arguments, share

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
                    "accepts": ["hedge", "cited"],
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
    """Finds the lexicon's names in a text: what the baselines, which have no model, know about mentions."""

    def __init__(self, train: Iterable[Document]) -> None:
        self.names: dict[str, dict[str, str]] = {"Chemical": {}, "Disease": {}}
        for mention in (m for d in train for m in d.mentions if len(m.curies) == 1 and m.cls in self.names):
            self.names[mention.cls].setdefault(mention.text.casefold(), mention.curies[0])

    def spot(self, text: str, cls: str) -> set[str]:
        """The identifiers of all names in a text."""
        return {curie for curie, _ in self.places(text, cls)}

    def places(self, text: str, cls: str) -> Iterator[tuple[str, tuple[int, int]]]:
        """Identifiers and where their names occur: longest names first, word by word; text covered by a longer name
        does not count for a shorter one."""
        words = [(m.start(), m.end()) for m in re.finditer(r"[\w-]+", text)]
        at, low = 0, text.casefold()
        while at < len(words):
            for size in range(min(8, len(words) - at), 0, -1):
                span = words[at][0], words[at + size - 1][1]
                if (name := low[slice(*span)]) in self.names[cls]:
                    yield self.names[cls][name], span
                    at += size - 1
                    break
            at += 1

    def pairs(self, document: Document, *, title: bool) -> set[Pair]:
        chemicals = self.spot(document.title if title else document.text, "Chemical")
        return {(chemical, disease) for chemical in chemicals for disease in self.spot(document.text, "Disease")}


def found_pairs(kb: KnowledgeBase, papers: Iterable[Document], *, everything: bool) -> list[set[Pair]]:
    """By paper, the claimed pairs of MeSH identifiers; a claim without identifiers can't be scored as right."""
    found: dict[str, set[Pair]] = {document.id: set() for document in papers}
    for claim in kb.claims():
        # The store may hold more papers than have been processed so far.
        if claim.document in found and (everything or claim.exported):
            found[claim.document].add((claim.subject, claim.object))
    return list(found.values())


def main() -> None:
    args = _arguments()
    gold = documents(args.gold, args.limit)
    train = documents(args.train) if args.train else []
    results = Results("bc5cdr", settings=vars(args), label=args.label)
    results.note("mentions come from the training lexicon and tables; from gold where it says so")
    _floors(gold, train, results)
    if args.model:
        Arms(args, train, results).run(gold)
    results.finish(json_=args.json, folder=args.out)


def _floors(gold: list[Document], train: list[Document], results: Results) -> None:
    """What needs no model, with mentions found as the arms find them, and with the gold mentions."""
    spotter = Spotter(train)
    rules: dict[str, Callable[[Document, bool], set[Pair]]] = {"": lambda d, title: spotter.pairs(d, title=title)}
    if not train:
        rules.clear()
    rules[", gold mentions"] = lambda d, title: _gold_mention_pairs(d, title=title)
    for mentions, rule in rules.items():
        for name, title in (("co-occurrence", False), ("chemical in title", True)):
            found = [rule(document, title) for document in gold]
            _add(results, f"floor: {name}{mentions}", found, [gold_pairs(document) for document in gold])


def _gold_mention_pairs(document: Document, *, title: bool) -> set[Pair]:
    end = len(document.title) if title else len(document.text)
    chemicals = {c for m in document.mentions if m.cls == "Chemical" and m.spans[0][0] < end for c in m.curies}
    diseases = {c for m in document.mentions if m.cls == "Disease" for c in m.curies}
    return {(chemical, disease) for chemical in chemicals for disease in diseases}


def _add(results: Results, arm: str, found: list[set[Pair]], truth: list[set[Pair]], **more: Any) -> None:
    for metric, row in scored(found, truth).items():
        results.add(arm=arm, metric=metric, **row, **more)


class Arms:
    """The arms over the same papers in one store, paper by paper: equal calls are made once, an interrupted run
    continues, and after each paper the results so far are written, including the baselines."""

    def __init__(self, args: Any, train: list[Document], results: Results) -> None:
        from agentkit.models import load_model

        self.args, self.train, self.results = args, train, results
        self.store = Store.open(args.store or Path(tempfile.mkdtemp()) / "bc5cdr.db")
        self.ontology = read_short(ONTOLOGY)
        self.explorer = load_model(args.model)
        self.evaluator = load_model(args.evaluator_model) if args.evaluator_model else self.explorer
        self.naming = naming_from(train, args.lexicon, tables=not args.no_tables)
        self.spent: dict[str, Counter[str]] = {}

    def run(self, gold: list[Document]) -> None:
        duo: dict[str, Any] = {"evaluator": self.evaluator, "rounds": self.args.rounds}
        arms: dict[str, dict[str, Any]] = {
            "one pass": {"evaluator": None, "rounds": 1},
            "explorer + evaluator": duo,
        }
        if self.args.learn:
            arms["after learning"] = duo | {"recallers": self._learnt(duo)}
        began = time.monotonic()
        for count, document in enumerate(gold, 1):
            if self.args.minutes is not None and time.monotonic() - began > 60 * self.args.minutes:
                self.results.note(f"stopped after {count - 1} of {len(gold)} papers: the time given was over")
                break
            for name, settings in arms.items():
                self._curate(name, [document], **settings)
            self._report(gold[:count], list(arms))
            self.results.save(self.args.out)
        self.store.close()

    def _curate(self, kb: str, papers: list[Document], *, evaluator: Any, rounds: int, **more: Any) -> KnowledgeBase:
        options = CurationOptions(max_rounds=rounds, around=self.args.around, papers=1, max_items=self.args.items)
        base, report = curated(
            without_gold(papers),
            self.ontology,
            explorer=self.explorer,
            evaluator=evaluator,
            naming=self.naming,
            options=options,
            store=self.store,
            kb=kb,
            **more,
        )
        spent = self.spent.setdefault(kb, Counter())
        spent.update(calls=report.calls, tokens=report.tokens, failed=len(report.failed))
        spent["seconds"] += round(report.seconds)
        print(
            f"{kb}: {papers[-1].id[:12]} {report.supported}+{report.unsupported} claims, {report.calls} calls, "
            f"{report.seconds:.0f} s {report.failed or ''}",
            file=sys.stderr,
            flush=True,
        )
        return base

    def _report(self, papers: list[Document], arms: list[str]) -> None:
        self.results.rows.clear()
        _floors(papers, self.train, self.results)
        for name in arms:
            kb, spent = KnowledgeBase(self.store, name), self.spent[name]
            for which, everything in (("supported", False), ("all claims", True)):
                found = found_pairs(kb, papers, everything=everything)
                _add(self.results, f"{name}, {which}", found, [gold_pairs(document) for document in papers])
            checked = verify_kb(kb, around=self.args.around)
            holds = share(checked.supported, checked.checked)
            self.results.add(arm=name, metric="claims that kb verify finds supported", **holds, target="100 %")
            self.results.add(
                arm=name,
                metric="seconds of new calls",
                value=spent["seconds"],
                n=len(papers),
                unit="s",
                calls=spent["calls"],
                tokens=spent["tokens"],
                failed=spent["failed"],
            )

    def _learnt(self, duo: dict[str, Any]) -> list[Any]:
        """Curate training papers, and let the playbook learn from their gold labels."""
        from agentkit.curation.kb.episodes import compared, learn
        from agentkit.models import Caller
        from benchmarks._learning import open_playbook

        part = self.train[: self.args.learn]
        kb = self._curate("train", part, **duo)
        truth = {document.id: _gold_statements(document) for document in part}
        episodes = compared(kb, truth, question=_question())
        recaller, learner = open_playbook(self.store, "bc5cdr")
        caller = Caller(self.explorer, journal=SqlJournal(self.store, None, prefix="learn"))

        async def call(role: str, messages: Any, *, schema: Any = None) -> Any:
            return await caller.call(messages, schema=schema, role=role)

        told = asyncio.run(learn(episodes, [learner], call=call))
        self.results.note(f"learnt from {len(part)} training papers: {told['applied']} edits of the playbook")
        return [recaller]


def _question() -> str:
    return str(ONTOLOGY["concepts"]["Chemical"]["relations"]["induces"]["description"])


def _gold_statements(document: Document) -> dict[tuple[str, str, str], str]:
    """The gold claims of a paper, each in the words of the paper's own mentions."""
    names = {curie: mention.text for mention in reversed(document.mentions) for curie in mention.curies}
    return {(a, "induces", b): f"{names.get(a, a)} — induces → {names.get(b, b)}" for a, b in gold_pairs(document)}


def _arguments() -> argparse.Namespace:
    parser = arguments("bc5cdr", __doc__.split("\n", 1)[0])
    parser.add_argument("--gold", type=Path, required=True, help="BioC XML with gold relations")
    parser.add_argument("--train", type=Path, help="BioC XML of training papers: names, and what is learnt")
    parser.add_argument("--model", help="the explorer's model; without one, only the floors are printed")
    parser.add_argument("--evaluator-model")
    parser.add_argument("--lexicon", type=Path)
    parser.add_argument("--no-tables", action="store_true")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--learn", type=int, default=0, help="training papers to learn from")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--items", type=int, default=20, help="the longest list of one answer")
    parser.add_argument("--around", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="start no further paper after so many minutes")
    parser.add_argument("--store", type=Path, help="keep calls and claims here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
