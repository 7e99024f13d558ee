"""Papers in, documents out: one canonical text with sections, offsets into the source, and metadata."""
