"""A knowledge base of LLM-Duo's size (33,148 nodes, 324,707 relations): load, verify, diff, roll back, export, SPARQL.

The claims are synthetic, each with a real quote at real offsets of a synthetic paper, so that verification does its
full work. Each phase is timed once, in seconds of wall time and (in the JSON) of one processor.
"""

from __future__ import annotations

import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from agentkit.curation.claims import Claim, Entity
from agentkit.curation.documents import Document
from agentkit.curation.evidence import evidence_at
from agentkit.curation.export import FORMATS, Content, export, sparql
from agentkit.curation.kb.contradictions import contradictions
from agentkit.curation.kb.exchange import content_of
from agentkit.curation.kb.knowledge_base import Author, KnowledgeBase, Write
from agentkit.curation.kb.records import Record
from agentkit.curation.kb.verification import verify_kb
from agentkit.store import Store
from benchmarks._results import Results, arguments

COUNT = "SELECT (COUNT(?claim) AS ?n) WHERE { ?claim a ak:Claim }"


def papers(
    nodes: int, relations: int, per_paper: int, seed: int
) -> Iterator[tuple[Document, list[Record], list[Entity]]]:
    """Papers with `per_paper` sentences, each of which states one relation between two of the nodes."""
    rng = random.Random(seed)
    names = [f"Substance{number}" if number % 2 else f"Finding{number}" for number in range(nodes)]
    entities = [
        Entity.named(name, "Substance" if n % 2 else "Finding", groundable=True) for n, name in enumerate(names)
    ]
    made, number = 0, 0
    while made < relations:
        count = min(per_paper, relations - made)
        pairs = [(made + i) % nodes for i in range(count)]
        pairs_ = [(a, rng.randrange(nodes)) for a in pairs]
        sentences = [f"{names[a]} was followed by {names[b]} in 12 patients." for a, b in pairs_]
        document = Document(id=f"{number:064x}", title=f"Paper {number}", text=" ".join(sentences))
        yield document, list(_records(document, sentences, pairs_, entities)), [entities[i] for p in pairs_ for i in p]
        made, number = made + count, number + 1


def _records(document: Document, sentences: list[str], pairs: list[Any], entities: list[Entity]) -> Iterator[Record]:
    at = 0
    for sentence, (a, b) in zip(sentences, pairs, strict=True):
        subject, object_ = entities[a], entities[b]
        claim = Claim(
            subject=subject.id,
            predicate="followed_by",
            object=object_.id,
            document=document.id,
            status="supported",
            confidence=0.9,
            evidence=(evidence_at(document, at, at + len(sentence)),),
            model="made/up",
        )
        yield Record(claim=claim, names={subject.id: (subject.label,), object_.id: (object_.label,)})
        at += len(sentence) + 1


def main() -> None:
    parser = arguments("kb_scale", __doc__.split("\n", 1)[0])
    parser.add_argument("--nodes", type=int, default=33_148)
    parser.add_argument("--relations", type=int, default=324_707)
    parser.add_argument("--per-paper", type=int, default=100)
    parser.add_argument("--batch", type=int, default=50, help="papers in one ledger change")
    args = parser.parse_args()
    results = Results("kb_scale", settings=vars(args), label=args.label)
    home = Path(tempfile.mkdtemp())
    kb = KnowledgeBase(Store.open(home / "kb.db"), "scale")

    def timed(metric: str, work: Callable[[], Any], **more: Any) -> Any:
        began, cpu = time.monotonic(), time.process_time()
        value = work()
        spent = time.process_time() - cpu
        results.add(arm="sqlite", metric=metric, value=time.monotonic() - began, unit="s", cpu_seconds=spent, **more)
        results.save(args.out)
        return value

    loaded = timed("load", lambda: _load(kb, args))
    before = kb.version
    results.add(arm="sqlite", metric="claims", value=loaded, n=before)
    found = timed("verify", lambda: verify_kb(kb))
    results.add(
        arm="sqlite", metric="supported", value=found.supported / max(1, found.checked), n=found.checked, target="1"
    )
    timed("retire 10,000 claims", lambda: _retire(kb, 10_000))
    difference = timed("diff of that change", lambda: kb.diff(before))
    results.add(arm="sqlite", metric="claims in that diff", value=len(difference.claims.removed))
    whole = timed("diff from empty", lambda: kb.diff(0))
    results.add(arm="sqlite", metric="claims in the diff from empty", value=len(whole.claims.added))
    timed("rollback of that change", lambda: kb.rollback(before))
    timed("contradictions", lambda: contradictions(kb.claims()))
    content: Content = timed("read for export", lambda: content_of(kb))
    results.add(arm="sqlite", metric="nodes", value=len(content.entities))
    for form in FORMATS:
        path = home / (form if form in ("kgx", "neo4j") else f"kb.{form}")
        timed(f"export {form}", lambda form=form, path=path: export(content, path, form))  # type: ignore[misc]
    rows = timed("SPARQL: load the view and count its claims", lambda: sparql(content, COUNT))
    results.add(arm="sqlite", metric="claims that SPARQL counts", value=int(rows[0]["n"] or 0))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results.add(arm="sqlite", metric="peak memory", value=peak, unit="MiB")
    results.add(arm="sqlite", metric="database", value=(home / "kb.db").stat().st_size / 2**20, unit="MiB")
    results.finish(json_=args.json, folder=args.out)


def _load(kb: KnowledgeBase, args: Any) -> int:
    records: list[Record] = []
    entities: dict[str, Entity] = {}
    done = 0
    for number, (document, made, named) in enumerate(papers(args.nodes, args.relations, args.per_paper, 0), 1):
        kb.add_document(document)
        records += made
        entities |= {entity.id: entity for entity in named}
        done += len(made)
        if number % args.batch == 0 or done == args.relations:
            write = Write(records=records, entities=list(entities.values()))
            kb.write(write, key=f"load:{number}", author=Author(role="import"))
            records, entities = [], {}
    return done


def _retire(kb: KnowledgeBase, count: int) -> None:
    ids = [claim.id for claim, _ in zip(kb.claims(), range(count), strict=False)]
    kb.write(Write(retired=ids), key="retire", author=Author(role="curator"))


if __name__ == "__main__":
    main()
