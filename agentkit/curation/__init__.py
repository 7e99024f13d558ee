"""Curation: from papers and an ontology to a knowledge base in which every claim carries an exact quote."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentkit.curation.claims import Claim, Entity, Evidence
    from agentkit.curation.curate import Curation, Options, Report
    from agentkit.curation.documents import Document, read_document, read_folder
    from agentkit.curation.knowledge_base import KnowledgeBase, open_kb
    from agentkit.curation.naming import open_naming
    from agentkit.curation.ontology import Ontology, make_ontology
    from agentkit.curation.plan import Plan, make_plan
    from agentkit.curation.schema_files import load_ontology
    from agentkit.curation.verification import verify_kb

_HOMES = {
    "Claim": "claims",
    "Curation": "curate",
    "Document": "documents",
    "Entity": "claims",
    "Evidence": "claims",
    "KnowledgeBase": "knowledge_base",
    "Ontology": "ontology",
    "Options": "curate",
    "Plan": "plan",
    "Report": "curate",
    "load_ontology": "schema_files",
    "make_ontology": "ontology",
    "make_plan": "plan",
    "open_kb": "knowledge_base",
    "open_naming": "naming",
    "read_document": "documents",
    "read_folder": "documents",
    "verify_kb": "verification",
}

__all__ = [
    "Claim",
    "Curation",
    "Document",
    "Entity",
    "Evidence",
    "KnowledgeBase",
    "Ontology",
    "Options",
    "Plan",
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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'agentkit.curation' has no attribute {name!r}")
    return getattr(import_module(f"agentkit.curation.{_HOMES[name]}"), name)
