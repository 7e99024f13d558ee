"""From a name in a text to identifiers in terminologies."""
