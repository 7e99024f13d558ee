"""Papers in, documents out: one canonical text with sections, offsets into the source, and metadata."""

from agentkit.curation.documents.document import (
    AnnotatedRelation,
    Document,
    Failure,
    Mention,
    Metadata,
    Section,
    Segment,
)
from agentkit.curation.documents.reading import FORMATS, read_document, read_documents, read_folder

__all__ = [
    "FORMATS",
    "AnnotatedRelation",
    "Document",
    "Failure",
    "Mention",
    "Metadata",
    "Section",
    "Segment",
    "read_document",
    "read_documents",
    "read_folder",
]
