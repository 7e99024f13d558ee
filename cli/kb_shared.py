"""Shared by the commands about knowledge bases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from agentkit.cli.output import JSON_HELP, open_store, print_table
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.curation.kb.knowledge_base import KnowledgeBase

JSON = typer.Option(False, "--json", help=JSON_HELP)
NAME = typer.Argument("default", help="The knowledge base.")


@contextmanager
def open_named(name: str, *, new: bool = False) -> Iterator[KnowledgeBase]:
    """Open a knowledge base of the user's store; it must exist unless `new`."""
    from agentkit.curation.kb.knowledge_base import KnowledgeBase, open_kb

    store = open_store()
    try:
        yield KnowledgeBase(store, name) if new else open_kb(store, name)
    finally:
        store.close()


def print_claims(rows: list[JsonObject]) -> None:
    """Print a table of claims with the labels of their subjects and objects."""
    table = [
        [
            r["id"][:8],
            r["subject_label"],
            r["predicate"],
            r["object_label"],
            ", ".join(f"{k}={v}" for k, v in r["qualifiers"].items()),
            r["status"],
        ]
        for r in rows
    ]
    print_table(["claim", "subject", "relation", "object", "qualifiers", "status"], table)


def in_text(prefix: str, quote: str, suffix: str) -> str:
    """A quote in its context, on one line."""
    return " ".join(f"…{prefix}«{quote}»{suffix}…".split())
