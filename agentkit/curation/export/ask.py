"""Answers one SPARQL query about a Turtle file, as a separate program, so that an endless query can be stopped.

    python ask.py VIEW.ttl QUERY.json      (the query: {"query": …, "prefixes": …, "most": …})

Writes a line once the view is loaded, and then a JSON list of rows, or `{"error": …}`.
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pyoxigraph


def ask(store: pyoxigraph.Store, query: str, prefixes: dict[str, str], most: int) -> list[dict[str, str | None]]:
    """Rows of a SELECT, the single row of an ASK, or triples of a CONSTRUCT; at most `most` + 1."""
    result = store.query(query, prefixes=prefixes)
    if isinstance(result, pyoxigraph.QueryBoolean):
        return [{"answer": str(bool(result)).lower()}]
    if isinstance(result, pyoxigraph.QuerySolutions):
        names = [variable.value for variable in result.variables]
        return [{name: _text(row[name]) for name in names} for row in islice(result, most + 1)]
    ends = ("subject", "predicate", "object")
    return [{end: _text(getattr(triple, end)) for end in ends} for triple in islice(result, most + 1)]


def _text(term: Any) -> str | None:
    return None if term is None else str(term.value if hasattr(term, "value") else term)


if __name__ == "__main__":
    loaded = pyoxigraph.Store()
    loaded.bulk_load(path=sys.argv[1], format=pyoxigraph.RdfFormat.TURTLE)
    sys.stdout.write("loaded\n")
    sys.stdout.flush()
    try:
        answer: Any = ask(loaded, **json.loads(Path(sys.argv[2]).read_text("utf-8")))
    except (SyntaxError, ValueError, OSError) as error:
        answer = {"error": " ".join(str(error).split())}
    json.dump(answer, sys.stdout)
