"""The grounders of a run, in order: the user's lexicon, then the tables that are installed."""

from __future__ import annotations

from pathlib import Path

from agentkit.curation.claims import digest
from agentkit.curation.grounding.grounders import Grounder, Grounders, Lexicon
from agentkit.curation.grounding.tables import TableGrounder, tables_path
from agentkit.curation.ontology.schema import Ontology
from agentkit.text import read_text


def open_naming(ontology: Ontology, *, lexicon: Path | None = None, tables: bool = True) -> tuple[Grounders, str]:
    """The grounders, and a version that changes when they would ground differently.

    Raises:
        DataError: the lexicon can't be read.
    """
    grounders: list[Grounder] = []
    versions: list[object] = []
    if lexicon is not None:
        grounders.append(Lexicon.read(lexicon))
        versions.append(digest(read_text(lexicon)))
    table = TableGrounder.installed() if tables else None
    if table is not None:
        grounders.append(table)
        versions.append(tables_path().stat().st_size)
    prefixes = {name: concept.prefixes for name, concept in ontology.concepts.items() if concept.prefixes}
    return Grounders(grounders=tuple(grounders), prefixes=prefixes), digest(*versions, length=16)
