"""SPARQL over the RDF view, with pyoxigraph, which loads hundreds of thousands of claims in the time that rdflib takes
for thousands."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentkit.curation.export import turtle
from agentkit.curation.export.content import Content
from agentkit.curation.export.rdf import PREFIXES
from agentkit.errors import DataError, MissingExtra

ASK = str(Path(__file__).with_name("ask.py"))
MOST = 1_000_000
"""The most rows that an answer may have."""


def sparql(content: Content, query: str, *, seconds: float = 60.0) -> list[Mapping[str, str | None]]:
    """The rows of a SELECT (or the single row of an ASK) over the RDF view.

    Our prefixes are known without declaring them. Nothing is fetched: SERVICE, LOAD and FROM are refused.

    Args:
        seconds: the time limit for answering, once the view is loaded.

    Raises:
        DataError: the query is malformed, an update, reaches outside, or has too long or too large an answer.
        MissingExtra: pyoxigraph is not installed.
    """
    if importlib.util.find_spec("pyoxigraph") is None:
        raise MissingExtra("curate", "pyoxigraph")
    bare = re.sub(r"<[^<>\s]*>|\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*", " ", query)
    if re.search(r"\b(?:SERVICE|LOAD|FROM)\b", bare, re.IGNORECASE):
        raise DataError("a query may not reach outside the knowledge base (SERVICE, LOAD, FROM)")
    with tempfile.TemporaryDirectory() as folder:
        (view,) = turtle.write(content, Path(folder) / "view.ttl")
        asked = Path(folder) / "query.json"
        asked.write_text(json.dumps({"query": query, "prefixes": PREFIXES, "most": MOST}), encoding="utf-8")
        rows = _answer(view, asked, seconds)
    if len(rows) > MOST:
        raise DataError(f"the query has more than {MOST:,} answers: end it with  LIMIT 1000")
    return rows


def _answer(view: Path, asked: Path, seconds: float) -> list[Mapping[str, str | None]]:
    """Answer the query in a separate process, since only ending the process stops a query."""
    command = [sys.executable, "-P", ASK, str(view), str(asked)]
    with subprocess.Popen(command, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # it has loaded the view
            written, said = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise DataError(f"the query took longer than {seconds:g} seconds: narrow it, or give it more") from None
        finally:
            process.kill()
    answer: Any = {"error": _last(said)} if process.returncode else json.loads(written)
    if isinstance(answer, dict):
        raise DataError(f"the query can't be run: {answer['error']}")
    rows: list[Mapping[str, str | None]] = answer
    return rows


def _last(said: bytes) -> str:
    return (said.decode(errors="replace").strip().splitlines() or ["its process was ended"])[-1]
