"""SPARQL over the RDF view, by pyoxigraph: it loads hundreds of thousands of claims in the time that rdflib takes for
thousands."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentkit.curation.export import turtle
from agentkit.curation.export.content import Content
from agentkit.curation.export.rdf import PREFIXES
from agentkit.errors import DataError, MissingExtra


def sparql(content: Content, query: str) -> list[Mapping[str, str | None]]:
    """The rows of a SELECT (or the single row of an ASK) over the RDF view.

    Our prefixes are known without declaring them. Nothing is fetched: SERVICE, LOAD and FROM are refused.

    Raises:
        DataError: the query is malformed, an update, or reaches outside.
        MissingExtra: pyoxigraph is not installed.
    """
    try:
        import pyoxigraph
    except ImportError as error:
        raise MissingExtra("curate", "pyoxigraph") from error
    bare = re.sub(r"<[^<>\s]*>|\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*", " ", query)
    if re.search(r"\b(?:SERVICE|LOAD|FROM)\b", bare, re.IGNORECASE):
        raise DataError("a query may not reach outside the knowledge base (SERVICE, LOAD, FROM)")
    view = pyoxigraph.Store()
    with tempfile.TemporaryDirectory() as folder:
        (file,) = turtle.write(content, Path(folder) / "view.ttl")
        view.bulk_load(path=str(file), format=pyoxigraph.RdfFormat.TURTLE)
    try:
        result = view.query(query, prefixes=PREFIXES)
        if isinstance(result, pyoxigraph.QuerySolutions):
            names = [variable.value for variable in result.variables]
            return [{name: _text(row[name]) for name in names} for row in result]
    except (SyntaxError, ValueError, OSError) as error:
        raise DataError(f"the query can't be run: {' '.join(str(error).split())}") from error
    if isinstance(result, pyoxigraph.QueryBoolean):
        return [{"answer": str(bool(result)).lower()}]
    return [{"subject": _text(t.subject), "predicate": _text(t.predicate), "object": _text(t.object)} for t in result]


def _text(term: Any) -> str | None:
    return None if term is None else str(term.value)
