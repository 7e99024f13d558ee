"""Runs migrations on the connection that `agentkit.store.migrate` passes in."""

from alembic import context

from agentkit.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
context.run_migrations()
