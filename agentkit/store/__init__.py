"""The store: one SQL database that is the truth; SQLAlchemy 2 models and Alembic migrations."""

from agentkit.store.engine import Store

__all__ = ["Store"]
