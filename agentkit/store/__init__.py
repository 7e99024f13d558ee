"""The store: the SQL database that holds all state; SQLAlchemy 2 models and Alembic migrations."""

from agentkit.store.engine import Store

__all__ = ["Store"]
