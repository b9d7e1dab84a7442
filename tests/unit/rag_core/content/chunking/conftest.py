"""Parsed documents, for chunkers."""

from tests.unit.rag_core.content.parsing.conftest import read

__all__ = ["read"]
