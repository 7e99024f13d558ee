"""HTML: every claim with its quotes, by paper, in one self-contained file without scripts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from html import escape
from pathlib import Path

from agentkit.curation.claims import Claim, Entity, Evidence
from agentkit.curation.export.content import Content, Paper, writing

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 860px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; overflow-wrap: anywhere; }
.claim { border-left: 3px solid #d9dee3; padding-left: .9rem; margin: 1rem 0; overflow-wrap: anywhere; }
.dim { color: #5b6770; font-size: .85rem; } mark { background: #fff1b8; } ul { columns: 2; }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def write(content: Content, path: Path) -> list[Path]:
    """Write one file."""
    entities, by_paper = content.by_id(), defaultdict[str, list[Claim]](list)
    counts = f"{_counted(content.claims, 'claim')} of {_counted(content.papers, 'paper')}"
    for claim in content.claims:
        by_paper[claim.document].append(claim)
    with writing(path) as stream:
        stream.write(
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Claims</title>'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><style>{_STYLE}</style></head>\n<body>\n'
            f"<h1>{counts}</h1>\n"
        )
        for paper in content.papers:
            stream.write(_heading(paper))
            stream.writelines(_claim(claim, entities) for claim in by_paper[paper.id])
        stream.write("</body></html>\n")
    return [path]


def _counted(things: Sequence[object], name: str) -> str:
    return f"{len(things):,} {name}{'' if len(things) == 1 else 's'}"


def _heading(paper: Paper) -> str:
    about = " ".join(filter(None, [paper.publication, "" if paper.year is None else str(paper.year), paper.source]))
    return f'<h2>{escape(paper.title or paper.id)}</h2><p class="dim">{escape(about)}</p>\n'


def _claim(claim: Claim, entities: dict[str, Entity]) -> str:
    subject, found = entities[claim.subject], entities[claim.object]
    told = ", ".join(f"{key}: {value}" for key, value in sorted(claim.qualifiers.items()))
    said = f"<b>{escape(subject.label)}</b> —{escape(claim.predicate)}→ <b>{escape(found.label)}</b> {escape(told)}"
    ids = " · ".join([claim.status, claim.subject, claim.object, claim.id])
    quotes = "".join(map(_quote, claim.evidence))
    return f'<div class="claim" id="{escape(claim.id)}">{said}{quotes}<p class="dim">{escape(ids)}</p></div>\n'


def _quote(evidence: Evidence) -> str:
    where = f"{evidence.section} {evidence.start}–{evidence.end}"
    text = f"…{escape(evidence.prefix)}<mark>{escape(evidence.quote)}</mark>{escape(evidence.suffix)}…"
    return f'<p>{text} <span class="dim">{escape(where)}</span></p>'
