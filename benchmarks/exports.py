"""How long does a knowledge base of LLM-Duo's size take to check, export and read back?

A synthetic knowledge base (33,000 entities, 325,000 claims by default, each with a quote in a synthetic paper): all
claims are verified against their papers, then written in every format, and the JSONL is read back.

    python -m benchmarks.exports [--nodes N] [--edges N] [--json]
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from agentkit.curation.claims import Claim, Entity, Evidence
from agentkit.curation.documents.document import Document
from agentkit.curation.evidence import verify
from agentkit.curation.export import FORMATS, Content, export, read_jsonl
from benchmarks._results import Results, arguments

T = TypeVar("T")

PER_PAPER = 65
"""Claims per paper, so that 325,000 claims come from 5,000 papers."""


def made_up(nodes: int, edges: int) -> tuple[list[Entity], list[Claim], list[Document]]:
    """Entities, claims and the papers that state them; the same for the same sizes."""
    entities = [
        Entity.named(f"substance {i}", "Chemical" if i % 2 else "Disease", (f"MESH:D{i:06d}",) if i % 5 else ())
        for i in range(nodes)
    ]
    claims: list[Claim] = []
    papers: list[Document] = []
    for first in range(0, edges, PER_PAPER):
        paper, stated = _paper(entities, range(first, min(first + PER_PAPER, edges)))
        papers.append(paper)
        claims += stated
    return entities, claims, papers


def _paper(entities: list[Entity], numbers: range) -> tuple[Document, list[Claim]]:
    id_, parts, spans, length = f"{numbers.start:064x}", [], [], 0
    for i in numbers:
        subject, object_ = _ends(entities, i)
        sentence = f"{subject.label.capitalize()} at {i} mg significantly increased {object_.label}."
        spans.append((length, length + len(sentence)))
        parts.append(sentence)
        length += len(sentence) + 1
    text = " ".join(parts)
    claims = [_claim(entities, i, id_, text, span) for i, span in zip(numbers, spans, strict=True)]
    return Document(id=id_, title=f"Paper {numbers.start}", text=text), claims


def _ends(entities: list[Entity], i: int) -> tuple[Entity, Entity]:
    return entities[i % len(entities)], entities[(i * 7 + 1 + i // len(entities)) % len(entities)]


def _claim(entities: list[Entity], i: int, document: str, text: str, span: tuple[int, int]) -> Claim:
    subject, object_ = _ends(entities, i)
    start, end = span
    evidence = Evidence(
        document=document,
        start=start,
        end=end,
        quote=text[start:end],
        prefix=text[max(0, start - 32) : start],
        suffix=text[end : end + 32],
        section="RESULTS",
    )
    return Claim(
        subject=subject.id,
        predicate="affects",
        object=object_.id,
        document=document,
        evidence=(evidence,),
        status="supported",
        confidence=0.9,
        qualifiers={"direction": "increased", "dose": f"{i} mg"},
        run_id=f"run-{i % 50}",
        model="none",
    )


def _timed(results: Results, n: int, arm: str, work: Callable[[], T]) -> T:
    started = time.perf_counter()
    done = work()
    seconds = time.perf_counter() - started
    results.add(arm=arm, metric="seconds", value=round(seconds, 1), n=n, unit="s", target="minutes")
    return done


def main() -> None:
    parser = arguments("exports", __doc__ or "")
    parser.add_argument("--nodes", type=int, default=33_000)
    parser.add_argument("--edges", type=int, default=325_000)
    args = parser.parse_args()
    results = Results("exports", settings=vars(args), label=args.label)
    entities, claims, papers = made_up(args.nodes, args.edges)
    names = {e.id: (e.label,) for e in entities}
    documents = {d.id: d for d in papers}

    timed = partial(_timed, results, len(claims))
    supported = timed("verify", lambda: sum(verify(c, documents[c.document], names).supported for c in claims))
    results.add(arm="verify", metric="supported", value=supported / len(claims), n=len(claims))
    content = timed("sort", lambda: Content.of(claims, entities))
    with tempfile.TemporaryDirectory() as folder:
        for form in FORMATS:
            files = timed(form, partial(export, content, Path(folder) / form, form))
            results.add(
                arm=form, metric="megabytes", value=round(sum(f.stat().st_size for f in files) / 1e6, 1), unit="MB"
            )
        back = timed("read jsonl", lambda: sum(1 for _ in read_jsonl(Path(folder) / "jsonl")))
        results.add(arm="read jsonl", metric="rows", value=back)
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
