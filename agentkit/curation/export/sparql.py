"""SPARQL over the RDF view, by pyoxigraph: it loads hundreds of thousands of claims in the time that rdflib takes for
thousands."""

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
"""Rows that an answer may have."""


def sparql(content: Content, query: str, *, seconds: float = 60.0) -> list[Mapping[str, str | None]]:
    """The rows of a SELECT (or the single row of an ASK) over the RDF view.

    Our prefixes are known without declaring them. Nothing is fetched: SERVICE, LOAD and FROM are refused.

    Args:
        seconds: how long loading the view and answering may take.

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
        rows = _answer(view, query, seconds)
    if len(rows) > MOST:
        raise DataError(f"the query has more than {MOST:,} answers: end it with  LIMIT 1000")
    return rows


def _answer(view: Path, query: str, seconds: float) -> list[Mapping[str, str | None]]:
    """From a process of its own, the only thing that ends a query."""
    asked = json.dumps({"query": query, "prefixes": PREFIXES, "most": MOST})
    try:
        done = subprocess.run(
            [sys.executable, "-P", ASK, str(view)], input=asked, capture_output=True, text=True, timeout=seconds,
            encoding="utf-8",
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise DataError(f"the query took longer than {seconds:g} seconds: make it narrower, or give it more") from None
    answer: Any = json.loads(done.stdout) if done.returncode == 0 else {"error": _last(done.stderr)}
    if isinstance(answer, dict):
        raise DataError(f"the query can't be run: {answer['error']}")
    rows: list[Mapping[str, str | None]] = answer
    return rows


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["its process was ended"])[-1]
