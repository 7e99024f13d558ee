"""Grounding: from a name in a text to identifiers in terminologies."""
