"""Erasing everything that is held of a document or a subject, in every table and in the index."""

from rag_core.erasure.erase import erase, reapply

__all__ = ["erase", "reapply"]
