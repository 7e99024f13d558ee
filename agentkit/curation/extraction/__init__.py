"""Extraction: the questions of an ontology about a paper, the answers of two agents, and which answers hold."""
