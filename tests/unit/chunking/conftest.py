"""Parsed documents, for chunkers."""

from tests.unit.parsing.conftest import read

__all__ = ["read"]
