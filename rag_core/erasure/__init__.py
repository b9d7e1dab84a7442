"""Erasure: remove a document, or a whole tenant, from every table and from the index, with a receipt."""

from rag_core.erasure.erase import erase, reapply
from rag_core.erasure.tenant import erase_tenant, sweep_erased
