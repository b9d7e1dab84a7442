"""Verification: compare the index with PostgreSQL, and PostgreSQL with the sources; repair the index."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
