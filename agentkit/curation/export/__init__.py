"""Exporting a knowledge base in common formats. The same content always gives the same bytes."""

from collections.abc import Callable
from pathlib import Path

from agentkit.curation.export import graphml, jsonl, jsonld, kgx, neo4j, page, table, turtle
from agentkit.curation.export.content import Content, Paper
from agentkit.curation.export.jsonl import read as read_jsonl
from agentkit.curation.export.rdf import graph
from agentkit.curation.export.sparql import sparql
from agentkit.errors import UserError

FORMATS: dict[str, Callable[[Content, Path], list[Path]]] = {
    "jsonl": jsonl.write,
    "csv": table.write,
    "jsonld": jsonld.write,
    "turtle": turtle.write,
    "kgx": kgx.write,
    "graphml": graphml.write,
    "neo4j": neo4j.write,
    "html": page.write,
}
"""The writers by format: each writes a file, or (kgx, neo4j) two files into a folder, and returns their paths."""

_BY_SUFFIX = {
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".jsonld": "jsonld",
    ".ttl": "turtle",
    ".graphml": "graphml",
    ".html": "html",
}


def export(content: Content, path: Path | str, form: str | None = None) -> list[Path]:
    """Write `content` as `form`, by default the format given by the ending of `path`; returns the files written.

    Raises:
        UserError: there is no such format.
        DataError: the path can't be written.
    """
    path = Path(path)
    chosen = form or _BY_SUFFIX.get(path.suffix.lower(), "")
    chosen = {"ttl": "turtle", "json-ld": "jsonld"}.get(chosen, chosen)
    if chosen not in FORMATS:
        raise UserError(f"no export format {form or path.suffix!r}: choose one of {', '.join(FORMATS)}")
    return FORMATS[chosen](content, path)


__all__ = ["FORMATS", "Content", "Paper", "export", "graph", "read_jsonl", "sparql"]
