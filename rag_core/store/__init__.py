"""The truth: PostgreSQL tables, migrations, and the functions that read and write them."""

from rag_core.store.engine import Store, open_store

__all__ = ["Store", "open_store"]
