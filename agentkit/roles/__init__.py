"""The roles: explorer, evaluator, reflector, curator. Each is a prompt and an output schema, one file per role."""
