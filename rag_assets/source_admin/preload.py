"""Imported once by the server that operations are forked from, so that each begins with what it needs."""

from rag_assets.connectors.kinds import import_own_libraries
from rag_assets.source_admin import process  # noqa: F401

import_own_libraries()
