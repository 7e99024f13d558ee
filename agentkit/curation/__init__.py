"""Curation: from papers and an ontology to a knowledge base in which every claim has an exact quote."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentkit.curation.claims import Claim, Entity, Evidence
    from agentkit.curation.curate import Curation, CurationOptions, Report
    from agentkit.curation.documents import Document, read_document, read_folder
    from agentkit.curation.extraction.plan import CurationPlan, make_plan
    from agentkit.curation.grounding.linker import open_naming
    from agentkit.curation.kb.knowledge_base import KnowledgeBase, open_kb
    from agentkit.curation.kb.verification import verify_kb
    from agentkit.curation.ontology.files import load_ontology
    from agentkit.curation.ontology.schema import Ontology, make_ontology

_HOMES = {
    "Claim": "claims",
    "Curation": "curate",
    "CurationOptions": "curate",
    "CurationPlan": "extraction.plan",
    "Document": "documents",
    "Entity": "claims",
    "Evidence": "claims",
    "KnowledgeBase": "kb.knowledge_base",
    "Ontology": "ontology.schema",
    "Report": "curate",
    "load_ontology": "ontology.files",
    "make_ontology": "ontology.schema",
    "make_plan": "extraction.plan",
    "open_kb": "kb.knowledge_base",
    "open_naming": "grounding.linker",
    "read_document": "documents",
    "read_folder": "documents",
    "verify_kb": "kb.verification",
}

__all__ = [
    "Claim",
    "Curation",
    "CurationOptions",
    "CurationPlan",
    "Document",
    "Entity",
    "Evidence",
    "KnowledgeBase",
    "Ontology",
    "Report",
    "load_ontology",
    "make_ontology",
    "make_plan",
    "open_kb",
    "open_naming",
    "read_document",
    "read_folder",
    "verify_kb",
]


_EARLIER = {"Options": "CurationOptions", "Plan": "CurationPlan"}
"""Earlier names, which the next version removes."""


def __getattr__(name: str) -> Any:
    name = _EARLIER.get(name, name)
    if name not in _HOMES:
        raise AttributeError(f"module 'agentkit.curation' has no attribute {name!r}")
    return getattr(import_module(f"agentkit.curation.{_HOMES[name]}"), name)
