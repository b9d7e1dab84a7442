"""Erasure: remove a document from every table and from the index, with a receipt."""

from rag_core.erasure.erase import erase, reapply

__all__ = ["erase", "reapply"]
