"""Words that all of the streams share."""

from __future__ import annotations

CANARY_TENANT = "rag.canary"
"""The tenant of the documents with which the platform measures itself; they are nobody's, and no traffic."""
