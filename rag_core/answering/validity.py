"""The last check on an answer before its citations leave: each must be a span of what was retrieved."""

from __future__ import annotations

from collections.abc import Sequence

from rag_core.answering.base import Citation
from rag_core.errors import RagError, Reason
from rag_core.index.base import Hit


def check_citations(citations: Sequence[Citation], hits: Sequence[Hit]) -> None:
    """Raise `RagError` (`CITATION_INVALID`) unless the numbers run from 1 and every quote is its span's own text."""
    for expected, citation in enumerate(citations, start=1):
        if citation.number != expected or not 0 <= citation.rank < len(hits) or not _holds(citation, hits):
            raise RagError(Reason.CITATION_INVALID, "the answer cited what was not retrieved; ask again")


def _holds(citation: Citation, hits: Sequence[Hit]) -> bool:
    payload = hits[citation.rank].payload
    start, end = citation.start - payload.start, citation.end - payload.start
    return 0 <= start < end <= len(payload.text) and payload.text[start:end] == citation.quote
