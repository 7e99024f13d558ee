"""Ontologies: the schema of concepts and relations, and the files that it is read from."""
